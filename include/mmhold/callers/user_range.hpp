// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/space/frame_pool.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// Bytes of a process's memory as a system call names them: any address, any length (an iovec).
struct user_range {
    virt_addr start{};
    std::uint64_t bytes{0};
};

/// Is every byte of `range` an address that user space could have (access_ok)? Decided by the
/// numbers alone; `end` is the first address that no user mapping can have.
[[nodiscard]] constexpr bool in_user_space(user_range range, virt_addr end) noexcept {
    return range.bytes <= end.value && range.start.value <= end.value - range.bytes;
}

/// The length that one read or write moves at most (MAX_RW_COUNT).
inline constexpr std::uint64_t most_bytes_at_once = (std::uint64_t{1} << 31U) - page_size;

namespace detail {

/// How many pages `bytes` bytes touch, from `start` on.
[[nodiscard]] constexpr std::uint64_t pages_touched(virt_addr start, std::uint64_t bytes) noexcept {
    return bytes == 0 ? 0 : (start.offset() + bytes - 1) / page_size + 1;
}

/// Calls part(bytes of one held page, how far into the transfer) for `bytes` bytes that begin
/// `offset` bytes into the first of `pages`. Does nothing if the pool owns no bytes.
template<class Pool, class Part>
constexpr void for_each_part(Pool const& frames, std::span<pfn const> pages, std::uint64_t offset,
                             std::uint64_t bytes, Part part) {
    std::uint64_t done = 0;
    for (auto const page : pages) {
        if (done >= bytes) return;
        auto const here = std::min(page_size - offset, bytes - done);
        auto const contents = frames.bytes(page);
        if (contents.empty()) return;
        part(contents.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(here)),
             static_cast<std::size_t>(done));
        done += here;
        offset = 0;
    }
}

}  // namespace detail

/// Copies from held pages: `to` receives the bytes that begin `offset` bytes into the first page.
/// The pages are the caller's; a pool without bytes leaves `to` as it is.
template<class Pool>
constexpr void copy_from_pages(Pool const& frames, std::span<pfn const> pages, std::uint64_t offset,
                               std::span<std::byte> to) {
    detail::for_each_part(frames, pages, offset, to.size(),
                          [&](std::span<std::byte const> part, std::size_t done) {
                              std::ranges::copy(part, to.subspan(done).begin());
                          });
}

/// Copies into held pages, as copy_from_pages() reads them. Marks nothing dirty: who writes says so
/// when it gives the pages back (gup-semantics §1.3 rule 4).
template<class Pool>
constexpr void copy_to_pages(Pool const& frames, std::span<pfn const> pages, std::uint64_t offset,
                             std::span<std::byte const> from) {
    detail::for_each_part(frames, pages, offset, from.size(),
                          [&](std::span<std::byte> part, std::size_t done) {
                              std::ranges::copy(from.subspan(done, part.size()), part.begin());
                          });
}

}  // namespace mmhold
