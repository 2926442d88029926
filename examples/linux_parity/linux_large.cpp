// SPDX-License-Identifier: BSL-1.0
// Large pages.
#include "linux_process.hpp"
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace parity {

namespace {

constexpr int madv_collapse = 25;  // older headers do not have it

/// The process refuses large folios where nobody asks for them (linux_process's constructor).
void allow_large_folios() { prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0); }

}  // namespace

std::int64_t linux_process::large_step(step const& one) {
    if (one.what == op::punch) return punch(one);
    allow_large_folios();
    return outcome(madvise(address(one.at), one.bytes, madv_collapse));
}

/// A hole in what was mapped last at this place, as far from its start as the step says.
std::int64_t linux_process::punch(step const& one) {
    constexpr int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    for (auto i = object_count_; i-- > 0;) {
        auto const& known = objects_[i];
        if (one.at < known.at || one.at >= known.at + known.bytes) continue;
        if (is_on_disk(known.of)) break;
        auto const from = static_cast<off_t>(one.at - known.at);
        return outcome(fallocate(known.descriptor, how, from, static_cast<off_t>(one.bytes)));
    }
    return -EBADF;
}

std::int64_t linux_process::map_large(step const& one) {
    if (is_hugetlbfs(one.of)) {
        auto const file = memfd_create("parity", MFD_CLOEXEC | MFD_HUGETLB);
        auto const size = static_cast<off_t>(object_bytes_of(one.of, one.bytes));
        if (file < 0 || ftruncate(file, size) != 0) return outcome(-1);
        return map_at(one, 0, file);
    }
    if (one.of != memory::large) return map_at(one, MAP_HUGETLB, -1);
    allow_large_folios();
    if (auto const mapped = map_at(one, 0, -1); mapped != 0) return mapped;
    return outcome(madvise(address(one.at), one.bytes, MADV_HUGEPAGE));
}

}  // namespace parity
