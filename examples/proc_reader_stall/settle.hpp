// SPDX-License-Identifier: BSL-1.0
#pragma once

// From lines of a maps file to mappings of an address space.

#include <mmhold/space/mmap_request.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/result.hpp>

#include "maps_file.hpp"
#include "world.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stall {

/// How many mappings there are now, and how many pages they have: what a /proc reader finds out.
struct walked {
    std::size_t mappings{0};
    std::uint64_t pages{0};
    friend bool operator==(walked, walked) = default;
};
[[nodiscard]] inline walked walk_mappings(world& in, held_shared const& held) {
    walked out;
    in.mm.for_each_vma(held, [&](mmhold::vma const& area) {
        ++out.mappings;
        out.pages += area.span.pages();
    });
    return out;
}

/// A line that has no place in the simulated address space.
struct left_out {
    std::size_t index{0};  // in the regions
    std::string_view why{};
};

/// What became of the lines.
struct settled {
    walked built{};
    std::vector<left_out> rest{};
};

namespace detail {

/// Device and inode as one number: 0 is no file.
inline std::uint64_t file_number(maps_region const& from) {
    if (from.inode == 0) return 0;
    auto const device = (std::uint64_t{from.device_major} << 20U) ^ from.device_minor;
    return from.inode ^ (device << 40U);
}

/// Two lines that look alike are two mappings for a reason the file does not tell: they are kept
/// apart.
inline mmhold::vma_flags properties_of(maps_region const& from) {
    using mmhold::vma_flag;
    constexpr mmhold::vma_flags kernel_data{vma_flag::io, vma_flag::pfnmap};
    return mmhold::vma_flags{vma_flag::dont_expand}
        .with_if(from.kind == region_kind::stack, vma_flag::grows_down)
        .with_if(from.kind == region_kind::vvar, kernel_data);
}

}  // namespace detail

/// The mmap() call that makes `from` again, at its place and at no other.
[[nodiscard]] inline mmhold::mmap_request request_for(maps_region const& from) {
    using mmhold::mmap_flag;
    mmhold::mmap_request out;
    out.hint = from.start;
    out.pages = mmhold::page_count{from.pages()};
    out.prot = from.prot;
    out.flags = mmhold::mmap_flags{mmap_flag::fixed_noreplace}.with_if(
        from.share == sharing::shared, mmap_flag::shared);
    out.kind = from.kind;
    out.properties = detail::properties_of(from);
    out.file = detail::file_number(from);
    out.file_page = from.offset >> mmhold::page_shift;
    out.name = mmhold::vma_name{from.path};
    return out;
}

/// Maps every line, as cpu `me`. Lines that cannot be mapped are left out, with the reason.
[[nodiscard]] inline settled settle(world& in, cpu_type& me, std::span<maps_region const> regions) {
    settled out;
    {
        auto const held = held_exclusive::acquire(in.mm.lock());
        for (std::size_t i = 0; i < regions.size(); ++i) {
            auto const start = in.mm.mmap_locked(held, me, request_for(regions[i]));
            if (start) continue;
            auto const above = regions[i].end > in.mm.limits().end;
            out.rest.push_back({i, above ? "above user space" : describe(start.error())});
        }
    }
    auto const held = in.hold();
    out.built = walk_mappings(in, held);
    return out;
}

/// The part of the layout whose missing pages the pager supplies.
struct pager_area {
    mmhold::page_span span{};  // at least as many pages as asked for
    std::string name{};
    bool made{false};  // the layout had none that would do; this one was mapped for the purpose
};

namespace detail {

/// Private, readable and writable, without a file behind it, and large enough?
inline bool suits_pager(mmhold::vma const& area, std::uint64_t pages) {
    return mmhold::is_anonymous(area) && permits(area.prot, mmhold::access::read) &&
           permits(area.prot, mmhold::access::write) && area.span.pages() >= pages &&
           mmhold::check_userfault_vma(area) == mmhold::errc::ok;
}

inline std::optional<pager_area> largest_pager_area(world& in, std::uint64_t pages) {
    std::optional<pager_area> best;
    auto const held = in.hold();
    in.mm.for_each_vma(held, [&](mmhold::vma const& area) {
        auto const larger = !best || area.span.pages() > best->span.pages();
        if (!larger || !suits_pager(area, pages)) return;
        auto const name = area.name.view();
        best = pager_area{area.span, std::string{name.empty() ? "anonymous memory" : name}, false};
    });
    return best;
}

}  // namespace detail

/// The largest private writable part of the layout with at least `pages` pages; if there is none, a
/// new mapping. Error: what mmap() says.
[[nodiscard]] inline mmhold::result<pager_area> find_pager_area(world& in, cpu_type& me,
                                                                std::uint64_t pages) {
    if (auto found = detail::largest_pager_area(in, pages)) return *found;
    mmhold::mmap_request request{.pages = mmhold::page_count{pages}};
    request.name = mmhold::vma_name{"[anon:pager]"};
    auto const start = in.mm.mmap(me, request);
    if (!start) return start.error();
    auto const span = *mmhold::page_span::from(*start, request.pages);
    return pager_area{span, "[anon:pager]", true};
}

}  // namespace stall
