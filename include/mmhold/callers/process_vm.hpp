// SPDX-License-Identifier: BSL-1.0
#pragma once

// process_vm_readv and process_vm_writev (gup-semantics §1.4, §8.1 columns PR, PW, §8.3).
//
//   variant   pin_user_pages_remote, WRITE to write, may lose the lock; a new hold for each batch
//   result    the bytes moved; bad_address if there are none, whatever the cause
//
// Protection keys play no role, not even on the caller's own memory. Pages that were pinned before
// the bad one are moved; the bad one ends the call.

#include <mmhold/callers/user_range.hpp>
#include <mmhold/gup/drive.hpp>
#include <mmhold/gup/remote.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mmhold {

namespace detail {

/// One call: `move(pages, offset, place, bytes)` moves what has been pinned; `place` counts the
/// bytes from the beginning of the local side.
template<std::size_t Batch, GupProfile P, class Space, class Cpu, class Move>
class process_vm_call {
public:
    constexpr process_vm_call(Space& mm, Cpu& me, gup_flags flags, std::uint64_t room,
                              Move move) noexcept
        : mm_{mm}, me_{me}, flags_{flags}, room_{room}, move_{move} {}

    constexpr result<std::uint64_t> run(std::span<user_range const> remote) {
        for (auto const& range : remote) {
            if (!move_range(range)) break;
        }
        if (done_ == 0 && failed_) return errc::bad_address;
        return done_;
    }

private:
    /// False: the call ends here.
    constexpr bool move_range(user_range range) {
        for (auto left = std::min(range.bytes, room_ - done_); left != 0;) {
            auto const moved = move_batch(range.start, left);
            if (moved == 0) return failed_ = true, false;
            left -= moved;
            done_ += moved;
            range.start = range.start.plus(moved);
        }
        return done_ < room_;
    }

    /// How many bytes from `at` on could be moved; 0 if not even the first page was had.
    constexpr std::uint64_t move_batch(virt_addr at, std::uint64_t left) {
        auto const wanted = std::min<std::uint64_t>(pages_touched(at, left), Batch);
        auto const span = page_span::from(at.page_start(), page_count{wanted});
        if (!span) return 0;
        auto const got = pin_batch(*span);
        pinned held{mm_.frames(), std::span{pages_}.first(static_cast<std::size_t>(got)),
                    holding::pin};
        auto const there = got == 0 ? 0 : std::min(left, got * page_size - at.offset());
        if (there != 0) move_(held.pages(), at.offset(), done_, there);
        if (flags_.has(gup_flag::write)) held.release_dirty();
        return there;
    }

    constexpr std::uint64_t pin_batch(page_span span) {
        auto held = take_shared<typename Space::machine>(mm_.lock(), me_.current(),
                                                         wait_mode::uninterruptible);
        if (!held) return 0;
        return pin_remote<P>(mm_, me_, may_drop(*held), span, flags_, pages_).pages;
    }

    Space& mm_;
    Cpu& me_;
    gup_flags flags_;
    std::uint64_t room_;  // of the local side
    Move move_;
    std::array<pfn, Batch> pages_{};
    std::uint64_t done_{0};
    bool failed_{false};
};

}  // namespace detail

/// Reads `remote`, range after range, until `local` is full (process_vm_readv). Answers the bytes
/// read; bad_address if not even one could be. `Batch`: pages pinned at a time; Linux takes 16 from
/// its stack and up to 1024 for longer ranges, which only shows in how often the lock is taken.
///
/// Mm lock of `mm`: not held by the caller; taken for each batch and perhaps lost. May sleep.
template<std::size_t Batch = 16, GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> process_vm_read(Space& mm, Cpu& me,
                                                std::span<user_range const> remote,
                                                std::span<std::byte> local) {
    auto const move = [&](std::span<pfn const> pages, std::uint64_t offset, std::uint64_t place,
                          std::uint64_t bytes) {
        copy_from_pages(mm.frames(), pages, offset, local.subspan(place, bytes));
    };
    return detail::process_vm_call<Batch, P, Space, Cpu, decltype(move)>{
        mm, me, {}, local.size(), move}
        .run(remote);
}

/// Writes `local` to `remote` (process_vm_writev); everything else as process_vm_read().
template<std::size_t Batch = 16, GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> process_vm_write(Space& mm, Cpu& me,
                                                 std::span<user_range const> remote,
                                                 std::span<std::byte const> local) {
    auto const move = [&](std::span<pfn const> pages, std::uint64_t offset, std::uint64_t place,
                          std::uint64_t bytes) {
        copy_to_pages(mm.frames(), pages, offset, local.subspan(place, bytes));
    };
    return detail::process_vm_call<Batch, P, Space, Cpu, decltype(move)>{mm, me, gup_flag::write,
                                                                         local.size(), move}
        .run(remote);
}

}  // namespace mmhold
