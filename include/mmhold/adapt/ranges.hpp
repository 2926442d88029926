// SPDX-License-Identifier: BSL-1.0
#pragma once

// Views of mmhold's values as range-v3 ranges. The only header that includes range-v3.

#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <range/v3/view/chunk_by.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/subrange.hpp>
#include <range/v3/view/transform.hpp>

#include <cstdint>
#include <span>

namespace mmhold {

/// The start addresses of the span's pages, in order: a random-access view of virt_addr, computed,
/// nothing stored.
[[nodiscard]] inline auto page_addresses(page_span span) {
    return ranges::views::iota(std::uint64_t{0}, span.pages()) |
           ranges::views::transform(
               [start = span.start()](std::uint64_t page) { return start.plus_pages(page); });
}

/// Held pages as runs of consecutive frames: a forward view of ranges of pfn, each run as long as
/// possible. What a scatter list, or a copy loop over the pages of one leaf, wants. The frames must
/// outlive the view.
[[nodiscard]] inline auto contiguous_runs(std::span<pfn const> frames) {
    return ranges::make_subrange(frames.begin(), frames.end()) |
           ranges::views::chunk_by([](pfn before, pfn after) { return after == before.plus(1); });
}

}  // namespace mmhold
