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
