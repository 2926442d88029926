// SPDX-License-Identifier: BSL-1.0
// userfaultfd beyond missing private pages.
#include "model_process.hpp"
#include <cerrno>

namespace parity {

std::int64_t model_process::uffd_step(step const&) { return -ENOSYS; }
std::int64_t model_process::map_uffd(step const&) { return -ENOSYS; }
/// The features a descriptor of this kind of memory is opened with.
userfault_features model_process::features_for(memory) { return {}; }
bool model_pager::serve_other(userfault_event const&) { return false; }
}  // namespace parity
