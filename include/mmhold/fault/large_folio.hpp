// SPDX-License-Identifier: BSL-1.0
#pragma once

// large_folio – a fault maps a whole large leaf at once (gup-semantics §8.2, row thp).
//
// Faulter   looks whether the entry for a large leaf is none → allocates with no lock held → locks
//           the entry again: still none? installs the leaf. A page table has come in between, or
//           there is no folio: the fault is answered with a small page.
// Pinner    (lockless) sees none or the finished leaf: contents before the entry, as install.hpp.
//
// Measured on 6.18: a read of untouched memory maps the large zero folio – 512 pages present, none
// resident, one minor fault –, a write of that maps a large folio of its own in its place, one
// fault again; pages that FORCE writes to are read-only for the owner, but the whole leaf is. What
// has a page table already, and a 2 MiB range that reaches over the vma's end, get small pages.

#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <bit>
#include <cstdint>

namespace mmhold {

/// Folios that are mapped by one leaf of level 1. A cheap view of an address space.
template<class Space>
class large_folio {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;

    static constexpr unsigned level = 1;
    /// How many pages one has; 0: the format has no such leaves.
    static constexpr std::uint64_t pages = format::levels > 1 ? format::leaf_pages(1) : 0;
    static constexpr unsigned order = pages == 0 ? 0 : std::bit_width(pages) - 1;

    constexpr explicit large_folio(Space& space) noexcept : space_{space} {}

    /// Where the leaf around `at` lies.
    [[nodiscard]] static constexpr page_span around(virt_addr at) noexcept {
        return detail::pages_between(entry_start<format>(at, level), entry_end<format>(at, level));
    }

    /// Answers a fault at `site`, where no page is mapped and the vma may have large folios. True:
    /// a large leaf is in place now. False: nothing has changed, a small page is to be mapped. Mm
    /// lock: held shared.
    [[nodiscard]] constexpr bool fill(fault_site const& site, cpu_type& me) {
        if constexpr (pages == 0) return false;
        auto const range = around(site.at);
        auto const inside =
            site.area->span.start() <= range.start() && range.end() <= site.area->span.end();
        if (!inside || !is_free(me, site.at)) return false;
        space_.note_own_pages(site.at);  // large zeroes are enough
        auto const leaf = site.write() ? fresh_leaf(site) : zero_leaf(site);
        if (!leaf) return false;
        auto entry = space_.table().lock_leaf(me, site.page(), level, if_absent::create);
        auto const found = entry ? entry->read() : page_entry{};
        if (entry && found.none()) {
            entry->set(*leaf);
            space_.note_mapped(*leaf, pages);
            return true;
        }
        entry = errc::again;  // unlocks
        if (!leaf->special) space_.frames().put(leaf->target, pages);
        return found.is_leaf();
    }

    /// Puts a large folio in the place of `zeroes`, the leaf of the large zero folio at `site`:
    /// writable if the vma is, even for an unsharing (measured: do_huge_zero_wp_pmd). Success: it
    /// is, or the entry has changed meanwhile. Error: no_memory. Mm lock: held shared.
    [[nodiscard]] constexpr result<void> replace(fault_site const& site, cpu_type& me,
                                                 page_entry const& zeroes) {
        auto const leaf = fresh_leaf(site);
        if (!leaf) return leaf.error();
        auto entry = space_.table().lock_leaf(me, site.page(), level, if_absent::fail);
        if (!entry || entry->read() != zeroes) {
            entry = errc::again;  // unlocks
            space_.frames().put(leaf->target, pages);
            return {};
        }
        (void)entry->clear();
        space_.flush()(around(site.at));
        entry->set(*leaf);
        space_.note_mapped(*leaf, pages);
        return {};
    }

    /// A zeroed anonymous folio, exclusive, with one reference per page: the caller's.
    /// Error: no_memory.
    [[nodiscard]] constexpr result<pfn> allocate() {
        auto& frames = space_.frames();
        auto const folio = frames.allocate(frame_kind::anonymous, order);
        if (!folio) return folio;
        frames.get(*folio, pages - 1);
        for (std::uint64_t i = 0; i < pages; ++i) frames.set_exclusive(folio->plus(i));
        return folio;
    }

private:
    /// Is the entry for a large leaf none? Looks under its lock; out of date at once.
    [[nodiscard]] constexpr bool is_free(cpu_type& me, virt_addr at) {
        auto const entry = space_.table().lock_leaf(me, at, level, if_absent::create);
        return entry && entry->read().none();
    }

    [[nodiscard]] constexpr result<page_entry> fresh_leaf(fault_site const& site) {
        auto const folio = allocate();
        if (!folio) return folio.error();
        // A write that FORCE has smuggled past a read-only vma gets clean, read-only pages.
        auto const dirties = permits(site.area->prot, access::write);
        return leaf_for(*site.area, *folio, dirties ? install_for::writing : install_for::reading);
    }

    [[nodiscard]] constexpr result<page_entry> zero_leaf(fault_site const& site) {
        auto const folio = space_.frames().zero_folio(order);
        if (!folio) return folio.error();
        return zero_leaf_for(*site.area, *folio);
    }

    Space& space_;
};

}  // namespace mmhold
