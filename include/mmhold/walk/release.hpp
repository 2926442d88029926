// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/gup_flags.hpp>

#include <cstdint>

namespace mmhold {

/// Gives back what one walk_answer held: `pages` pages of one folio from `first` on, held as `how`.
/// The exact inverse of the pool's try_grab(). `frames`: the frame_pool they came from. No lock
/// needed.
template<class Frames>
constexpr void release_pages(Frames& frames, pfn first, std::uint64_t pages, holding how) noexcept {
    switch (how) {
        case holding::none: return;
        case holding::reference: return frames.put(first, pages);
        case holding::pin: return frames.unpin(first, pages);
    }
}

}  // namespace mmhold
