// SPDX-License-Identifier: BSL-1.0
#pragma once

// migrate – a page goes to another frame, and nobody who uses its address notices.
//
// Mover     take the page (taken_page.hpp) → freeze it: now nobody else holds it, nor can → copy →
//           install the new frame in its place, with the same rights → let the old one go.
//           (gup-semantics §6.1, "try_to_unmap / migration / swap-out")
// Holders   a pin or a plain reference means that somebody uses the frame itself: busy, and the
//           page stays.

#include <mmhold/lock/held.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/taken_page.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

namespace mmhold {

namespace detail {

/// The contents of the frozen page, and what is known about it, in `fresh`.
template<class Space>
constexpr void copy_frozen(Space& space, taken_page<Space> const& from, pfn fresh) {
    auto& frames = space.frames();
    copy_frame(frames, from.page(), fresh);
    if (from.was_exclusive()) frames.set_exclusive(fresh);
    if (frames.dirty(from.page())) frames.mark_dirty(fresh);
    if (frames.accessed(from.page())) frames.mark_accessed(fresh);
}

}  // namespace detail

/// Moves the page at `at` to a frame of its own choice – one that may be pinned for ever, if it is
/// to be `fixed`; answers the new frame. The old one is free afterwards.
///
/// Mm lock: held, shared or exclusively, through `held`. Errors, and then the page is where it was:
/// busy – pinned, referenced, or mapped elsewhere too; no_memory – no frame; bad_address – nothing
/// is mapped there, or it was discarded meanwhile; not_supported – see taken_page::take;
/// lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<pfn> migrate_page(W const& held, typename Space::cpu_type& me, Space& space,
                                   virt_addr at,
                                   frame_mobility where = frame_mobility::movable) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    auto& frames = space.frames();
    auto const fresh = frames.allocate(frame_kind::anonymous, 0, where);
    if (!fresh) return fresh;
    auto const taken = taken_page<Space>::take(space, me, at.page_start());
    auto const frozen = taken && frames.try_freeze(taken->page(), 1);
    if (!frozen) {
        if (taken) taken->put_back(space, me);
        frames.put(*fresh);
        return taken ? errc::busy : taken.error();
    }
    detail::copy_frozen(space, *taken, *fresh);
    auto leaf = taken->leaf();
    leaf.target = *fresh;
    auto const installed = taken->replace(space, me, leaf);
    frames.unfreeze(taken->page(), 1);
    frames.put(taken->page());
    if (installed) return *fresh;
    frames.put(*fresh);
    return errc::bad_address;
}

}  // namespace mmhold
