// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string_view>

namespace mmhold_test {

/// Says that this test case could not judge anything here, and why:
///
///     if (!kernel_has_userfaultfd()) { skip("the kernel has no userfaultfd"); return; }
///
/// Catch 2.13 cannot skip. So the reason is kept until the test case ends and is then printed as
/// "SKIPPED: reason", which ctest counts under "did not run". A test case with a failed assertion prints
/// nothing of the kind: a failure is never turned into a skip.
void skip(std::string_view reason);

}  // namespace mmhold_test
