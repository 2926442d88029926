// SPDX-License-Identifier: BSL-1.0
#pragma once

// lazy_free – pages whose contents may be forgotten, if memory is short before somebody writes to
// them again (MADV_FREE); and droppable mappings (MAP_DROPPABLE), all pages of which are like that,
// even dirty ones.
//
// Adviser   mm lock shared, page table lock: the page counts as lazily free → the entry is clean
//           and not accessed → flush. Swapped pages go at once.
// Writer    stores: the hardware makes the entry dirty again, without a fault; who writes through
//           a pin marks the page dirty.
// Reclaimer takes the page (taken_page.hpp) → freezes it: nobody holds it, nor can → entry and page
//           clean? it is gone, and the next touch finds zeroes. Dirty? put back, and an ordinary
//           page from now on.
//
// Measured on 6.18: reading does not save a page, writing does; a page of several processes, or one
// that somebody holds, stays until it is one's alone; a child of fork shares the fate of its
// parent's page.

#include <mmhold/lock/held.hpp>
#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/split.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/entry_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/taken_page.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

namespace mmhold {

/// May the pages of `area` be lazily free? Private memory of its own (/dev/zero's is), not locked.
/// (Measured on 6.18.)
[[nodiscard]] constexpr bool can_be_lazily_free(vma const& area) noexcept {
    return is_anonymous(area) && area.object == nullptr && can_be_discarded(area) &&
           !area.flags.has(vma_flag::io);
}

namespace detail {

/// Advises within one vma. Used by one actor, who holds the mm lock.
template<class Space>
class lazy_adviser {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using guard = typename Space::table_type::tree_type::guard;

    constexpr lazy_adviser(Space& space, cpu_type& me) noexcept : space_{space}, me_{me} {}

    constexpr result<void> advise(page_span part) {
        auto const& tree = space_.table().tree();
        if (auto const admitted = tree.admit(me_, part); !admitted) return admitted;
        if (auto const ready = split_ends(tree, me_, part, space_.flush()); !ready) return ready;
        changed_range changed;
        auto const each = [&](guard& locked, unsigned index, virt_addr at,
                              page_entry const& entry) {
            if (entry.is_marker()) {
                forget(locked, index, entry);
            } else if (make_lazy(locked, index, entry)) {
                changed.add(at, entry_end<format>(at, locked.level()));
            }
            return onward::next;
        };
        for (auto at = part.start(); at < part.end();) {
            at = tree.visit_one_table(me_, at, part.end(), each);
        }
        changed.flush_with(space_.flush());
        return {};
    }

private:
    /// What is swapped out or poisoned is nothing worth keeping.
    constexpr void forget(guard& locked, unsigned index, page_entry const& marker) {
        if (!is_swapped(marker) && !is_poisoned(marker)) return;
        (void)space_.note_unmapped(locked.clear(index), 1);
    }
    /// Has the entry changed?
    constexpr bool make_lazy(guard& locked, unsigned index, page_entry const& leaf) {
        auto& frames = space_.frames();
        if (!maps_anonymous(frames, leaf)) return false;
        if (frames.dirty(leaf.target)) {
            // What others have written is not ours to forget.
            if (frames.map_count(leaf.target) != 1 && locked.level() == 0) return false;
            (void)frames.take_dirty(leaf.target);
        }
        frames.add_attributes(leaf.target, frame_attribute::lazily_free);
        auto const used = leaf.accessed || leaf.dirty;
        if (used) {
            // Cleared first: what the hardware has set until then is known, and forgotten.
            auto clean = locked.clear(index);
            clean.accessed = clean.dirty = false;
            locked.set(index, clean);
        }
        return used;
    }

    Space& space_;
    cpu_type& me_;
};

}  // namespace detail

/// madvise(MADV_FREE): the contents of the pages in `span` may be forgotten, until somebody writes
/// to them. Swapped pages read as zero at once. Guards stay.
///
/// Mm lock: held shared or exclusively. Errors: invalid_argument – a mapping that is not private
/// memory, or locked: those above it are left alone; no_memory – there was a hole, everything else
/// is done, or a large leaf cannot be split; lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<void> lazy_free_locked(W const& held, typename Space::cpu_type& me, Space& space,
                                        page_span span) {
    detail::lazy_adviser<Space> adviser{space, me};
    return for_each_advised(held, space, span, [&](vma const& area, page_span part) {
        return can_be_lazily_free(area) ? adviser.advise(part)
                                        : result<void>{errc::invalid_argument};
    });
}
/// The same under the lock, shared, for the time of the call. Also errc::again, as dontneed().
template<class Space>
constexpr result<void> lazy_free(typename Space::cpu_type& me, Space& space, page_span span) {
    return under_shared_lock<result<void>>(
        space.lock(), [&](auto const& held) { return lazy_free_locked(held, me, space, span); });
}

/// Is drop_lazy_page() worth a try for the page at `at`, mapped in `area`? Out of date at once. Mm
/// lock: held.
template<class Space>
[[nodiscard]] constexpr bool may_be_dropped(typename Space::cpu_type& me, Space& space,
                                            vma const& area, virt_addr at) {
    auto const& frames = space.frames();
    auto const entry = space.table().lock_leaf(me, at, 0, if_absent::fail);
    if (!entry) return false;
    auto const leaf = entry->read();
    if (!maps_anonymous(frames, leaf)) return false;
    return area.flags.has(vma_flag::droppable) ||
           frames.attributes(leaf.target).has(frame_attribute::lazily_free);
}

/// Reclaim looks at the page at `at`, mapped in `area`: if it is lazily free and clean, or
/// droppable, it is gone.
///
/// Mm lock: held, shared or exclusively. Errors, and then the page is where it was:
/// invalid_argument – an ordinary page, and if it was lazily free it is so no longer: somebody has
/// written to it; busy – pinned, referenced, or mapped elsewhere too; bad_address – nothing is
/// mapped, or it was discarded meanwhile; not_supported, no_memory – see taken_page::take.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<void> drop_lazy_page(W const& held, typename Space::cpu_type& me, Space& space,
                                      vma const& area, virt_addr at) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    auto& frames = space.frames();
    auto const taken = taken_page<Space>::take(space, me, at);
    if (!taken) return taken.error();
    auto const page = taken->page();
    auto const droppable = area.flags.has(vma_flag::droppable);
    auto const lazy = frames.attributes(page).has(frame_attribute::lazily_free);
    if (!frames.try_freeze(page, 1)) {
        taken->put_back(space, me);
        return errc::busy;
    }
    auto const clean = !taken->leaf().dirty && !frames.dirty(page);
    if (droppable || (lazy && clean)) {
        (void)taken->replace(space, me, page_entry{});
        frames.unfreeze(page, 1);
        frames.put(page);
        return {};
    }
    frames.remove_attributes(page, frame_attribute::lazily_free);
    frames.unfreeze(page, 1);
    taken->put_back(space, me);
    return errc::invalid_argument;
}

}  // namespace mmhold
