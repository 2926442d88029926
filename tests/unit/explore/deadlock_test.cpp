// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/deadlock.hpp>

using namespace mmhold::detail;

TEST_CASE("deadlock_in_words: the cycle comes first and is spelled out", "[explore]") {
    std::vector<stuck_actor> const all{
        {0, {}, {}, "flag", "0", "nobody has changed it"},
        {1, "B", {"A"}, "B", "1", {}},
        {2, "A", {"B", "C"}, "A", "1", {}},
    };
    CHECK(lock_cycle(all) == std::vector<std::size_t>{1, 2});
    CHECK(deadlock_in_words(all) ==
          "T1 holds A, waits for B; T2 holds B and C, waits for A; T0 waits for flag, which is 0 "
          "(nobody has changed it)");
}

TEST_CASE("lock_cycle: none where a wait has no holder or no lock", "[explore]") {
    CHECK(lock_cycle({{0, "B", {"A"}, {}, {}, {}}, {1, {}, {"B"}, "flag", "0", {}}}).empty());
    CHECK(lock_cycle({{0, "B", {"A"}, {}, {}, {}}}).empty());
    CHECK(lock_cycle({}).empty());
}
