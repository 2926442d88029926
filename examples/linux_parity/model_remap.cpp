// SPDX-License-Identifier: BSL-1.0
// mremap.
#include <mmhold/fault/userfault_notices.hpp>
#include <mmhold/space/mremap.hpp>

#include "model_process.hpp"
#include <cerrno>

namespace parity {

namespace {

/// As the system call rounds; the last bytes of all round to none.
page_count rounded_up(std::uint64_t bytes) {
    return page_count{(bytes + page_bytes - 1) / page_bytes};
}

}  // namespace

/// Answers the page of the arena where the mapping is now; elsewhere: place_elsewhere.
std::int64_t model_process::remap_step(step const& one) {
    if (one.at % page_bytes != 0 || one.how > 7) return -EINVAL;
    auto const pages = rounded_up(one.bytes);
    auto old = page_span::from(virt_addr{one.at}, pages);
    // Nothing is mapped where addresses wrap, nor right behind user space.
    if (!old) old = page_span::from(mm_.limits().end, pages);
    if (!old) return -EINVAL;
    auto const flags = mremap_flags::from_bits(static_cast<std::uint8_t>(one.how));
    auto done = mremap_telling(me_, mm_, *old, rounded_up(one.to_bytes), flags, virt_addr{one.to});
    done.tickets.wait(wait_mode::killable);
    auto const& got = done.answer;
    if (!got) return linux_value(got);
    auto const in_arena = got->value >= arena_start && got->value < arena_page(arena_pages);
    if (!in_arena) return place_elsewhere;
    return static_cast<std::int64_t>((got->value - arena_start) / page_bytes);
}

}  // namespace parity
