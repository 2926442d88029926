// SPDX-License-Identifier: BSL-1.0
#pragma once

// /proc/PID/mem and ptrace's PEEK and POKE (gup-semantics §1.4, §8.1 columns MR, MW, TP, TK).
//
//   variant   get_user_page_vma_remote: one page a time, FORCE, WRITE to write; the lock is kept
//             over all pages, so a userfault is an error
//   result    the bytes moved; io if there are none. ptrace moves a whole word or says io – after
//             it may have written the first part of a word that crosses into a bad page.
//
// FORCE reads whatever mprotect could make readable and writes private mappings only (§4.1). What
// Linux tries after gup has failed is not here: growing a stack, and a driver's own access method.

#include <mmhold/callers/user_range.hpp>
#include <mmhold/gup/drive.hpp>
#include <mmhold/gup/remote.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

namespace detail {

/// access_remote_vm: `bytes` bytes at `at` under one hold; move(page, offset, done, bytes). Answers
/// how many were moved.
template<GupProfile P, class Space, class Cpu, class Move>
constexpr std::uint64_t access_remote(Space& mm, Cpu& me, virt_addr at, std::uint64_t bytes,
                                      gup_flags flags, Move move) {
    auto const held =
        take_shared<typename Space::machine>(mm.lock(), me.current(), wait_mode::killable);
    if (!held) return 0;
    std::uint64_t done = 0;
    while (done < bytes) {
        auto const place = at.plus(done);
        auto const span = page_span::from(place.page_start(), page_count{1});
        std::array<pfn, 1> page{};
        if (!span || gup_remote<P>(mm, me, *held, *span, flags, page).pages == 0) break;
        pinned hold{mm.frames(), page, holding::reference};
        auto const here = std::min(page_size - place.offset(), bytes - done);
        move(hold.pages(), place.offset(), done, here);
        if (flags.has(gup_flag::write)) hold.release_dirty();
        done += here;
    }
    return done;
}

/// mem_rw: a page's worth of bytes at a time, each under a hold of its own.
template<GupProfile P, class Space, class Cpu, class Move>
constexpr result<std::uint64_t> proc_mem(Space& mm, Cpu& me, virt_addr at, std::uint64_t bytes,
                                         gup_flags flags, Move move) {
    if (bytes != 0 && bytes > ~at.value) return errc::overflow;
    std::uint64_t done = 0;
    while (done < bytes) {
        auto const chunk = std::min(page_size, bytes - done);
        auto const shifted = [&](std::span<pfn const> pages, std::uint64_t offset,
                                 std::uint64_t place,
                                 std::uint64_t n) { move(pages, offset, done + place, n); };
        auto const moved = access_remote<P>(mm, me, at.plus(done), chunk, flags, shifted);
        if (moved == 0) break;
        done += moved;
    }
    if (done == 0 && bytes != 0) return errc::io;
    return done;
}

}  // namespace detail

/// pread of /proc/PID/mem at `at`. Answers the bytes read. Errors: io – not even one; overflow –
/// the range wraps. Mm lock of `mm`: not held by the caller, kept over each chunk, never lost.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> proc_mem_read(Space& mm, Cpu& me, virt_addr at,
                                              std::span<std::byte> to) {
    return detail::proc_mem<P>(mm, me, at, to.size(), gup_flag::force,
                               [&](std::span<pfn const> pages, std::uint64_t offset,
                                   std::uint64_t done, std::uint64_t bytes) {
                                   copy_from_pages(mm.frames(), pages, offset,
                                                   to.subspan(done, bytes));
                               });
}

/// pwrite of /proc/PID/mem; everything else as proc_mem_read().
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> proc_mem_write(Space& mm, Cpu& me, virt_addr at,
                                               std::span<std::byte const> from) {
    return detail::proc_mem<P>(mm, me, at, from.size(), {gup_flag::force, gup_flag::write},
                               [&](std::span<pfn const> pages, std::uint64_t offset,
                                   std::uint64_t done, std::uint64_t bytes) {
                                   copy_to_pages(mm.frames(), pages, offset,
                                                 from.subspan(done, bytes));
                               });
}

/// PTRACE_PEEKDATA: fills `word` – eight bytes – from `at`. Error: io, and `word` may have changed.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> ptrace_peek(Space& mm, Cpu& me, virt_addr at, std::span<std::byte, 8> word) {
    auto const moved = detail::access_remote<P>(
        mm, me, at, word.size(), gup_flag::force,
        [&](std::span<pfn const> pages, std::uint64_t offset, std::uint64_t done,
            std::uint64_t bytes) {
            copy_from_pages(mm.frames(), pages, offset, word.subspan(done, bytes));
        });
    return moved == word.size() ? errc::ok : errc::io;
}

/// PTRACE_POKEDATA: writes `word` to `at`. Error: io; a part that could be written has been.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> ptrace_poke(Space& mm, Cpu& me, virt_addr at,
                                   std::span<std::byte const, 8> word) {
    auto const moved = detail::access_remote<P>(
        mm, me, at, word.size(), {gup_flag::force, gup_flag::write},
        [&](std::span<pfn const> pages, std::uint64_t offset, std::uint64_t done,
            std::uint64_t bytes) {
            copy_to_pages(mm.frames(), pages, offset, word.subspan(done, bytes));
        });
    return moved == word.size() ? errc::ok : errc::io;
}

}  // namespace mmhold
