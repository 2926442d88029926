// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/clock.hpp>

using namespace mmhold::detail;

TEST_CASE("vector_clock: join knows what both knew", "[explore]") {
    sync_clock a;
    sync_clock b;
    a.ticks[0] = 3;
    b.ticks[1] = 2;
    CHECK(!a.covers(b));
    a.join(b);
    CHECK(a.covers(b));
    CHECK(a.covers(0, 3));
    CHECK(!a.covers(0, 4));
    sync_clock firsts;
    for (auto& tick : firsts.ticks) tick = 9;
    CHECK(!a.reaches(firsts));
    firsts.ticks[1] = 2;
    CHECK(a.reaches(firsts));
}
