// expect: mmhold: this downgrades the mm lock: it needs void downgrade()
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/adapt/std_shared_mutex.hpp>
#include <mmhold/lock/held.hpp>


template<class Lock>
struct needs_a_downgrade {
    static_assert(mmhold::require_downgradable_mm_lock<Lock>());
};

needs_a_downgrade<mmhold::std_shared_mutex> adapted;
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
needs_a_downgrade<std::shared_mutex> bare;
#endif
