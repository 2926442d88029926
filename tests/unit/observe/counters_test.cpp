// SPDX-License-Identifier: BSL-1.0
#include <mmhold/observe/counters.hpp>

#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"

#include <thread>

using namespace mmhold;

TEST_CASE("counters start at zero and count by kind") {
    counters<checked_host_machine> seen;
    CHECK(seen.total() == 0);
    notify<checked_host_machine>(seen, event_kind::fault_retry, 1);
    notify<checked_host_machine>(seen, event_kind::fault_retry, 2);
    notify<checked_host_machine>(seen, event_kind::freed, 1);
    CHECK(seen.count(event_kind::fault_retry) == 2);
    CHECK(seen.count(event_kind::freed) == 1);
    CHECK(seen.count(event_kind::retired) == 0);
    CHECK(seen.total() == 3);
}

TEST_CASE("counters forget an event whose kind does not exist") {
    counters<checked_host_machine> seen;
    seen.record({static_cast<event_kind>(200), 0, 0, 0, 0});
    CHECK(seen.total() == 0);
    CHECK(seen.count(static_cast<event_kind>(200)) == 0);
}

TEST_CASE("counters count in constant evaluation") {
    constexpr auto count = [] {
        counters<constexpr_machine> seen;
        notify<constexpr_machine>(seen, event_kind::gup_begin, 1);
        return seen.count(event_kind::gup_begin);
    }();
    STATIC_REQUIRE(count == 1);
}

TEST_CASE("counters lose nothing when two threads count at once") {
    counters<host_machine> seen;
    constexpr std::uint64_t each = 10'000;
    auto const count = [&seen] {
        for (std::uint64_t n = 0; n < each; ++n) seen.record({event_kind::freed, 0, 0, 0, 0});
    };
    std::thread other{count};
    count();
    other.join();
    CHECK(seen.count(event_kind::freed) == 2 * each);
}
