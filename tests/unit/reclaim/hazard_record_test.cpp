// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/last_words.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_record.hpp>

#include <string>
#include <type_traits>

using namespace mmhold;

namespace {

using record = hazard_record<checked_host_machine>;

template<class Act>
bool dies_saying(Act act, char const* words) {
    auto const end = mmhold_test::last_words(act);
    return end.died && end.words.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a record is inside exactly between enter and leave") {
    record mine{3};
    CHECK(mine.id() == 3);
    CHECK_FALSE(mine.in_section());
    mine.enter_section();
    CHECK(mine.in_section());
    mine.protect(0, 7);
    mine.protect(4, 8);
    mine.clear(0);
    mine.leave_section();
    CHECK_FALSE(mine.in_section());
}

TEST_CASE("records share no cache line and stay where they are") {
    STATIC_REQUIRE(alignof(record) == 64);
    STATIC_REQUIRE(sizeof(record) % 64 == 0);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<record>);
    STATIC_REQUIRE_FALSE(std::is_move_constructible_v<record>);
    STATIC_REQUIRE(record::levels == 5);
}

TEST_CASE("misused records stop a checked host") {
    CHECK(dies_saying([] { record{0}.leave_section(); }, "left without being entered"));
    CHECK(dies_saying(
        [] {
            record mine{0};
            mine.enter_section();
            mine.enter_section();
        },
        "entered twice"));
    CHECK(dies_saying([] { record{0}.protect(0, 1); }, "protect outside a section"));
    CHECK(dies_saying(
        [] {
            record mine{0};
            mine.enter_section();
            mine.protect(0, 0);
        },
        "0 names nothing"));
}
