// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/scripted_mm.hpp"

#include <mmhold/gup/compose.hpp>
#include <mmhold/observe/counters.hpp>

#include <array>

using namespace mmhold_test;

TEST_CASE("compose: the three cards alone are a GupTarget, a fast walker makes it FastComposed", "[gup]") {
    using three = mm::composition<try_only_lock, scripted_handler, scripted_walker>;
    STATIC_REQUIRE(mm::Composed<three>);
    STATIC_REQUIRE(mm::GupTarget<three>);
    STATIC_REQUIRE(mm::GupTarget<three const>);
    STATIC_REQUIRE_FALSE(mm::FastComposed<three>);
    STATIC_REQUIRE_FALSE(mm::GupTarget<int>);
}

TEST_CASE("observed_by: gup, faults, drops and retakings are reported", "[gup][observe]") {
    scripted_mm host;
    host.absent(1, {scripted_pages::step::retry});
    host.absent(2, {scripted_pages::step::install});
    mm::counters<test_machine> seen;
    auto const watched = host.cards.observed_by(seen);
    std::array<mm::pfn, 3> out{};
    CHECK(mm::gup_unlocked(watched, host.me, scripted_pages::span(3), {}, out).complete());
    using mm::event_kind;
    CHECK(seen.count(event_kind::gup_begin) == 1);
    CHECK(seen.count(event_kind::gup_end) == 1);
    CHECK(seen.count(event_kind::fault_begin) == 2);
    CHECK(seen.count(event_kind::fault_end) == 2);
    CHECK(seen.count(event_kind::fault_retry) == 1);
    CHECK(seen.count(event_kind::lock_dropped) == 1);
    CHECK(seen.count(event_kind::lock_retaken) == 1);
}
