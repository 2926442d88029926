// SPDX-License-Identifier: BSL-1.0
// Large pages.
#include "linux_process.hpp"

namespace parity {

std::int64_t linux_process::large_step(step const&) { return -ENOSYS; }
std::int64_t linux_process::map_large(step const&) { return -ENOSYS; }
}  // namespace parity
