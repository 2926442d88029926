// SPDX-License-Identifier: BSL-1.0
#pragma once

// placement – where mmap puts a mapping.
//
// As Linux does on x86-64, without randomisation: a fixed address is taken or refused; a hint is
// taken if there is room; else the highest free place below mmap_base; else the lowest free place
// above a third of user space. Above 47 bits only who hints there is placed (5-level tables), a gap
// stays free below every mapping that grows down, and anonymous memory of whole large leaves is
// aligned to them. (Checked address by address against Linux 6.18.)

#include <mmhold/machine/machine.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/vma_map.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace mmhold {

/// The limits of one address space's layout. The defaults are those of 4-level x86-64.
struct layout_limits {
    virt_addr end{task_size_max(48)};     ///< the end of user space (TASK_SIZE_MAX)
    virt_addr window{task_size_max(48)};  ///< mappings without a higher hint stay below
    virt_addr mmap_base{window.value - 128 * 1024 * 1024};  ///< where the search downwards starts
    virt_addr lowest{16 * page_size};     ///< no mapping is placed below (vm.mmap_min_addr)
    std::uint64_t stack_gap_pages{256};   ///< stays free below what grows down (stack_guard_gap)
    std::uint64_t stack_pages{2048};      ///< the longest that grows down gets (RLIMIT_STACK)
    std::size_t max_map_count{65530};     ///< vm.max_map_count
    std::uint64_t large_leaf_pages{512};  ///< multiples of it are aligned to it; 0: nothing is
    large_folios transparent{large_folios::advised};  ///< where faults may map large folios

    /// The limits for a format with addresses of `virtual_bits`.
    [[nodiscard]] static constexpr layout_limits of(unsigned virtual_bits) noexcept {
        layout_limits limits;
        limits.end = task_size_max(virtual_bits);
        limits.window = std::min(limits.end, limits.window);
        auto const room_for_stack =
            std::min<std::uint64_t>(128 * 1024 * 1024, limits.window.value / 2);
        limits.mmap_base = virt_addr{limits.window.value - room_for_stack}.page_start();
        return limits;
    }
};

namespace detail {

/// One search for a place; `bytes` has been checked against the end of user space.
template<Machine M>
class place_finder {
public:
    constexpr place_finder(vma_map<M> const& map, layout_limits const& limits,
                           std::uint64_t bytes) noexcept
        : map_{map}, limits_{limits}, bytes_{bytes} {}

    /// Can the hint be taken: inside user space, on one side of the 47-bit window, nothing there?
    [[nodiscard]] constexpr bool free_at(virt_addr hint) const noexcept {
        if (hint.value > limits_.end.value - bytes_) return false;
        auto const above = hint > limits_.window;
        if (above != (hint.plus(bytes_) > limits_.window)) return false;
        return hint.plus(bytes_) <= gap_end(map_.find_at_or_above(hint));
    }

    /// The highest place between `low` and `high`; no_memory if there is none.
    [[nodiscard]] constexpr result<virt_addr> top_down(virt_addr low,
                                                       virt_addr high) const noexcept {
        for (auto above = map_.find_at_or_above(high);; --above) {
            auto const start = std::max(gap_start(above), low);
            auto const end = std::min(gap_end(above), high);
            if (end > start && end.value - start.value >= bytes_)
                return virt_addr{end.value - bytes_};
            if (above == 0 || start == low) return errc::no_memory;
        }
    }

    /// The lowest place between `low` and `high`; no_memory if there is none.
    [[nodiscard]] constexpr result<virt_addr> bottom_up(virt_addr low,
                                                        virt_addr high) const noexcept {
        for (auto above = map_.find_at_or_above(low);; ++above) {
            auto const start = std::max(gap_start(above), low);
            auto const end = std::min(gap_end(above), high);
            if (end > start && end.value - start.value >= bytes_) return start;
            if (above >= map_.size() || end == high) return errc::no_memory;
        }
    }

private:
    // The free space below vma number `above`, or below the end if there is no such vma.
    [[nodiscard]] constexpr virt_addr gap_start(std::size_t above) const noexcept {
        return above == 0 ? virt_addr{} : map_[above - 1].span.end();
    }
    [[nodiscard]] constexpr virt_addr gap_end(std::size_t above) const noexcept {
        if (above >= map_.size()) return limits_.end;
        auto const start = map_[above].span.start();
        if (!map_[above].flags.has(vma_flag::grows_down)) return start;
        auto const gap = limits_.stack_gap_pages << page_shift;
        return start.value > gap ? virt_addr{start.value - gap} : virt_addr{};
    }

    vma_map<M> const& map_;
    layout_limits const& limits_;
    std::uint64_t bytes_;
};

template<Machine M>
constexpr result<virt_addr> place_fixed(vma_map<M> const& map, layout_limits const& limits,
                                        mmap_request const& request) noexcept {
    auto const bytes = request.pages.value << page_shift;
    if (request.hint.value > limits.end.value - bytes) return errc::no_memory;
    if (!request.hint.page_aligned()) return errc::invalid_argument;
    auto const occupied = map.overlaps(*page_span::from(request.hint, request.pages));
    if (occupied && request.flags.has(mmap_flag::fixed_noreplace)) return errc::exists;
    return request.hint;
}

// `hint` is page-aligned; zero means none.
template<Machine M>
constexpr result<virt_addr> place_anywhere(vma_map<M> const& map, layout_limits const& limits,
                                           virt_addr hint, std::uint64_t pages) noexcept {
    if (pages > (limits.end.value >> page_shift)) return errc::no_memory;
    place_finder<M> const finder{map, limits, pages << page_shift};
    if (hint != virt_addr{} && finder.free_at(hint)) return hint;
    auto const beyond = hint > limits.window ? limits.end.value - limits.window.value : 0;
    auto const below_base = finder.top_down(limits.lowest, limits.mmap_base.plus(beyond));
    if (below_base) return below_base;
    auto const third = virt_addr{limits.window.value / 3 + page_size - 1}.page_start();
    return finder.bottom_up(third, limits.window.plus(beyond));
}

// Looks for a place that is one large leaf too large, and takes the aligned part of it.
template<Machine M>
constexpr result<virt_addr> place_aligned(vma_map<M> const& map, layout_limits const& limits,
                                          std::uint64_t pages) noexcept {
    auto const place = place_anywhere(map, limits, {}, pages + limits.large_leaf_pages);
    if (!place) return place;
    auto const leaf = limits.large_leaf_pages << page_shift;
    return place->plus(leaf - place->value % leaf);
}

constexpr bool wants_large_leaves(layout_limits const& limits,
                                  mmap_request const& request) noexcept {
    if (limits.large_leaf_pages == 0 || request.kind != vma_kind::anonymous) return false;
    return !request.flags.has(mmap_flag::shared) && request.file == 0 &&
           request.object == nullptr &&
           request.pages.value % limits.large_leaf_pages == 0;
}

}  // namespace detail

/// Where `request` goes, which check_mmap_request() has found good. Looks only; the mm lock is
/// held. Errors: no_memory – no room, or a fixed place outside of user space; invalid_argument – a
/// fixed place that is not page-aligned; exists – fixed_noreplace, and something is there.
template<Machine M>
[[nodiscard]] constexpr result<virt_addr> place_mapping(vma_map<M> const& map,
                                                        layout_limits const& limits,
                                                        mmap_request const& request) noexcept {
    if (request.flags.has_any({mmap_flag::fixed, mmap_flag::fixed_noreplace})) {
        return detail::place_fixed(map, limits, request);
    }
    auto hint = request.hint.page_start();
    if (hint != virt_addr{}) hint = std::max(hint, limits.lowest);
    if (hint == virt_addr{} && detail::wants_large_leaves(limits, request)) {
        auto const aligned = detail::place_aligned(map, limits, request.pages.value);
        if (aligned) return aligned;
    }
    return detail::place_anywhere(map, limits, hint, request.pages.value);
}

}  // namespace mmhold
