// SPDX-License-Identifier: BSL-1.0
// Large pages.
#include "model_process.hpp"
#include <cerrno>

namespace parity {

std::int64_t model_process::large_step(step const&) { return -ENOSYS; }
std::int64_t model_process::map_large(step const&) { return -ENOSYS; }
}  // namespace parity
