// SPDX-License-Identifier: BSL-1.0
#pragma once

// Faulting in ahead of use: MADV_POPULATE_READ and _WRITE (gup-semantics §1.1, §1.4, §8.1 columns
// OR, OW, §8.3).
//
//   variant   gup_faultin: no pages, errors told apart; over and over until the range or an error
//             ends it; pages before the bad one stay populated
//   result    0 or the errno

#include <mmhold/callers/user_range.hpp>
#include <mmhold/gup/faultin.hpp>
#include <mmhold/vocab/result.hpp>

namespace mmhold {

namespace detail {

/// The pages of [start, start + bytes rounded up), as madvise checks them: invalid_argument if the
/// start is not page-aligned or the range wraps; empty for no bytes.
[[nodiscard]] constexpr result<page_span> madvise_span(user_range range) noexcept {
    if (!range.start.page_aligned()) return errc::invalid_argument;
    auto const pages = pages_touched({}, range.bytes);
    auto const span = page_span::from(range.start, page_count{pages});
    return span ? span : result<page_span>{errc::invalid_argument};
}

[[nodiscard]] constexpr errc populate_error(errc from_gup) noexcept {
    switch (from_gup) {
        case errc::interrupted:
        case errc::again: return errc::interrupted;
        case errc::invalid_argument:
        case errc::bad_address:
        case errc::hardware_poison: return from_gup;
        default: return errc::no_memory;
    }
}

}  // namespace detail

/// madvise(MADV_POPULATE_READ) for access::read, MADV_POPULATE_WRITE for access::write. Errors:
/// invalid_argument – the start is not page-aligned, the range wraps, or a vma refuses; no_memory –
/// a hole, or memory exhausted; bad_address – SIGBUS or SIGSEGV; hardware_poison; interrupted.
/// Pages below the failing one stay populated.
///
/// Mm lock: not held by the caller; taken, and perhaps lost, for each attempt. May sleep.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> madvise_populate(Space& mm, Cpu& me, user_range range, access wanted) {
    auto const span = detail::madvise_span(range);
    if (!span) return span.error();
    for (auto left = *span; !left.empty();) {
        auto const got = gup_faultin<P>(mm, me, left, wanted);
        if (got.pages == 0) return detail::populate_error(got.error);
        left = left.after(got.pages);
    }
    return {};
}

}  // namespace mmhold
