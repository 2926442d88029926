// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/page_request.hpp>

#include <cstddef>
#include <vector>

using namespace mmhold;

TEST_CASE("requests for the same page are told apart by their number", "[fault]") {
    CHECK(page_request{1, 2, 3} == page_request{1, 2, 3});
    CHECK_FALSE(page_request{1, 2, 3} == page_request{1, 2, 4});
}

TEST_CASE("bytes_from fills a page from its place in a buffer", "[fault]") {
    std::vector<std::byte> from(2 * page_size, std::byte{1});
    from[page_size] = std::byte{2};
    std::vector<std::byte> to(page_size);
    bytes_from const fill{from};
    fill(1, to);
    CHECK(to[0] == std::byte{2});
    CHECK(to[1] == std::byte{1});
    fill(1, {});  // a pool without bytes
}
