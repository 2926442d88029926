// SPDX-License-Identifier: BSL-1.0
#pragma once

// collapse_large – what is mapped in small pages becomes one large folio (MADV_COLLAPSE).
//
// Collapser  mm lock exclusively: swapped pages are read in → a large folio → paging/collapse.hpp:
//            the table is unlinked, flushed, every lockless walk that may have seen it has ended →
//            each folio has just the references of its mappings? else somebody holds it, perhaps by
//            a pin: the table is linked again → copies, zeroes in holes → the large leaf → the old
//            pages are let go. (gup-semantics §6.1, §6.2 #5)
// Sharers    keep the old pages: they are copied, and the collapser's are exclusive now (§9.1, THP
//            collapse ×4).
//
// Measured on 6.18: holes and the zero page count as zeroes, however many; a range that is a leaf
// already, large zeroes included, is done; whatever rights the vma has, PROT_NONE included. EINVAL
// where no page table is, for guards and other markers, for pages that userfault write-protects, in
// vmas that never had a page but the zero page, refuse large folios or have no room for one; EAGAIN
// where somebody holds a page.

#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/fault/large_folio.hpp>
#include <mmhold/fault/swap_in.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/paging/collapse.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/page_family.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/unmapped_pages.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <optional>

namespace mmhold {

namespace detail {

/// The CollapsePolicy: may the pages of the table be replaced by `fresh`? Then they are copied.
template<class Space>
class replaced_by_copy {
public:
    using format = typename Space::format;
    static constexpr auto pages = large_folio<Space>::pages;

    constexpr replaced_by_copy(Space& space, vma const& area, pfn fresh) noexcept
        : space_{space}, area_{area}, fresh_{fresh} {}

    /// Why the pages stay; ok if they do not.
    [[nodiscard]] constexpr errc refusal() const noexcept { return refusal_; }

    template<class View>
    [[nodiscard]] constexpr std::optional<page_entry> operator()(View const& table) {
        refusal_ = errc::ok;
        for (unsigned i = 0; i < View::size() && refusal_ == errc::ok; ++i) {
            refusal_ = refuse(table.entry(i));
        }
        if (refusal_ != errc::ok) return std::nullopt;
        for (unsigned i = 0; i < View::size(); ++i) copy(table.entry(i), fresh_.plus(i));
        auto leaf = leaf_for(area_, fresh_, install_for::writing);
        leaf.protnone = area_.prot.empty();
        leaf.user = !leaf.protnone;
        space_.note_mapped(leaf, pages);
        return leaf;
    }

private:
    [[nodiscard]] constexpr errc refuse(page_entry const& entry) const noexcept {
        auto const& frames = space_.frames();
        // Who fills the holes himself does not want them filled.
        auto const zeroes = entry.none() || (entry.special && frames.is_zero(entry.target));
        if (zeroes) return area_.source == nullptr ? errc::ok : errc::busy;
        if (!entry.is_leaf() || entry.uffd_wp || entry.special) return errc::invalid_argument;
        if (!frames.contains(entry.target)) return errc::invalid_argument;
        if (frames.kind(entry.target) != frame_kind::anonymous) return errc::invalid_argument;
        auto const held =
            frames.look_after_clear(entry.target).references != frames.map_count(entry.target);
        return held ? errc::again : errc::ok;
    }

    constexpr void copy(page_entry const& from, pfn to) {
        if (from.none() || from.special) return;  // zeroes already
        copy_frame(space_.frames(), from.target, to);
    }

    Space& space_;
    vma const& area_;
    pfn fresh_;
    errc refusal_{errc::ok};
};

/// MADV_COLLAPSE under the mm lock.
template<class Space>
class collapser {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using large = large_folio<Space>;

    constexpr collapser(Space& space, cpu_type& me) noexcept
        : space_{space}, me_{me}, large_{space}, swap_in_{space} {}

    /// One vma's share, `part`: what the call answers for it. Linux wants an anon_vma there.
    constexpr errc collapse_in(vma const& area, page_family pages, page_span part) {
        auto const around = large::around(part.start());
        auto const first = around.start() == part.start() ? around.start() : around.end();
        auto const last = large::around(part.end()).start();
        if (!has_room(area) || last < first || !pages.exists()) return errc::invalid_argument;
        auto answer = errc::ok;
        for (auto at = first; at < last; at = at.plus_pages(large::pages)) {
            auto const done = collapse_at(area, at);
            if (done != errc::ok) answer = done;
            if (done == errc::no_memory || done == errc::busy) break;  // the rest would fare alike
        }
        return answer;
    }

private:
    [[nodiscard]] static constexpr bool has_room(vma const& area) noexcept {
        if (large::pages == 0 || !is_anonymous(area)) return false;
        if (area.flags.has(vma_flag::large_refused) || area.span.pages() < large::pages) {
            return false;
        }
        auto const last = virt_addr{area.span.end().value - large::pages * page_size};
        return large::around(last).start() >= area.span.start();
    }

    constexpr errc collapse_at(vma const& area, virt_addr at) {
        if (auto const read = read_swapped(area, at); read != errc::ok) return read;
        auto const fresh = large_.allocate();
        if (!fresh) return errc::no_memory;
        replaced_by_copy<Space> policy{space_, area, *fresh};
        unmapped_pages<Space> old{space_, me_, empty_tables::stay};
        auto const done =
            space_.table().collapse(me_, at, large::level, policy, old, space_.flush());
        if (done) return errc::ok;
        space_.frames().put(*fresh, large::pages);
        if (done.error() == errc::exists) return errc::ok;  // a leaf already
        return policy.refusal() != errc::ok ? policy.refusal() : errc::invalid_argument;
    }

    /// Nobody discards or swaps pages meanwhile: they hold the mm lock.
    constexpr errc read_swapped(vma const& area, virt_addr start) {
        for (auto at = start; at < start.plus_pages(large::pages); at = at.plus_pages(1)) {
            auto entry = space_.table().lock_leaf(me_, at, 0, if_absent::fail);
            if (!entry) return errc::ok;  // no table: collapse_table() knows what to say
            auto const found = entry->read();
            if (found.is_marker() && !is_swapped(found)) return errc::invalid_argument;
            if (!is_swapped(found)) continue;
            if (found.uffd_wp) return errc::invalid_argument;
            fault_site const site{&area, at, {}};
            auto const read = swap_in_.resolve(site, me_, *std::move(entry));
            if (!read) return read.error();
        }
        return errc::ok;
    }

    Space& space_;
    cpu_type& me_;
    large large_;
    swap_in<Space> swap_in_;
};

}  // namespace detail

/// madvise(MADV_COLLAPSE): every aligned 2 MiB range of private memory in `span` gets a large folio
/// with the same contents, exclusive and with the vma's rights; whether large folios are advised
/// does not matter.
///
/// Mm lock: held exclusively. It synchronizes: no lockless reader may be waiting for the caller.
/// Errors: invalid_argument – see the top, and shared memory, which Linux can collapse as well;
/// again – somebody holds a page; busy – a source would have to fill holes; no_memory – no folio,
/// or there was a hole in the mappings: everything else is done. After an error the ranges in front
/// of the one that failed, and of those behind it the ones that could, are large. lock_not_held.
template<class Space>
constexpr result<void> collapse_large_locked(held_exclusive<typename Space::lock_type> const& held,
                                             typename Space::cpu_type& me, Space& space,
                                             page_span span) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    if (!space.valid() || !me.valid()) return errc::no_memory;
    detail::collapser<Space> collapser{space, me};
    auto const& layout = space.layout_for_change(held);
    return for_each_advised(held, space, span, [&](vma const& area, page_span part) {
        auto const pages = layout.family_at(part.start());
        return result<void>{collapser.collapse_in(area, pages, part)};
    });
}

/// The same under a lock of its own. Also errc::interrupted, as mmap.
template<class Space>
constexpr result<void> collapse_large(typename Space::cpu_type& me, Space& space, page_span span) {
    return under_exclusive_lock<result<void>>(space.lock(), me.current(), [&](auto const& held) {
        return collapse_large_locked(held, me, space, span);
    });
}

}  // namespace mmhold
