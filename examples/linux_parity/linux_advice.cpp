// SPDX-License-Identifier: BSL-1.0
// madvise and its relatives.
#include "linux_process.hpp"
#include <unistd.h>

namespace parity {

namespace {

// Numbers that older headers do not have.
constexpr int map_droppable = 8;
constexpr int madv_wipe_on_fork = 18;
constexpr int madv_keep_on_fork = 19;
constexpr int madv_page_out = 21;
constexpr int madv_guard_install = 102;
constexpr int madv_guard_remove = 103;

int advice_of(op what) {
    switch (what) {
        case op::guard: return madv_guard_install;
        case op::unguard: return madv_guard_remove;
        case op::lazy_free: return MADV_FREE;
        case op::dont_fork: return MADV_DONTFORK;
        case op::do_fork: return MADV_DOFORK;
        case op::wipe_on_fork: return madv_wipe_on_fork;
        case op::keep_on_fork: return madv_keep_on_fork;
        case op::remove: return MADV_REMOVE;
        default: return madv_page_out;
    }
}

}  // namespace

/// Files on disks stay cached: what a read brings in besides is nobody's promise.
std::int64_t linux_process::advice_step(step const& one) {
    auto const what = one.what == op::advise ? static_cast<int>(one.how) : advice_of(one.what);
    auto const done = outcome(madvise(address(one.at), one.bytes, what));
    if (one.what != op::remove && one.what != op::page_out) return done;
    for (std::size_t i = 0; i < object_count_; ++i) {
        auto const& file = objects_[i];
        if (!is_on_disk(file.of)) continue;
        for (std::uint64_t at = 0; at < file.size; at += most_bytes) {
            if (pread(file.descriptor, buffer_, most_bytes, static_cast<off_t>(at)) < 0) break;
        }
    }
    return done;
}

/// Droppable memory is neither shared nor private.
std::int64_t linux_process::map_advice(step const& one) {
    auto* const got = mmap(address(one.at), one.bytes, to_prot(one.prot),
                           MAP_FIXED | MAP_ANONYMOUS | map_droppable, -1, 0);
    if (got == MAP_FAILED) return outcome(-1);
    for (std::uint64_t page = 0; page < arena_pages; ++page) {
        auto const inside = arena_page(page) >= one.at && arena_page(page) < one.at + one.bytes;
        if (inside) secret_pages_ &= ~(std::uint64_t{1} << page);
    }
    return 0;
}

}  // namespace parity
