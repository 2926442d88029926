// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/callers/user_range.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <span>

namespace mmhold {

/// io_uring's fixed buffers (IORING_REGISTER_BUFFERS; gup-semantics §1.4, §8.1 column UR, §8.3):
/// pin_user_pages_fast with WRITE and LONGTERM, all pages or none.
///
/// `out` receives one frame number per page and must have room for all (invalid_argument
/// otherwise); they stay pinned until the caller unpins them. Answers how many there are; 0 for the
/// empty slot that address 0 and length 0 stand for. Errors, and then nothing is pinned:
/// bad_address – a page that cannot be pinned, an empty buffer, more than 1 GiB; overflow – the
/// range wraps; others as pin_fast() says.
///
/// Mm lock: not held by the caller. May sleep.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> uring_register(Space& mm, Cpu& me, user_range buffer,
                                               std::span<pfn> out) {
    constexpr std::uint64_t most = std::uint64_t{1} << 30U;
    if (buffer.start == virt_addr{} && buffer.bytes == 0) return std::uint64_t{0};
    if (buffer.start == virt_addr{} || buffer.bytes == 0 || buffer.bytes > most) {
        return errc::bad_address;
    }
    auto const whole_pages = detail::pages_touched({}, buffer.bytes) * page_size;
    if (whole_pages > ~buffer.start.value) return errc::overflow;
    auto const pages = detail::pages_touched(buffer.start, buffer.bytes);
    if (out.size() < pages) return errc::invalid_argument;
    auto const got = pin_fast<P>(mm, me, buffer.start, page_count{pages},
                                 {gup_flag::write, gup_flag::longterm}, out);
    if (got.complete()) return pages;
    pinned{mm.frames(), out.first(got.pages), holding::pin}.release();
    return got.pages == 0 ? got.error : errc::bad_address;
}

}  // namespace mmhold
