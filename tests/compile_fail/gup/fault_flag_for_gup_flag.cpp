// expect(gcc): could not convert
// expect(clang): no viable conversion
// SPDX-License-Identifier: BSL-1.0
// ALLOW_RETRY is a word between gup and the fault handler; callers say may_drop(held) instead.
#include <mmhold/vocab/fault_flags.hpp>
#include <mmhold/vocab/gup_flags.hpp>

mmhold::gup_flags probe() {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    return mmhold::fault_flag::allow_retry;
#else
    return mmhold::gup_flag::write;
#endif
}
