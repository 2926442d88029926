// SPDX-License-Identifier: BSL-1.0
// madvise and its relatives.
#include <mmhold/callers/madvise.hpp>

#include "model_process.hpp"
#include <cerrno>

namespace parity {

namespace {

advice advice_of(op what) {
    switch (what) {
        case op::guard: return advice::guard_install;
        case op::unguard: return advice::guard_remove;
        case op::lazy_free: return advice::free;
        case op::dont_fork: return advice::dont_fork;
        case op::do_fork: return advice::do_fork;
        case op::wipe_on_fork: return advice::wipe_on_fork;
        case op::keep_on_fork: return advice::keep_on_fork;
        case op::remove: return advice::remove;
        default: return advice::page_out;
    }
}

}  // namespace

std::int64_t model_process::advice_step(step const& one) {
    auto const range = user_range{virt_addr{one.at}, one.bytes};
    if (one.how > 255) return -EINVAL;
    auto const what = one.what == op::advise ? static_cast<advice>(one.how) : advice_of(one.what);
    auto const done = mmhold::madvise(mm_, me_, range, what);
    // Holes in files are zeroes, and cached like the rest.
    for (auto const& file : objects_) {
        if (one.what != op::remove || !is_on_disk(file.of)) continue;
        for (std::uint64_t index = 0; index * page_bytes < file.size; ++index) {
            auto const page = file.object->find_or_add_zeroed(index);
            if (page) frames_.put(*page);
        }
    }
    return linux_value(done);
}

/// What MAP_DROPPABLE makes is wiped by fork as well.
std::int64_t model_process::map_advice(step const& one) {
    auto request = plain_request(one);
    request.properties = {vma_flag::droppable, vma_flag::wipe_on_fork, vma_flag::dont_dump};
    return linux_value(mapped(request));
}

}  // namespace parity
