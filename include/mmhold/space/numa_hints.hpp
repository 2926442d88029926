// SPDX-License-Identifier: BSL-1.0
#pragma once

// numa_hints – pages are made inaccessible for a moment, to learn who uses them (NUMA balancing).
//
// Marker    (task_numa_work) takes the entry out, puts it back PROT_NONE-like and read-only, though
//           its vma is accessible; flushes.
// Faulter   finds such an entry in an accessible vma → gives it the vma's rights back
//           (without_numa_hint; present_page does it). The page does not move.
// gup       follows it, except who asks to honour hints (KVM: gup-semantics §4.2 item 2), or wants
//           to write: the entry is read-only. gup_fast stops there (§5.2).
//
// Not measured: the kernel at hand has one node and balancing switched off. As read in 6.12 and
// 7.0.

#include <mmhold/lock/held.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/space/entry_rights.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// Is `entry`, in `area`, a NUMA hint?
[[nodiscard]] constexpr bool is_numa_hint(vma const& area, page_entry const& entry) noexcept {
    return entry.is_leaf() && entry.protnone && !area.prot.empty();
}

/// The hint with the rights of `area` again; writable if a write needs no fault otherwise
/// (do_numa_page). The page table lock is held.
template<Machine M>
[[nodiscard]] constexpr page_entry without_numa_hint(frame_pool<M> const& frames, vma const& area,
                                                     page_entry const& hint) noexcept {
    return entry_rights<M>{frames, area}(hint);
}

/// Are the pages of this vma worth a hint? Not device memory, hugetlb, what a driver has put there,
/// memory that nobody may touch, and mappings of files that are only read: those are everybody's
/// (task_numa_work).
[[nodiscard]] constexpr bool takes_numa_hints(vma const& area) noexcept {
    constexpr vma_flags never{vma_flag::io, vma_flag::pfnmap, vma_flag::hugetlb,
                              vma_flag::dont_expand, vma_flag::fsdax};
    auto const only_read = permits(area.prot, access::read) && !permits(area.prot, access::write);
    if (area.has_file_pages() && only_read) return false;
    return !area.flags.has_any(never) && !area.prot.empty();
}

namespace detail {

/// What becomes of an entry that is to be a hint (change_pte_range with MM_CP_PROT_NUMA): shared
/// copy-on-write pages, pinned ones, and dirty pages of files stay as they are, for they could not
/// be moved.
template<Machine M>
struct numa_hint_change {
    frame_pool<M> const& frames;
    vma const& area;
    std::uint64_t marked{0};

    constexpr page_entry operator()(page_entry const& old) noexcept {
        if (!old.is_leaf() || old.protnone || old.special || stays(old.target)) return old;
        auto hint = old;
        hint.protnone = true;
        hint.user = hint.writable = false;
        ++marked;
        return hint;
    }

private:
    [[nodiscard]] constexpr bool stays(pfn page) const noexcept {
        if (!frames.contains(page)) return true;
        auto const pages = std::uint32_t{1} << frames.order_of(page);
        auto const held = frames.maybe_pinned(page) || frames.map_count(page) > pages;
        if (is_cow_mapping(area) && held) return true;
        auto const of_file = frames.kind(page) == frame_kind::page_cache &&
                             !frames.attributes(page).has(frame_attribute::shmem);
        return of_file && frames.dirty(page);
    }
};

}  // namespace detail

/// Makes hints of the pages that are present in `span`; answers how many entries there were.
///
/// Mm lock: held, shared or exclusively, through `held`. Holes are skipped. Errors: lock_not_held;
/// invalid_argument – not all user space; no_memory – a leaf that reaches over an end cannot be
/// split; entries below it are hints then.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<std::uint64_t> mark_numa_hints_locked(W const& held, typename Space::cpu_type& me,
                                                       Space& space, page_span span) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    if (span.end() > space.limits().end) return errc::invalid_argument;
    std::uint64_t marked = 0;
    result<void> outcome;
    space.for_each_vma_in(held, span, [&](vma const& area, page_span part) {
        if (!takes_numa_hints(area)) return true;
        detail::numa_hint_change<typename Space::machine> change{space.frames(), area};
        outcome = space.table().protect(me, part, change, space.flush());
        marked += change.marked;
        return outcome.has_value();
    });
    if (!outcome) return outcome.error();
    return marked;
}

/// The same under the lock, shared, for the time of the call. Also errc::again, as dontneed().
template<class Space>
constexpr result<std::uint64_t> mark_numa_hints(typename Space::cpu_type& me, Space& space,
                                                page_span span) {
    return under_shared_lock<result<std::uint64_t>>(space.lock(), [&](auto const& held) {
        return mark_numa_hints_locked(held, me, space, span);
    });
}

}  // namespace mmhold
