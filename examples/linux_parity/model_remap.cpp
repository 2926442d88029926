// SPDX-License-Identifier: BSL-1.0
// mremap.
#include "model_process.hpp"
#include <cerrno>

namespace parity {

std::int64_t model_process::remap_step(step const&) { return -ENOSYS; }
}  // namespace parity
