// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/paging/page_format.hpp>
#include <mmhold/space/frame.hpp>

namespace mmhold {

/// Does `entry` map a frame of the table, whose mappings are counted? Not a marker, nor a special
/// leaf: the zero page, a driver's number. `Frames` is a frame_table, or what stands in for one.
template<class Frames>
[[nodiscard]] constexpr bool maps_frame(Frames const& frames, page_entry const& entry) noexcept {
    return entry.is_leaf() && !entry.special && frames.contains(entry.target);
}
/// And is the frame anonymous: memory of somebody's own?
template<class Frames>
[[nodiscard]] constexpr bool maps_anonymous(Frames const& frames,
                                            page_entry const& entry) noexcept {
    return maps_frame(frames, entry) && frames.kind(entry.target) == frame_kind::anonymous;
}

}  // namespace mmhold
