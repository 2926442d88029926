// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/choices.hpp>

using namespace mmhold::detail;

TEST_CASE("random_numbers: the same seed draws the same, within bounds", "[explore]") {
    random_numbers a{7};
    random_numbers b{7};
    for (int i = 0; i < 100; ++i) {
        auto const drawn = a.below(10);
        CHECK(drawn == b.below(10));
        CHECK(drawn < 10);
        CHECK((process_set{0b101100} & only(a.member_of(0b101100))) != 0);
        (void)b.member_of(0b101100);
    }
}

TEST_CASE("random_priorities: always somebody who is awake", "[explore]") {
    random_numbers random{1};
    random_priorities priorities;
    priorities.draw(random, 20);
    for (int step = 0; step < 40; ++step) {
        auto const who = priorities.highest(0b1010, step);
        CHECK((who == 1 || who == 3));
    }
}
