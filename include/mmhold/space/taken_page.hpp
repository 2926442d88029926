// SPDX-License-Identifier: BSL-1.0
#pragma once

// taken_page – a page is taken out of the page table, so that it can be moved or swapped out, or
// not, if somebody turns out to hold it. The remover's half of the share protocol (gup-semantics
// §6.1, last paragraph; §6.2 #12).
//
// Taker     all under the page table lock: clear the entry → flush → full barrier → look at the
//           pins: there are some? the old entry again, busy → the page stops being exclusive → the
//           entry becomes "moving". The entry's reference is the taker's now.
//           Then, without the lock: freeze the page, expecting that one reference (frame_pool.hpp).
//           Refused? somebody holds it by a plain reference: put_back(). Frozen: nobody can get at
//           the contents any more; copy them, replace() the marker, let the old page go.
// Pinner    (lockless) read the entry → pin → full barrier → read the entry AGAIN → exclusive? So
//           the taker sees the pin, or the pinner sees the entry changed.
// Put back  exclusive first, then the old entry: who finds it writable finds the page exclusive.
// Faulter   finds "moving" → gives the page table lock back → waits until the page is not moving
//           (frame_table::await_moved) → looks again.
// Discarder takes the marker away like any other. replace() and put_back() then find it gone, and
//           the page goes with them.
//
// Protector  (userfault_protect.hpp) changes the marker's mark; replace() hands it on.
//
// A marker is unmistakable: it names a page that the taker holds, so no other can be the same.

#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/entry_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/split_folio.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

namespace mmhold {

/// One page of one space, between take() and put_back() or replace(), exactly one of which must
/// follow. Used by one actor, who holds the mm lock of the space, shared or exclusively, all the
/// time.
template<class Space>
class [[nodiscard]] taken_page {
public:
    using cpu_type = typename Space::cpu_type;

    /// Takes the page at `at` (page-aligned). Only anonymous pages that are mapped once: all others
    /// are found by their mappings in Linux, and those are not recorded here. A large folio is
    /// split first (split_folio_at), and stays so.
    ///
    /// Errors, and then nothing has changed: busy – pinned, or mapped elsewhere too; bad_address –
    /// nothing is mapped, or a marker; not_supported – a page of another kind, or without a frame;
    /// no_memory – the cpu is not valid(), or for the table of a split leaf.
    static constexpr result<taken_page> take(Space& space, cpu_type& me, virt_addr at) {
        auto entry = space.table().lock_leaf(me, at, 0, if_absent::fail);
        if (entry ? is_large(space, entry->read()) : entry.error() == errc::exists) {
            entry = errc::again;  // unlocks
            if (auto const split = split_folio_at(space, me, at); !split) return split.error();
            entry = space.table().lock_leaf(me, at, 0, if_absent::fail);
        }
        if (!entry) return entry.error() == errc::exists ? errc::busy : entry.error();
        if (auto const refused = refuse(space, entry->read()); refused != errc::ok) return refused;
        auto& frames = space.frames();
        auto const old = entry->clear();
        if (auto const page = page_span::from(at, page_count{1})) space.flush()(*page);
        taken_page taken{at, old, frames.exclusive(old.target)};
        if (!frames.try_share(old.target)) {
            entry->set(old);
            return errc::busy;
        }
        frames.set_moving(old.target);
        entry->set(moving_entry(old));
        (void)space.note_unmapped(old, 1);
        return taken;
    }

    /// The page; one reference to it is the caller's.
    [[nodiscard]] constexpr pfn page() const noexcept { return leaf_.target; }
    /// The entry as it was, what the hardware had set in it included.
    [[nodiscard]] constexpr page_entry const& leaf() const noexcept { return leaf_; }
    /// Was the page exclusive?
    [[nodiscard]] constexpr bool was_exclusive() const noexcept { return exclusive_; }

    /// Everything is as it was before; the reference is the entry's again, or given back if
    /// somebody has discarded the page meanwhile. The page is not frozen.
    constexpr void put_back(Space& space, cpu_type& me) const {
        if (exclusive_) space.frames().set_exclusive(page());
        if (!replace(space, me, leaf_)) space.frames().put(page());
    }

    /// Puts `entry`, a leaf or a marker, in the page's place; a leaf's reference is the entry's
    /// then. The page stays the caller's. False: somebody has discarded the page meanwhile; `entry`
    /// is not in place.
    [[nodiscard]] constexpr bool replace(Space& space, cpu_type& me,
                                         page_entry const& entry) const {
        auto place = space.table().lock_leaf(me, at_, 0, if_absent::fail);
        auto const marker = place ? place->read() : page_entry{};
        auto const found = is_moving(marker) && marker.target == leaf_.target;
        if (found) {
            auto const stays = protected_as(marker, entry);
            place->set(stays);
            space.note_mapped(stays, 1);
        }
        // Still under the lock: from there on the page may be somebody else's.
        space.frames().clear_moving(page());
        return found;
    }

private:
    constexpr taken_page(virt_addr at, page_entry const& leaf, bool exclusive) noexcept
        : at_{at}, leaf_{leaf}, exclusive_{exclusive} {}

    [[nodiscard]] static constexpr bool is_large(Space const& space,
                                                 page_entry const& entry) noexcept {
        auto const& frames = space.frames();
        return maps_frame(frames, entry) && frames.order_of(entry.target) != 0;
    }

    /// Whether the page is write-protected for a userfault may have changed on the way.
    [[nodiscard]] static constexpr page_entry protected_as(page_entry const& marker,
                                                           page_entry entry) noexcept {
        entry.uffd_wp = marker.uffd_wp;
        if (entry.is_leaf() && entry.uffd_wp) entry.writable = false;
        return entry;
    }

    [[nodiscard]] static constexpr errc refuse(Space& space, page_entry const& entry) noexcept {
        if (!entry.is_leaf()) return errc::bad_address;
        auto const& frames = space.frames();
        if (entry.special || !frames.contains(entry.target)) return errc::not_supported;
        if (frames.kind(entry.target) != frame_kind::anonymous) return errc::not_supported;
        if (frames.order_of(entry.target) != 0) return errc::busy;  // mapped anew meanwhile
        return frames.map_count(entry.target) == 1 ? errc::ok : errc::busy;
    }

    virt_addr at_;
    page_entry leaf_;
    bool exclusive_;
};

}  // namespace mmhold
