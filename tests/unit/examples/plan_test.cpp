// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/plan.hpp"

#include "support/catch.hpp"

#include <chrono>
#include <set>
#include <string_view>
#include <vector>

using namespace stall;
using namespace std::chrono_literals;

TEST_CASE("plan: the numbers of the default run") {
    plan const usual{};
    CHECK(usual.calls() == 4);
    CHECK(usual.pages() == 8);
    CHECK(usual.faults() == 16);
    CHECK(usual.paging() == 320ms);
    CHECK(usual.pause() == 1ms);
}

TEST_CASE("plan: long rows are sampled some two thousand times, not more often") {
    plan const slow{{}, 10s, 16, 1000};
    CHECK(slow.paging() == 640'000s);
    CHECK(slow.pause() == 320s);
    CHECK(slow.events() < 10'000'000);
}

TEST_CASE("plan: only where pages cost nothing a caller thinks between calls") {
    plan const slow{{}, 10s, 2, 2};
    plan const quick{{}, 3ms, 2, 2};
    for (auto const& how : ways) {
        CHECK(slow.rest(how) == (how.instant() ? 20ms : 0ms));
        CHECK(quick.rest(how) == (how.instant() ? 3ms : 0ms));
        CHECK((plan::least_turns(how) > 1) == how.instant());
    }
}

TEST_CASE("plan: the world has room for every page twice and for every line's event") {
    std::vector<maps_region> const lines(70'000);
    plan const large{lines, 20ms, 16, 2};
    CHECK(large.size().pages >= 2 * large.pages());
    CHECK(large.size().mappings == lines.size());
    CHECK(large.size().events > lines.size() + 8 * large.faults());
}

TEST_CASE("ways: six, by different names that fit into the table, two of them instant") {
    std::set<std::string_view> names;
    int instant = 0;
    for (auto const& how : ways) {
        names.insert(how.name);
        CHECK(how.name.size() <= 30);
        if (how.instant()) ++instant;
    }
    CHECK(names.size() == 6);
    CHECK(instant == 2);
}
