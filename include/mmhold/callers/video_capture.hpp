// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/gup/gup.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <span>

namespace mmhold {

/// A driver that fills a user's buffer for as long as the stream runs, and holds the mm lock when
/// it asks for the pages because it has looked at the vmas under it (video capture, InfiniBand;
/// gup-semantics §1.4): pin_user_pages with WRITE and LONGTERM. The lock is never given up, so a
/// page that only a userfault can supply is an error at once.
///
/// All pages or none: answers their number. `out` receives the frames, one pin each, for the caller
/// to unpin. Errors, and then nothing is pinned: bad_address – some page cannot be had; others as
/// pin() says. Mm lock: held shared by the caller, before and after.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<std::uint64_t> pin_capture_buffer(
    Space& mm, Cpu& me, held_shared<typename Space::lock_type> const& held, page_span buffer,
    std::span<pfn> out) {
    auto const got = pin<P>(mm, me, held, buffer, {gup_flag::write, gup_flag::longterm}, out);
    if (got.complete()) return got.pages;
    pinned{mm.frames(), std::span<pfn const>{out.first(got.pages)}, holding::pin}.release();
    return got.error == errc::ok || got.pages != 0 ? errc::bad_address : got.error;
}

}  // namespace mmhold
