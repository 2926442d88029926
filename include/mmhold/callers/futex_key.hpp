// SPDX-License-Identifier: BSL-1.0
#pragma once

// A futex word shared between processes is named by its page (gup-semantics §1.4, §8.1 columns FW,
// FO, note 2).
//
//   variant   get_user_pages_fast(1, WRITE); where that says bad_address and reading is enough, the
//             same again without WRITE
//   result    a key, or bad_address. Memory of one process is named by its address, so it must be
//             writable: a read-only anonymous page would be exchanged by the next write.

#include <mmhold/callers/user_range.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/result.hpp>

#include <array>
#include <cstdint>

namespace mmhold {

/// What names a futex word.
struct futex_key {
    /// The address, for memory of one process; the frame of an object's page otherwise (Linux: its
    /// inode and index, which outlive the frame).
    std::uint64_t place{0};
    std::uint32_t offset{0};  ///< of the word in its page
    bool of_object{false};    ///< is it an object's page?

    friend constexpr bool operator==(futex_key, futex_key) = default;
};

/// The key of the four bytes at `at`, which the futex call only compares (access::read) or changes
/// (access::write). Errors: invalid_argument – not a multiple of 4; bad_address. Nothing is held
/// afterwards. Mm lock: not held by the caller. May sleep.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<futex_key> get_futex_key(Space& mm, Cpu& me, virt_addr at, access wanted) {
    if (at.value % 4 != 0) return errc::invalid_argument;
    if (!in_user_space({at, 4}, mm.limits().end)) return errc::bad_address;
    std::array<pfn, 1> page{};
    auto read_only = false;
    auto got = gup_fast<P>(mm, me, at, page_count{1}, gup_flag::write, page);
    if (got.pages == 0 && got.error == errc::bad_address && wanted == access::read) {
        got = gup_fast<P>(mm, me, at, page_count{1}, {}, page);
        read_only = true;
    }
    if (got.pages == 0) return got.error;
    pinned const held{mm.frames(), page, holding::reference};
    auto const kind = mm.frames().kind(page.front());
    auto const offset = static_cast<std::uint32_t>(at.offset());
    if (kind == frame_kind::page_cache) {
        auto const gone = mm.frames().attributes(page.front()).has(frame_attribute::truncated);
        if (gone) return errc::bad_address;
        return futex_key{page.front().value, offset, true};
    }
    // A page of the kernel's own, or of zeroes, belongs to no object and to no process.
    if (kind == frame_kind::other || read_only) return errc::bad_address;
    return futex_key{at.page_start().value, offset, false};
}

}  // namespace mmhold
