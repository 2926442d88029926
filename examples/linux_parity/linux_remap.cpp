// SPDX-License-Identifier: BSL-1.0
// mremap.
#include "linux_process.hpp"

namespace parity {

std::int64_t linux_process::remap_step(step const&) { return -ENOSYS; }
}  // namespace parity
