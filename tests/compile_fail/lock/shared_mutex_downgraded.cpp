// expect(gcc): use of deleted function
// expect(clang): deleted
// expect: downgrade
// SPDX-License-Identifier: BSL-1.0
#include <mmhold/adapt/std_shared_mutex.hpp>
#include <mmhold/lock/held.hpp>


void probe(mmhold::std_shared_mutex& adapted, std::shared_mutex& bare) {
    (void)mmhold::held_exclusive<mmhold::std_shared_mutex>::acquire(adapted).downgrade();
    (void)mmhold::held_exclusive<std::shared_mutex>::acquire(bare);
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    (void)mmhold::held_exclusive<std::shared_mutex>::acquire(bare).downgrade();
#endif
}
