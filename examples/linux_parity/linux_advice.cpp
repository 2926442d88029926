// SPDX-License-Identifier: BSL-1.0
// madvise and its relatives.
#include "linux_process.hpp"

namespace parity {

std::int64_t linux_process::advice_step(step const&) { return -ENOSYS; }
std::int64_t linux_process::map_advice(step const&) { return -ENOSYS; }
}  // namespace parity
