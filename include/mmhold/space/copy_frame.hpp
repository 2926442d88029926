// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/space/frame.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>

namespace mmhold {

/// The contents of frame `from` in frame `to`; nothing happens in a pool without bytes. The caller
/// holds both. `Frames` is a frame_pool, or whatever a user has put in its place: its own bytes()
/// are asked.
template<class Frames>
constexpr void copy_frame(Frames const& frames, pfn from, pfn to) noexcept {
    auto const bytes = frames.bytes(to);
    if (!bytes.empty()) std::ranges::copy(frames.bytes(from), bytes.begin());
}

/// Bytes [from, to) of consecutive frames, `first` and those behind it, become zero; nothing
/// happens in a pool without bytes. The caller holds them.
template<class Frames>
constexpr void zero_frames(Frames const& frames, pfn first, std::uint64_t from, std::uint64_t to) {
    while (from < to) {
        auto const inside = from & (page_size - 1);
        auto const count = std::min(page_size - inside, to - from);
        auto const bytes = frames.bytes(first.plus(from >> page_shift));
        if (bytes.empty()) return;
        std::ranges::fill(
            bytes.subspan(static_cast<std::size_t>(inside), static_cast<std::size_t>(count)),
            std::byte{0});
        from += count;
    }
}

/// A frame of one's own with the contents of `from`: anonymous and exclusive, as copy-on-write
/// makes it. Its one reference is the caller's, who holds `from`. Error: no_memory.
template<class Frames>
[[nodiscard]] constexpr result<pfn> allocate_copy_of(Frames& frames, pfn from) noexcept {
    auto const copy = frames.allocate(frame_kind::anonymous);
    if (!copy) return copy;
    frames.set_exclusive(*copy);
    copy_frame(frames, from, *copy);
    return copy;
}

}  // namespace mmhold
