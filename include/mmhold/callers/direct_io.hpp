// SPDX-License-Identifier: BSL-1.0
#pragma once

// O_DIRECT reads and writes (gup-semantics §1.4, §8.1 columns DR, DW, §8.3).
//
//   variant   pin_user_pages_fast, WRITE for a read of the file (which writes memory)
//   result    all bytes, or bad_address for the whole call – although what lies before the bad page
//             has been moved by then: the device was given those pages before the next ones failed
//   blocks    the length is judged first; only then are pages pinned. What was pinned goes to the
//             device in whole blocks. Memory that is not aligned to a block: in 6.18 who splits a
//             request finds out, and one that lies in a single page is not split; the same across
//             pages is invalid (measured on 6.18, for a file that lies in one extent: several are
//             judged one after the other). Kernels up to 6.17 look before they pin.

#include <mmhold/callers/user_range.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// What the device asks of addresses and lengths: multiples of its logical block, a power of two.
inline constexpr std::uint64_t usual_block_bytes = 512;

namespace detail {

/// move(pages, offset, done, bytes) is the device.
template<GupProfile P, class Space, class Cpu, class Move>
constexpr result<std::uint64_t> direct_io(Space& mm, Cpu& me, user_range memory,
                                          std::uint64_t block_bytes, gup_flags flags, Move move) {
    if (!std::has_single_bit(block_bytes)) return errc::invalid_argument;
    if (!in_user_space(memory, mm.limits().end)) return errc::bad_address;
    if (memory.bytes == 0) return std::uint64_t{0};
    auto const misaligned = memory.start.value % block_bytes != 0;
    if (memory.bytes % block_bytes != 0) return errc::invalid_argument;
    if (misaligned && P::direct_io_looks_first) return errc::invalid_argument;
    std::array<pfn, 16> out{};
    std::uint64_t done = 0;
    while (done < memory.bytes) {
        auto const at = memory.start.plus(done);
        auto const touched = pages_touched(at, memory.bytes - done);
        auto const wanted = page_count{std::min<std::uint64_t>(touched, out.size())};
        auto const got = pin_fast<P>(mm, me, at, wanted, flags, out);
        if (got.pages == 0) return errc::bad_address;
        pinned held{mm.frames(), std::span{out}.first(got.pages), holding::pin};
        auto there = std::min(memory.bytes - done, got.pages * page_size - at.offset());
        there -= there % block_bytes;
        if (there == 0) return errc::bad_address;  // less than a block in front of the bad page
        if (misaligned && at.offset() + there > page_size) return errc::invalid_argument;
        move(held.pages(), at.offset(), done, there);
        if (flags.has(gup_flag::write)) held.release_dirty();
        done += there;
    }
    return done;
}

}  // namespace detail

/// A read from a file: the device's bytes `file` come to lie at `at`. Answers their number. Errors:
/// invalid_argument – `block_bytes` is no power of two, the length is not a multiple of it, or the
/// address is not and the memory does not lie in one page; bad_address – not user space, or some
/// page cannot be written: then the blocks before it have been written all the same.
///
/// Mm lock: not held by the caller; taken only for pages that the fast walk cannot pin. May sleep.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> direct_io_read(Space& mm, Cpu& me, virt_addr at,
                                               std::span<std::byte const> file,
                                               std::uint64_t block_bytes = usual_block_bytes) {
    auto const move = [&](std::span<pfn const> pages, std::uint64_t offset, std::uint64_t done,
                          std::uint64_t bytes) {
        copy_to_pages(mm.frames(), pages, offset, file.subspan(done, bytes));
    };
    return detail::direct_io<P>(mm, me, {at, file.size()}, block_bytes, gup_flag::write, move);
}

/// A write to a file: `file` receives the bytes at `at`; everything else as direct_io_read().
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> direct_io_write(Space& mm, Cpu& me, virt_addr at,
                                                std::span<std::byte> file,
                                                std::uint64_t block_bytes = usual_block_bytes) {
    auto const move = [&](std::span<pfn const> pages, std::uint64_t offset, std::uint64_t done,
                          std::uint64_t bytes) {
        copy_from_pages(mm.frames(), pages, offset, file.subspan(done, bytes));
    };
    return detail::direct_io<P>(mm, me, {at, file.size()}, block_bytes, {}, move);
}

}  // namespace mmhold
