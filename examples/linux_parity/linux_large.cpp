// SPDX-License-Identifier: BSL-1.0
// Large pages.
#include "linux_process.hpp"
#include <cerrno>
#include <sys/mman.h>
#include <sys/prctl.h>

namespace parity {

namespace {

constexpr int madv_collapse = 25;  // older headers do not have it

/// The process refuses large folios where nobody asks for them (linux_process's constructor).
void allow_large_folios() { prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0); }

}  // namespace

std::int64_t linux_process::large_step(step const& one) {
    allow_large_folios();
    return outcome(madvise(address(one.at), one.bytes, madv_collapse));
}

std::int64_t linux_process::map_large(step const& one) {
    if (one.of != memory::large) return map_at(one, MAP_HUGETLB, -1);
    allow_large_folios();
    if (auto const mapped = map_at(one, 0, -1); mapped != 0) return mapped;
    return outcome(madvise(address(one.at), one.bytes, MADV_HUGEPAGE));
}

}  // namespace parity
