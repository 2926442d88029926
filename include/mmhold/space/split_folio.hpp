// SPDX-License-Identifier: BSL-1.0
#pragma once

// split_folio – single pages of a large folio that is mapped, for who wants to move or swap out one
// of them (taken_page.hpp).
//
// Splitter  under the lock of the page table with all mappings: freezes the folio, expecting just
//           the references of those mappings → every page becomes a folio of its own, with one
//           mapping and one reference, or none, and is freed → thaws them. No entry changes.
// Pinner    (lockless) read the entry → grab: refused while frozen; afterwards, whichever folio it
//           had looked up, frame_pool looks it up again (§5.4).
// Zeroes    (measured on 6.18: a folio that is split has its pages of zeroes replaced by the zero
//           page.) Clear the entry → flush → freeze the page, expecting one reference: refused? the
//           old entry again → look at the contents → the zero page instead → let the page go.

#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/entry_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace mmhold {

namespace detail {

/// Splits large folios. Used by one actor, who holds the mm lock.
template<class Space>
class folio_splitter {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using guard = typename Space::table_type::guard;

    constexpr folio_splitter(Space& space, cpu_type& me) noexcept : space_{space}, me_{me} {}

    /// See split_folio_at().
    constexpr result<void> split(virt_addr at) {
        for (;;) {
            auto entry = space_.table().lock_leaf(me_, at, 0, if_absent::fail);
            if (entry) return split_behind(*entry);
            if (entry.error() != errc::exists) return entry.error();
            if (auto const pieces = split_leaf_at(at); !pieces) return pieces;
        }
    }

    /// See share_zeroes_at().
    constexpr result<void> share_zeroes(virt_addr at) {
        auto entry = space_.table().lock_leaf(me_, at, 0, if_absent::fail);
        if (!entry) return entry.error();
        auto const old = entry->read();
        if (!is_single(old) || !is_zeroes(old.target)) return {};
        auto& frames = space_.frames();
        (void)entry->clear();
        if (auto const page = page_span::from(at, page_count{1})) space_.flush()(*page);
        if (!frames.try_freeze(old.target, 1)) return entry->set(old), errc::busy;
        auto const still = is_zeroes(old.target);
        frames.unfreeze(old.target, 1);
        if (!still) return entry->set(old), errc::ok;
        entry->set(zeroes_instead_of(old));
        (void)space_.note_unmapped(old, 1);
        entry->unlock();
        frames.put(old.target);
        return {};
    }

private:
    [[nodiscard]] constexpr bool is_own(page_entry const& entry) const noexcept {
        return maps_anonymous(space_.frames(), entry);
    }
    [[nodiscard]] constexpr bool is_single(page_entry const& entry) const noexcept {
        return is_own(entry) && space_.frames().order_of(entry.target) == 0;
    }
    [[nodiscard]] constexpr bool is_zeroes(pfn page) const noexcept {
        auto const bytes = space_.frames().bytes(page);
        return !bytes.empty() &&
               std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
    }
    [[nodiscard]] constexpr page_entry zeroes_instead_of(page_entry leaf) const noexcept {
        leaf.target = space_.frames().zero_page();
        leaf.special = true;
        leaf.writable = leaf.dirty = false;
        return leaf;
    }

    /// A folio that others hold or map stays one leaf.
    constexpr result<void> split_leaf_at(virt_addr at) {
        auto const& tree = space_.table().tree();
        if (auto const admitted = tree.admit(me_, at); !admitted) return admitted;
        auto locked = tree.lock_lowest(me_, at);
        auto const level = locked.level();
        auto const leaf = locked.read(format::index(at, level));
        locked.unlock();
        if (level == 0) return {};
        if (!leaf.is_leaf()) return errc::bad_address;
        if (!is_own(leaf)) return errc::not_supported;
        auto const& frames = space_.frames();
        auto const pages = entry_pages<format>(level);
        auto const ours =
            frames.map_count(leaf.target) == pages && frames.ref_count(leaf.target) == pages;
        if (!ours) return errc::busy;
        return split_leaf(tree, me_, at, level, space_.flush());
    }

    /// Nothing to do where the page is single already.
    constexpr result<void> split_behind(guard const& entry) {
        auto const leaf = entry.read();
        if (!is_own(leaf)) return leaf.is_leaf() ? errc::not_supported : errc::bad_address;
        auto& frames = space_.frames();
        if (frames.order_of(leaf.target) == 0) return {};
        auto const is_mapped = [&](pfn page) {
            // Wraps around for pages below, and is too large then as well.
            auto const index = entry.index() + (page.value - leaf.target.value);
            if (index >= format::entries_per_table) return false;
            auto const other = entry.table().read(static_cast<unsigned>(index));
            return other.is_leaf() && !other.special && other.target == page;
        };
        std::uint32_t mapped = 0;
        auto const head = frames.head_of(leaf.target);
        auto const pages = std::uint64_t{1} << frames.order_of(leaf.target);
        for (std::uint64_t i = 0; i < pages; ++i) mapped += is_mapped(head.plus(i)) ? 1U : 0U;
        return frames.split_mapped_folio(leaf.target, mapped, is_mapped);
    }

    Space& space_;
    cpu_type& me_;
};

}  // namespace detail

/// Makes single pages of the anonymous large folio that is mapped at `at` (page-aligned), and small
/// leaves of its leaf; where the page is single already there is nothing to do. What is mapped does
/// not change; pages of the folio that are mapped no more are freed.
///
/// Mm lock: held, shared or exclusively. Errors, and then the folio is as it was: busy – pinned,
/// referenced, or mapped elsewhere too; bad_address – nothing is mapped there, or a marker;
/// not_supported – another kind of page; no_memory – for the table of small leaves.
template<class Space>
constexpr result<void> split_folio_at(Space& space, typename Space::cpu_type& me, virt_addr at) {
    return detail::folio_splitter<Space>{space, me}.split(at);
}

/// If the single anonymous page at `at` is full of zeroes and nobody else holds it, the zero page
/// takes its place; else nothing happens, which is success as well, or busy. Mm lock: held, shared
/// or exclusively. Also bad_address and exists: no small leaf is mapped there.
template<class Space>
constexpr result<void> share_zeroes_at(Space& space, typename Space::cpu_type& me, virt_addr at) {
    return detail::folio_splitter<Space>{space, me}.share_zeroes(at);
}

/// split_folio_at(), then share_zeroes_at() for each page of what was one leaf, but for those of
/// `kept`. Mm lock and errors: those of split_folio_at().
template<class Space>
constexpr result<void> split_sharing_zeroes_at(Space& space, typename Space::cpu_type& me,
                                               virt_addr at, page_span kept = {}) {
    using format = typename Space::format;
    if (auto const split = split_folio_at(space, me, at); !split) return split;
    for (auto page = entry_start<format>(at, 1); page < entry_end<format>(at, 1);
         page = page.plus_pages(1)) {
        if (!kept.contains(page)) (void)share_zeroes_at(space, me, page);
    }
    return {};
}

}  // namespace mmhold
