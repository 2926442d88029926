// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/report.hpp>

using namespace mmhold::detail;

TEST_CASE("token: choices become text and come back", "[explore]") {
    std::vector<choice> const made{{0, 0}, {buffer_of(2), 0}, {1, 12}, {7, 3}};
    auto const text = to_token(made);
    CHECK(text == "0c1'C7'3");
    auto const again = from_token(text);
    REQUIRE(again.size() == made.size());
    for (std::size_t i = 0; i < made.size(); ++i) {
        CHECK(again[i].who == made[i].who);
        CHECK(again[i].back == made[i].back);
    }
    CHECK(switches(made) == 2);
}
