// SPDX-License-Identifier: BSL-1.0
// madvise and its relatives.
#include "model_process.hpp"
#include <cerrno>

namespace parity {

std::int64_t model_process::advice_step(step const&) { return -ENOSYS; }
std::int64_t model_process::map_advice(step const&) { return -ENOSYS; }
}  // namespace parity
