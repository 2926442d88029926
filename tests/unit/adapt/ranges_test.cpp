// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/adapt/ranges.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/range/operations.hpp>
#include <range/v3/view/transform.hpp>

#include <array>
#include <utility>
#include <vector>

using namespace mmhold;

TEST_CASE("page_addresses: each page once, in order, none for an empty span", "[adapt]") {
    auto const span = *page_span::from({0x7000}, page_count{3});
    CHECK((page_addresses(span) | ranges::to<std::vector>) ==
          std::vector<virt_addr>{{0x7000}, {0x8000}, {0x9000}});
    auto const none = page_addresses(page_span{});
    CHECK(ranges::empty(none));
    CHECK(page_addresses(span)[2] == virt_addr{0x9000});
}

TEST_CASE("page_addresses: up to the last page of the address space", "[adapt]") {
    auto const last = *page_span::from({~std::uint64_t{0} - 2 * page_size + 1}, page_count{1});
    auto const pages = page_addresses(last);
    CHECK(ranges::front(pages) == last.start());
}

TEST_CASE("contiguous_runs: splits exactly where the next frame is not the next number",
          "[adapt]") {
    auto const runs_of = [](std::vector<pfn> const& frames) {
        return contiguous_runs(frames) | ranges::views::transform([](auto run) {
                   return std::pair{ranges::front(run).value, ranges::distance(run)};
               }) |
               ranges::to<std::vector>;
    };
    using runs = std::vector<std::pair<std::uint64_t, std::ptrdiff_t>>;
    CHECK(runs_of({{5}, {6}, {7}, {9}, {10}, {9}}) == runs{{5, 3}, {9, 2}, {9, 1}});
    CHECK(runs_of({{5}}) == runs{{5, 1}});
    CHECK(runs_of({}).empty());
    CHECK(runs_of({{5}, {5}}) == runs{{5, 1}, {5, 1}});
}
