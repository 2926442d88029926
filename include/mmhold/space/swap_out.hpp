// SPDX-License-Identifier: BSL-1.0
#pragma once

// swap_out – pages that nobody has held of late go to the swap store, and their frames are free.
//
// Taker     take the page (taken_page.hpp) → freeze it → write its contents to a slot → "swapped"
//           in its place → let the frame go. (gup-semantics §6.1)
// Faulter   finds "swapped" → reads the slot into a frame of its own → installs that
//           (fault/swap_in.hpp).
// Discarder gives the slot back with the entry (address_space::note_unmapped).
// Forker    counts one more reference to the slot for the child's entry, and takes exclusive away
//           from both (fork.hpp).
//
// There is no swap cache: a page is in memory or in the store, and each entry that names a slot
// reads a page of its own. Whether the page was exclusive stands in the entry (§4.4): one that was
// not is judged by its next write like any other page.

#include <mmhold/lock/held.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/entry_frame.hpp>
#include <mmhold/space/lazy_free.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/split_folio.hpp>
#include <mmhold/space/taken_page.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/unmapped_pages.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace mmhold {

/// Moves the page at `at` to the space's swap store; answers its slot, which is the entry's.
///
/// Mm lock: held, shared or exclusively, through `held`. Errors, and then the page is where it was:
/// busy – pinned, referenced, or mapped elsewhere too; no_memory – the store is full; bad_address –
/// nothing is mapped there, or it was discarded meanwhile; not_supported – the space has no store,
/// or see taken_page::take; lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<std::uint64_t> swap_out_page(W const& held, typename Space::cpu_type& me,
                                              Space& space, virt_addr at) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    if (space.swap() == nullptr) return errc::not_supported;
    auto& frames = space.frames();
    auto& store = *space.swap();
    auto const slot = store.allocate();
    if (!slot) return slot;
    auto const taken = taken_page<Space>::take(space, me, at.page_start());
    auto const frozen = taken && frames.try_freeze(taken->page(), 1);
    if (!frozen) {
        if (taken) taken->put_back(space, me);
        store.release(*slot);
        return taken ? errc::busy : taken.error();
    }
    store.write(*slot, frames.bytes(taken->page()));
    auto const whose = taken->was_exclusive() ? exclusivity::exclusive : exclusivity::shared;
    auto const marker = swapped_entry(taken->leaf(), *slot, whose);
    auto const installed = taken->replace(space, me, marker);
    frames.unfreeze(taken->page(), 1);
    frames.put(taken->page());
    if (installed) return *slot;
    store.release(*slot);
    return errc::bad_address;
}

namespace detail {

/// The addresses of the next few pages of `span` that could be swapped out; `from` moves on. A
/// large leaf is split on the way, or passed over.
template<class Space>
struct pages_to_swap {
    using format = typename Space::format;

    std::array<virt_addr, 32> at{};
    std::size_t count{0};

    constexpr result<void> find(Space& space, typename Space::cpu_type& me, page_span span,
                                virt_addr& from) {
        count = 0;
        auto const left = pages_between(from, span.end());
        from = span.end();
        auto large = span.end();
        auto const note = [&](virt_addr here, page_entry const& entry, unsigned level) {
            if (!entry.is_leaf()) return onward::next;
            if (level != 0) {
                large = here;
                return onward::stop;
            }
            at[count++] = here;
            if (count < at.size()) return onward::next;
            from = here.plus_pages(1);
            return onward::stop;
        };
        auto const seen = space.table().visit(me, left, note);
        if (large < span.end()) from = behind_large(space, me, span, std::max(large, left.start()));
        return seen;
    }

private:
    /// Where to go on: at the same place, if the leaf around `here` could be split.
    static constexpr virt_addr behind_large(Space& space, typename Space::cpu_type& me,
                                            page_span span, virt_addr here) {
        // What is swapped out takes its zeroes along; the rest is merely split.
        if (split_sharing_zeroes_at(space, me, here, span)) return here;
        return std::min(entry_end<format>(here, 1), span.end());
    }
};

/// May reclaim look at the pages of this vma (can_madv_lru_vma)?
[[nodiscard]] constexpr bool can_be_paged_out(vma const& area) noexcept {
    return can_be_discarded(area);
}

/// Takes the entry for an object's page away, if it is the only one. The object keeps the page,
/// pinned or not, but for shared memory's that nobody has written to (measured on 6.18; Linux lets
/// clean pages of files go, too: here they stay, and are not read in again). False: it is no such
/// page.
template<class Space>
constexpr bool unmap_objects_page(typename Space::cpu_type& me, Space& space, vma const& area,
                                  virt_addr at) {
    auto const& frames = space.frames();
    {
        auto const entry = space.table().lock_leaf(me, at, 0, if_absent::fail);
        auto const leaf = entry ? entry->read() : page_entry{};
        if (!maps_frame(frames, leaf)) return false;
        auto const only_here = frames.map_count(leaf.target) == 1;
        if (frames.kind(leaf.target) != frame_kind::page_cache || !only_here) return false;
    }
    {
        unmapped_pages<Space> gone{space, me, empty_tables::stay, staying_mark::guard};
        auto const page = *page_span::from(at, page_count{1});
        if (!space.table().unmap(me, page, gone, space.flush())) return false;
    }
    auto* const object = page_cache_of<Space>(area);
    if (object != nullptr && object->kind() == object_kind::shmem) {
        object->forget_if_clean(area.file_page_at(at));
    }
    return true;
}

/// Reclaim's choice for one page. Errors: why it stays.
template<class Space, class W>
constexpr result<void> page_out_one(W const& held, typename Space::cpu_type& me, Space& space,
                                    vma const& area, virt_addr at) {
    if (area.object != nullptr && unmap_objects_page(me, space, area, at)) return {};
    if (may_be_dropped(me, space, area, at)) return drop_lazy_page(held, me, space, area, at);
    return swap_out_page(held, me, space, at).error();
}

/// page_out() within one vma: how many pages went.
template<class Space, class W>
constexpr result<std::uint64_t> page_out_area(W const& held, typename Space::cpu_type& me,
                                              Space& space, vma const& area, page_span span) {
    std::uint64_t gone = 0;
    pages_to_swap<Space> next;
    for (auto from = span.start(); from < span.end();) {
        if (auto const found = next.find(space, me, span, from); !found) return found.error();
        for (std::size_t i = 0; i < next.count; ++i) {
            auto const out = page_out_one(held, me, space, area, next.at[i]);
            if (out) ++gone;
            if (out.error() == errc::no_memory) return gone;
        }
    }
    return gone;
}

}  // namespace detail

/// madvise(MADV_PAGEOUT): every page of `span` that is neither pinned nor held nor shared goes to
/// the swap store – or is forgotten, if it may be (lazy_free.hpp) –, and an object's page that is
/// mapped nowhere else is unmapped; how many did. The others stay, and when the store is full, or
/// there is none, the rest stays; that is no error. Large folios that are nobody else's are
/// split; in what is left of one, pages of zeroes become the zero page (measured on 6.18).
///
/// Mm lock: held shared or exclusively. Errors: invalid_argument – a mapping whose pages must stay
/// (locked, device memory): those above it are left alone; no_memory – there was a hole, everything
/// else is done; lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<std::uint64_t> page_out_locked(W const& held, typename Space::cpu_type& me,
                                                Space& space, page_span span) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    std::uint64_t gone = 0;
    auto const each = [&](vma const& area, page_span part) -> result<void> {
        if (!detail::can_be_paged_out(area)) return errc::invalid_argument;
        auto const done = detail::page_out_area(held, me, space, area, part);
        gone += done.value_or(0);
        return done.error();
    };
    auto const outcome = for_each_advised(held, space, span, each);
    if (!outcome) return outcome.error();
    return gone;
}

/// The same under the lock, shared, for the time of the call. Also errc::again, as dontneed().
template<class Space>
constexpr result<std::uint64_t> page_out(typename Space::cpu_type& me, Space& space,
                                         page_span span) {
    return under_shared_lock<result<std::uint64_t>>(
        space.lock(), [&](auto const& held) { return page_out_locked(held, me, space, span); });
}

}  // namespace mmhold
