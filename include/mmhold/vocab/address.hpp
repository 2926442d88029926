// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <compare>
#include <cstdint>

namespace mmhold {

/// Bits of the smallest page's offset: 4096-byte pages, as gup counts them whatever the leaf size.
inline constexpr unsigned page_shift = 12;

/// Bytes in the smallest page.
inline constexpr std::uint64_t page_size = std::uint64_t{1} << page_shift;

/// A virtual address of a simulated process. Any 64-bit value is representable; whether it is
/// canonical, user or mapped is asked, not assumed.
struct virt_addr {
    std::uint64_t value{};

    friend constexpr auto operator<=>(virt_addr, virt_addr) = default;

    /// Byte offset inside its page, 0 … 4095.
    [[nodiscard]] constexpr std::uint64_t offset() const noexcept {
        return value & (page_size - 1);
    }
    /// Does it name the first byte of a page?
    [[nodiscard]] constexpr bool page_aligned() const noexcept { return offset() == 0; }
    /// The first byte of the page it lies in.
    [[nodiscard]] constexpr virt_addr page_start() const noexcept { return {value - offset()}; }
    /// `bytes` further on, modulo 2^64: callers that care about wrapping build a page_span instead.
    [[nodiscard]] constexpr virt_addr plus(std::uint64_t bytes) const noexcept {
        return {value + bytes};
    }
    /// `pages` whole pages further on, modulo 2^64.
    [[nodiscard]] constexpr virt_addr plus_pages(std::uint64_t pages) const noexcept {
        return {value + (pages << page_shift)};
    }
};

/// Are all bits from `virtual_bits - 1` upwards equal? (Intel SDM vol. 1 §3.3.7.1: 48 for 4-level
/// paging, 57 for 5-level.) `virtual_bits` must be 1 … 64.
[[nodiscard]] constexpr bool is_canonical(virt_addr at, unsigned virtual_bits) noexcept {
    auto const unused = 64U - virtual_bits;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(at.value << unused) >> unused) ==
           at.value;
}

/// The first address behind user space: half of the canonical space less one guard page, as Linux's
/// TASK_SIZE_MAX.
[[nodiscard]] constexpr virt_addr task_size_max(unsigned virtual_bits) noexcept {
    return {(std::uint64_t{1} << (virtual_bits - 1)) - page_size};
}

/// A page frame number: a physical address divided by the page size. Names frames and page tables
/// alike.
struct pfn {
    std::uint64_t value{};
    friend constexpr auto operator<=>(pfn, pfn) = default;
    /// `count` frames further on.
    [[nodiscard]] constexpr pfn plus(std::uint64_t count) const noexcept { return {value + count}; }
};

}  // namespace mmhold
