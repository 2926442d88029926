// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/vocab/page_span.hpp>

#include <cstdint>

using namespace mmhold;

namespace {

constexpr std::uint64_t top = ~std::uint64_t{0};
constexpr virt_addr last_page{top - (page_size - 1)};

page_span span(std::uint64_t start, std::uint64_t pages) {
    return *page_span::from(virt_addr{start}, page_count{pages});
}

}  // namespace

TEST_CASE("a span has a start, an end and pages in between") {
    auto const three = span(0x4000, 3);
    CHECK(three.start() == virt_addr{0x4000});
    CHECK(three.end() == virt_addr{0x7000});
    CHECK(three.pages() == 3);
    CHECK(three.bytes() == 3 * page_size);
    CHECK_FALSE(three.empty());
    CHECK(three.page(0) == three.start());
    CHECK(three.page(2) == virt_addr{0x6000});
    CHECK(three.page(3) == three.end());
    CHECK(page_span{}.empty());
}

TEST_CASE("a span does not start inside a page") {
    CHECK(page_span::from({0x1001}, {1}).error() == errc::invalid_argument);
    CHECK(page_span::from({0xfff}, {0}).error() == errc::invalid_argument);
    CHECK(page_span::from({top}, {0}).error() == errc::invalid_argument);
}

TEST_CASE("a span neither reaches nor passes the end of the 64-bit space") {
    CHECK(page_span::from(last_page, {0}).has_value());
    CHECK(page_span::from(last_page, {1}).error() == errc::overflow);
    CHECK(page_span::from(last_page, {top}).error() == errc::overflow);
    CHECK(page_span::from({0}, {top}).error() == errc::overflow);
    auto const largest = (std::uint64_t{1} << 52) - 1;
    CHECK(page_span::from({0}, {largest}).value_or({}).end() == last_page);
    CHECK(page_span::from({0}, {largest + 1}).error() == errc::overflow);
    CHECK(page_span::from({page_size}, {largest}).error() == errc::overflow);
}

TEST_CASE("covering() takes every page that holds one of the bytes") {
    CHECK(page_span::covering({0x1000}, 1).value_or({}) == span(0x1000, 1));
    CHECK(page_span::covering({0x1fff}, 1).value_or({}) == span(0x1000, 1));
    CHECK(page_span::covering({0x1fff}, 2).value_or({}) == span(0x1000, 2));
    CHECK(page_span::covering({0x1000}, page_size).value_or({}) == span(0x1000, 1));
    CHECK(page_span::covering({0x1000}, page_size + 1).value_or({}) == span(0x1000, 2));
    CHECK(page_span::covering({0x1234}, 0).value_or(span(0, 9)) == span(0x1000, 0));
}

TEST_CASE("covering() refuses bytes that wrap around") {
    CHECK(page_span::covering({top}, 2).error() == errc::overflow);
    CHECK(page_span::covering({0x1000}, top).error() == errc::overflow);
    CHECK(page_span::covering({top}, 1).error() == errc::overflow);  // its end would be 2^64
    CHECK(page_span::covering({top}, 0).has_value());
    CHECK(page_span::covering({last_page.value - page_size}, page_size).has_value());
}

TEST_CASE("a span contains its own addresses only") {
    auto const two = span(0x2000, 2);
    CHECK_FALSE(two.contains({0x1fff}));
    CHECK(two.contains({0x2000}));
    CHECK(two.contains({0x3fff}));
    CHECK_FALSE(two.contains({0x4000}));
    CHECK_FALSE(span(0x2000, 0).contains({0x2000}));
}

TEST_CASE("spans overlap if they share a page") {
    auto const two = span(0x2000, 2);
    CHECK(two.overlaps(two));
    CHECK(two.overlaps(span(0x3000, 5)));
    CHECK(span(0x3000, 5).overlaps(two));
    CHECK(two.overlaps(span(0, 100)));
    CHECK_FALSE(two.overlaps(span(0x4000, 1)));
    CHECK_FALSE(two.overlaps(span(0x1000, 1)));
}

TEST_CASE("an empty span overlaps nothing, wherever it lies") {
    auto const two = span(0x2000, 2);
    for (std::uint64_t start : {0x1000U, 0x2000U, 0x3000U, 0x4000U}) {
        INFO("empty span at " << start);
        CHECK_FALSE(two.overlaps(span(start, 0)));
        CHECK_FALSE(span(start, 0).overlaps(two));
    }
    CHECK_FALSE(span(0x2000, 0).overlaps(span(0x2000, 0)));
}

TEST_CASE("after() is what is left to do") {
    auto const three = span(0x4000, 3);
    CHECK(three.after(0) == three);
    CHECK(three.after(1) == span(0x5000, 2));
    CHECK(three.after(3) == span(0x7000, 0));
    CHECK(three.after(top) == span(0x7000, 0));
}
