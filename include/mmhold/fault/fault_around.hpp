// SPDX-License-Identifier: BSL-1.0
#pragma once

// fault_around – a read fault maps what the object has already in the neighbourhood
// (do_fault_around, fault_around_bytes): 16 pages, aligned, inside the same vma and the same page
// table. It shows in what is present afterwards, and in how many faults the next reads need.
//
// One corner, measured on 6.18: where no page table serves the window yet, its first cached page
// decides who creates the table. If that is the last page of a file (not of shared memory, which
// may be mapped by large leaves across its end), nobody does, and nothing is mapped around.

#include <mmhold/fault/fault_site.hpp>
#include <mmhold/fault/install.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// Maps the neighbours of a missing page, read-only as a read fault would. A cheap view of an
/// address space.
template<class Space>
class fault_around {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using object_type = typename Space::object_type;

    constexpr explicit fault_around(Space& space) noexcept : space_{space} {}

    /// For a read of `site`, whose vma shows an object: maps the object's pages around it that are
    /// cached. What cannot be mapped is left out. Nothing, where a userfault wants to hear of
    /// writes or of each page (measured on 6.18). Mm lock: held shared.
    constexpr void map(fault_site const& site, cpu_type& me) {
        constexpr vma_flags page_by_page{vma_flag::userfault_wp, vma_flag::userfault_minor};
        if (site.area->flags.has_any(page_by_page)) return;
        auto& object = static_cast<object_type&>(*site.area->object);
        auto const pages = window_of(site);
        if (pages.end - pages.lowest == 1) return;
        auto const first = site.area->file_page_at(virt_addr{pages.lowest << page_shift});
        auto const found = cached_in(object, first, pages.end - pages.lowest);
        if (found.count == 0) return;
        if (nobody_makes_the_table(object, site, me, found)) return let_go(found);
        for (auto const& [index, page] : std::span{found.pages}.first(found.count)) {
            auto const at = virt_addr{(pages.lowest + (index - first)) << page_shift};
            (void)object.while_cached(index, page, [&]() -> result<void> {
                space_.frames().get(page);
                auto const leaf = leaf_for(*site.area, page, install_for::reading);
                return install_page(space_, me, at, leaf, over_marker::refuse);
            });
        }
        let_go(found);
    }

private:
    /// How many pages a read fault looks at, and how they are aligned.
    static constexpr std::uint64_t window = 16;

    /// Numbers of pages of the address space.
    struct page_window {
        std::uint64_t lowest;
        std::uint64_t end;
    };
    [[nodiscard]] static constexpr page_window window_of(fault_site const& site) noexcept {
        auto const& span = site.area->span;
        auto const number = site.page().value >> page_shift;
        auto const in_table = number % format::entries_per_table;
        auto const lowest = std::max(number - number % window, span.start().value >> page_shift);
        auto const table_end = number - in_table + format::entries_per_table;
        return {lowest, std::min({lowest + window, table_end, span.end().value >> page_shift})};
    }

    /// Cached pages, each with a reference.
    struct cached_pages {
        struct cached_page {
            std::uint64_t index;
            pfn page;
        };
        std::array<cached_page, window> pages{};
        std::size_t count{0};
    };
    [[nodiscard]] static constexpr cached_pages cached_in(object_type& object, std::uint64_t first,
                                                          std::uint64_t pages) {
        cached_pages found;
        object.find_each(first, pages, [&](std::uint64_t index, pfn page) {
            found.pages[found.count++] = {index, page};
        });
        return found;
    }

    [[nodiscard]] constexpr bool nobody_makes_the_table(object_type& object, fault_site const& site,
                                                        cpu_type& me, cached_pages const& found) {
        auto const first = found.pages[0].index;
        auto const is_last = (first + 1) << page_shift >= object.size();
        if (object.kind() != object_kind::file || !is_last) return false;
        auto const& tree = space_.table().tree();
        return !tree.admit(me, site.at) || tree.lock_lowest(me, site.at).level() != 0;
    }

    constexpr void let_go(cached_pages const& found) {
        for (std::size_t i = 0; i < found.count; ++i) space_.frames().put(found.pages[i].page);
    }

    Space& space_;
};

}  // namespace mmhold
