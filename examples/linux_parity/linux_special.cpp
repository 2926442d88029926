// SPDX-License-Identifier: BSL-1.0
// What drivers and the kernel map.
#include "linux_process.hpp"

namespace parity {

std::int64_t linux_process::map_special(step const&) { return -ENOSYS; }
}  // namespace parity
