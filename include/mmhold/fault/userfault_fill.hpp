// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/install.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mmhold {

/// What a pager's copy or zeropage came to: how many pages from the start of its range it put in
/// place, and why it stopped there.
struct [[nodiscard]] userfault_filled {
    std::uint64_t pages{0};
    /// ok: all of them. exists – something is mapped at the next page; no_memory; bad_address – the
    /// range does not lie in one vma that is registered with this userfault (Linux: ENOENT);
    /// invalid_argument – an empty range, or not enough bytes; again – a lock that cannot be waited
    /// for was not free.
    errc stop{errc::ok};

    [[nodiscard]] constexpr bool complete() const noexcept { return stop == errc::ok; }

    friend constexpr bool operator==(userfault_filled const&, userfault_filled const&) = default;
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

/// Puts frames filled by `Fill` in place: present, dirty, writable if the vma is.
template<class Space, PageFiller Fill>
class fresh_page_filler {
public:
    constexpr fresh_page_filler(Space& space, Fill& fill) noexcept : space_{space}, fill_{fill} {}

    /// Installs page `n` of a range at `at`. Mm lock: held. Errors: exists, no_memory.
    constexpr result<void> operator()(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                      std::uint64_t n) {
        auto const page = allocate_page_for(space_, area);
        if (!page) return page.error();
        fill_(n, space_.frames().bytes(*page));
        return install_page(space_, me, at, leaf_for(area, *page, install_for::writing));
    }

private:
    Space& space_;
    Fill& fill_;
};

/// Puts zeroes in place: the zero page in private mappings, a zeroed frame in shared ones.
template<class Space>
class zero_page_filler {
public:
    constexpr explicit zero_page_filler(Space& space) noexcept : space_{space} {}

    /// Installs the page at `at`. Mm lock: held. Errors: exists, no_memory.
    constexpr result<void> operator()(typename Space::cpu_type& me, vma const& area, virt_addr at,
                                      std::uint64_t) {
        if (!area.flags.has(vma_flag::shared)) {
            return install_leaf(space_, me, at, zero_leaf_for(area, space_.frames().zero_page()));
        }
        auto const page = allocate_page_for(space_, area);
        if (!page) return page.error();
        return install_page(space_, me, at, leaf_for(area, *page, install_for::reading));
    }

private:
    Space& space_;
};

/// Lets `filler` install every page of `span`, which must lie in one vma of `source`; stops at
/// the first that fails. Mm lock: held shared, `held` is the witness.
template<class Space, class Filler>
constexpr userfault_filled fill_userfault_range(Space& space,
                                                held_shared<typename Space::lock_type> const& held,
                                                typename Space::cpu_type& me, page_span span,
                                                fault_source const& source, Filler& filler) {
    if (span.empty()) return {0, errc::invalid_argument};
    if (!me.valid()) return {0, errc::no_memory};
    auto const found = space.find(span.start(), held);
    if (!found) return {0, errc::bad_address};
    auto const& area = found->view(held);
    if (area.source != &source || span.end() > area.span.end()) return {0, errc::bad_address};
    for (std::uint64_t n = 0; n < span.pages(); ++n) {
        if (auto const done = filler(me, area, span.page(n), n); !done) return {n, done.error()};
    }
    return {span.pages(), errc::ok};
}

}  // namespace mmhold
