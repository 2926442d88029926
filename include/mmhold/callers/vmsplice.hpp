// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/callers/user_range.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstdint>
#include <span>

namespace mmhold {

/// vmsplice(2) of user memory into a pipe (gup-semantics §1.4, §8.1 column VS): the pipe gets a
/// reference on each page – get_user_pages_fast, no pin, so a later copy-on-write may separate the
/// pipe's page from the owner's (§8.5).
///
/// `slots` is the free room of the pipe; one page a slot, from the front; they are the pipe's, who
/// gives them back (put_pages). Answers the bytes that went in – which may be fewer than asked for:
/// the pipe is full, or a page is bad. Errors: bad_address – not user space, or not even the first
/// page; again – there are no slots; invalid_argument – more bytes than a signed number holds.
///
/// Mm lock: not held by the caller. May sleep. Up to 16 pages a call of gup, as Linux does; after
/// a short count gup is called again, and its lockless half may take what the other has refused.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> vmsplice(Space& mm, Cpu& me, user_range memory,
                                         std::span<pfn> slots) {
    constexpr std::uint64_t at_once = 16;
    if (memory.bytes > ~std::uint64_t{0} / 2) return errc::invalid_argument;
    if (memory.bytes == 0) return std::uint64_t{0};
    memory.bytes = std::min(memory.bytes, most_bytes_at_once);
    if (!in_user_space(memory, mm.limits().end)) return errc::bad_address;
    if (slots.empty()) return errc::again;
    std::uint64_t done = 0;
    while (done < memory.bytes && !slots.empty()) {
        auto const at = memory.start.plus(done);
        auto const touched = detail::pages_touched(at, memory.bytes - done);
        auto const wanted = std::min({touched, at_once, std::uint64_t{slots.size()}});
        auto const got = gup_fast<P>(mm, me, at, page_count{wanted}, {}, slots);
        if (got.pages == 0) break;
        slots = slots.subspan(got.pages);
        done += std::min(memory.bytes - done, got.pages * page_size - at.offset());
    }
    if (done == 0) return errc::bad_address;
    return done;
}

}  // namespace mmhold
