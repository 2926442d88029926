// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <compare>
#include <cstdint>

namespace mmhold {

/// A number of smallest pages. A type of its own, so that bytes cannot be passed for pages.
struct page_count {
    std::uint64_t value{};
    friend constexpr auto operator<=>(page_count, page_count) = default;
};

/// Consecutive whole pages of virtual address space that do not wrap: `[start, end)`, start
/// page-aligned.
///
/// Overflow is checked here, once, so that no algorithm has to. An empty span is legal:
/// get_user_pages answers 0 for it before it looks at anything (gup-semantics §1.2 rule 1). Whether
/// the addresses are canonical or user addresses is not this type's business: they would simply
/// have no vma.
class page_span {
public:
    constexpr page_span() noexcept = default;

    /// `count` pages from `start`. Errors: invalid_argument if start is not page-aligned; overflow
    /// if the range would reach or pass 2^64 (so that end() is always representable).
    [[nodiscard]] static constexpr result<page_span> from(virt_addr start,
                                                          page_count count) noexcept {
        if (!start.page_aligned()) return errc::invalid_argument;
        auto const room = (~std::uint64_t{0} - start.value) >> page_shift;
        if (count.value > room) return errc::overflow;
        return page_span{start, count};
    }

    /// The pages that hold the bytes `[start, start + bytes)`; a start inside a page is rounded
    /// down, as gup_fast does (gup-semantics §5.1 item 3). Zero bytes give an empty span. Error:
    /// overflow as above.
    [[nodiscard]] static constexpr result<page_span> covering(virt_addr start,
                                                              std::uint64_t bytes) noexcept {
        if (bytes == 0) return from(start.page_start(), page_count{0});
        if (bytes - 1 > ~std::uint64_t{0} - start.value) return errc::overflow;
        auto const last = start.plus(bytes - 1).page_start();
        auto const count = ((last.value - start.page_start().value) >> page_shift) + 1;
        return from(start.page_start(), page_count{count});
    }

    /// The first byte.
    [[nodiscard]] constexpr virt_addr start() const noexcept { return start_; }
    /// One past the last byte.
    [[nodiscard]] constexpr virt_addr end() const noexcept {
        return start_.plus_pages(count_.value);
    }
    [[nodiscard]] constexpr std::uint64_t pages() const noexcept { return count_.value; }
    [[nodiscard]] constexpr std::uint64_t bytes() const noexcept {
        return count_.value << page_shift;
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return count_.value == 0; }
    [[nodiscard]] constexpr bool contains(virt_addr at) const noexcept {
        return at >= start_ && at < end();
    }
    /// Do the two share a page? An empty span shares nothing.
    [[nodiscard]] constexpr bool overlaps(page_span other) const noexcept {
        return !empty() && !other.empty() && start_ < other.end() && other.start_ < end();
    }
    /// The address of page `index`; index may be pages() (then it is end()).
    [[nodiscard]] constexpr virt_addr page(std::uint64_t index) const noexcept {
        return start_.plus_pages(index);
    }
    /// What is left after the first `done` pages; empty if done >= pages().
    [[nodiscard]] constexpr page_span after(std::uint64_t done) const noexcept {
        return done >= count_.value ? page_span{end(), page_count{0}}
                                    : page_span{page(done), page_count{count_.value - done}};
    }

    friend constexpr bool operator==(page_span, page_span) = default;

private:
    constexpr page_span(virt_addr start, page_count count) noexcept
        : start_{start}, count_{count} {}

    virt_addr start_{};
    page_count count_{};
};

}  // namespace mmhold
