// SPDX-License-Identifier: BSL-1.0
// What drivers and the kernel map.
#include "model_process.hpp"
#include <cerrno>

namespace parity {

std::int64_t model_process::map_special(step const&) { return -ENOSYS; }
}  // namespace parity
