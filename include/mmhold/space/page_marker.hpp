// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/paging/page_format.hpp>
#include <mmhold/vocab/address.hpp>

#include <cstdint>

namespace mmhold {

/// The markers (page_entry::kind::marker) that the library puts into page tables itself, by their
/// page_entry::marker_type. All other types are the host's; they count nothing.
enum class page_marker : std::uint8_t {
    userfault_wp = 26,  ///< no page; but the next one is write-protected for userfaultfd
    poisoned = 27,      ///< no page: every access ends in SIGBUS (UFFDIO_POISON, bad memory)
    guard = 28,         ///< no page: every access ends in SIGSEGV (MADV_GUARD_INSTALL)
    swapped_exclusive = 29,  ///< as swapped, and the page was exclusive (gup-semantics §4.4)
    swapped = 30,  ///< the contents are in a slot of the swap store; holds one reference to it
    moving = 31,   ///< the page is on its way to another frame or to a slot, or back: wait
};

/// Is a page that is not in memory nobody else's?
enum class exclusivity : std::uint8_t { shared, exclusive };

/// Is `entry` such a marker?
[[nodiscard]] constexpr bool is_marker_of(page_entry const& entry, page_marker type) noexcept {
    return entry.is_marker() && entry.marker_type == static_cast<std::uint8_t>(type);
}
[[nodiscard]] constexpr bool is_swapped(page_entry const& entry) noexcept {
    return is_marker_of(entry, page_marker::swapped) ||
           is_marker_of(entry, page_marker::swapped_exclusive);
}
[[nodiscard]] constexpr bool is_guard(page_entry const& entry) noexcept {
    return is_marker_of(entry, page_marker::guard);
}
/// The guard marker; it counts nothing.
[[nodiscard]] constexpr page_entry guard_entry() noexcept {
    return page_entry::marker_for(static_cast<std::uint8_t>(page_marker::guard), 0);
}
[[nodiscard]] constexpr bool is_poisoned(page_entry const& entry) noexcept {
    return is_marker_of(entry, page_marker::poisoned);
}
[[nodiscard]] constexpr bool is_userfault_wp(page_entry const& entry) noexcept {
    return is_marker_of(entry, page_marker::userfault_wp);
}
/// Does a marker stand where there is no page at all, neither here nor in the store?
[[nodiscard]] constexpr bool stands_for_no_page(page_entry const& entry) noexcept {
    return is_userfault_wp(entry) || is_poisoned(entry) || is_guard(entry);
}
[[nodiscard]] constexpr bool is_moving(page_entry const& entry) noexcept {
    return is_marker_of(entry, page_marker::moving);
}

/// The marker for a page that is not there, and will be write-protected when it comes.
[[nodiscard]] constexpr page_entry userfault_wp_entry() noexcept {
    return page_entry::marker_for(static_cast<std::uint8_t>(page_marker::userfault_wp), 0);
}
/// The marker for a page that is lost: its memory is broken, or a pager says so.
[[nodiscard]] constexpr page_entry poisoned_entry() noexcept {
    return page_entry::marker_for(static_cast<std::uint8_t>(page_marker::poisoned), 0);
}

/// The marker that stands for `leaf`, which is a single page, while its contents are in `slot`.
/// What userfaultfd and soft-dirty tracking know about the page is kept; its rights are the vma's.
[[nodiscard]] constexpr page_entry swapped_entry(page_entry const& leaf, std::uint64_t slot,
                                                 exclusivity whose) noexcept {
    auto const type =
        whose == exclusivity::exclusive ? page_marker::swapped_exclusive : page_marker::swapped;
    auto entry = page_entry::marker_for(static_cast<std::uint8_t>(type), slot);
    entry.soft_dirty = leaf.soft_dirty;
    entry.uffd_wp = leaf.uffd_wp;
    return entry;
}
/// The same swapped entry once somebody else has one too.
[[nodiscard]] constexpr page_entry shared_swapped(page_entry entry) noexcept {
    entry.marker_type = static_cast<std::uint8_t>(page_marker::swapped);
    return entry;
}
/// Which slot a swapped entry names.
[[nodiscard]] constexpr std::uint64_t slot_of(page_entry const& entry) noexcept {
    return entry.target.value;
}

/// The marker that stands for `leaf` while its page is moving; it names the page.
[[nodiscard]] constexpr page_entry moving_entry(page_entry const& leaf) noexcept {
    auto entry =
        page_entry::marker_for(static_cast<std::uint8_t>(page_marker::moving), leaf.target.value);
    entry.soft_dirty = leaf.soft_dirty;
    entry.uffd_wp = leaf.uffd_wp;
    return entry;
}

}  // namespace mmhold
