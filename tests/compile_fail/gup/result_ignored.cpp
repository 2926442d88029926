// expect: ignoring return
// SPDX-License-Identifier: BSL-1.0
// The result says whether the lock was lost and how many pages must be released.
#include <mmhold/vocab/gup_result.hpp>

mmhold::gup_result some_gup();

void probe() {
#ifndef MMHOLD_COMPILE_FAIL_CONTROL
    some_gup();
#else
    (void)some_gup();
#endif
}
