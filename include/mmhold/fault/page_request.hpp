// SPDX-License-Identifier: BSL-1.0
#pragma once

// What a server of pages sees, be it a disk, a network or a pager: which page is wanted, and where
// its contents go.

#include <mmhold/vocab/address.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// One page that a task waits for.
struct page_request {
    std::uint64_t file{0};  ///< of the vma
    std::uint64_t page{0};  ///< of the file; for a mapping without a file: of the address space
    std::uint64_t id{0};    ///< counts the requests of one source, from 1

    friend constexpr bool operator==(page_request const&, page_request const&) = default;
};

/// Writes the contents of page `n` of a range into `bytes`, which is one page long – or empty, if
/// the frame pool owns no bytes.
template<class F>
concept PageFiller = std::invocable<F&, std::uint64_t, std::span<std::byte>>;

/// A PageFiller that takes one page after the other from a buffer.
struct bytes_from {
    std::span<std::byte const> source;

    /// Copies page `n` of the buffer.
    constexpr void operator()(std::uint64_t n, std::span<std::byte> bytes) const {
        if (!bytes.empty()) {
            std::ranges::copy(source.subspan(n * page_size, page_size), bytes.begin());
        }
    }
};

}  // namespace mmhold
