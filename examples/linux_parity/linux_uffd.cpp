// SPDX-License-Identifier: BSL-1.0
// userfaultfd beyond missing private pages.
#include "linux_process.hpp"

namespace parity {

std::int64_t linux_process::uffd_step(step const&) { return -ENOSYS; }
std::int64_t linux_process::map_uffd(step const&) { return -ENOSYS; }
/// UFFD_FEATURE_* to ask for.
std::uint64_t linux_process::features_for(memory) { return 0; }
/// Answers what is not a missing page. False: it is one.
bool linux_process::serve_other(int, std::uint64_t, std::uint64_t) { return false; }
}  // namespace parity
