// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// How much of an object was read or written, and why not more.
struct [[nodiscard]] object_transfer {
    std::uint64_t bytes{0};
    /// ok; again – the next page of a file must be read in first (file_object::bring);
    /// hardware_poison – the page's memory is broken; invalid_argument – secret memory; no_memory;
    /// overflow – behind the largest page number.
    errc stop{errc::ok};

    friend constexpr bool operator==(object_transfer const&, object_transfer const&) = default;
};

namespace detail {

/// Calls each(index, offset inside the page, position, length) for the pages that `bytes` bytes
/// from `offset` on touch, until one is not ok.
template<class Each>
constexpr object_transfer for_each_piece(std::uint64_t offset, std::uint64_t bytes, Each&& each) {
    std::uint64_t done = 0;
    while (done < bytes) {
        auto const at = offset + done;
        auto const inside = at & (page_size - 1);
        auto const length = std::min(page_size - inside, bytes - done);
        auto const outcome = each(at >> page_shift, static_cast<std::size_t>(inside),
                                  static_cast<std::size_t>(done), static_cast<std::size_t>(length));
        if (outcome != errc::ok) return {done, outcome};
        done += length;
    }
    return {done, errc::ok};
}

}  // namespace detail

/// pread(2): copies what the object has from byte `offset` on into `to`; short at its end. Pages
/// that shared memory does not have read as zeroes and are not created. If the frame pool has no
/// bytes, only the counting is done. No lock is held; not atomic against writers.
template<class Space>
constexpr object_transfer read_object(page_cache<Space>& object, std::uint64_t offset,
                                      std::span<std::byte> to) {
    if (object.kind() == object_kind::secret) return {0, errc::invalid_argument};
    auto const size = object.size();
    auto const left = offset < size ? std::min(size - offset, std::uint64_t{to.size()}) : 0;
    return detail::for_each_piece(
        offset, left,
        [&](std::uint64_t index, std::size_t inside, std::size_t position, std::size_t length) {
            auto const part = to.subspan(position, length);
            auto const page = object.find(index);
            auto const zeroes = object.kind() != object_kind::file && page.error() == errc::again;
            if (!page && !zeroes) return page.error();
            auto const bytes = page ? object.frames().bytes(*page) : std::span<std::byte>{};
            if (bytes.empty()) {
                std::ranges::fill(part, std::byte{0});
            } else {
                std::ranges::copy(bytes.subspan(inside, length), part.begin());
            }
            if (page) object.frames().put(*page);
            return errc::ok;
        });
}

/// pwrite(2): copies `from` into the object, from byte `offset` on; it becomes larger if need be,
/// before anything is written. The pages are dirty then. What is mapped shows it at once. Of a
/// file, a page that is written only in part must be cached, unless it lies behind the old end.
/// No lock is held; not atomic against readers, and a truncation meanwhile takes its part away.
template<class Space>
constexpr object_transfer write_object(page_cache<Space>& object, std::uint64_t offset,
                                       std::span<std::byte const> from) {
    if (object.kind() == object_kind::secret) return {0, errc::invalid_argument};
    if (from.size() > ~std::uint64_t{0} - offset) return {0, errc::overflow};
    auto const old_size = object.size();
    object.extend(offset + from.size());
    return detail::for_each_piece(
        offset, from.size(),
        [&](std::uint64_t index, std::size_t inside, std::size_t position, std::size_t length) {
            auto const fresh = (index << page_shift) >= old_size || length == page_size;
            auto const must_exist = object.kind() == object_kind::file && !fresh;
            auto const page = must_exist ? object.find(index) : object.find_or_add_zeroed(index);
            // Truncated meanwhile: written, and cut off again.
            if (page.error() == errc::bad_address) return errc::ok;
            if (!page) return page.error();
            auto const bytes = object.frames().bytes(*page);
            if (!bytes.empty()) {
                std::ranges::copy(from.subspan(position, length),
                                  bytes.subspan(inside, length).begin());
            }
            object.frames().mark_dirty(*page);
            object.frames().put(*page);
            return errc::ok;
        });
}

}  // namespace mmhold
