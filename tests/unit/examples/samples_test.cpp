// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/samples.hpp"

#include "support/catch.hpp"

#include <chrono>

using namespace stall;
using namespace std::chrono_literals;

TEST_CASE("samples: percentiles of nothing are zero") {
    CHECK(samples{}.percentile(50) == 0ns);
    CHECK(samples{}.max() == 0ns);
    CHECK(summarise(samples{}).count == 0);
}

TEST_CASE("samples: percentiles are values that were seen, by nearest rank") {
    samples waits;
    for (int value = 100; value >= 1; --value) waits.add(duration{value});
    CHECK(waits.percentile(1) == 1ns);
    CHECK(waits.percentile(50) == 50ns);
    CHECK(waits.percentile(99) == 99ns);
    CHECK(waits.max() == 100ns);
}

TEST_CASE("samples: of a single one every percentile is that one") {
    samples waits;
    waits.add(7ns);
    CHECK(waits.percentile(1) == 7ns);
    CHECK(waits.percentile(99) == 7ns);
}

TEST_CASE("samples: of two the median is the smaller, p99 the larger") {
    samples waits;
    waits.add(9ns);
    waits.add(3ns);
    CHECK(waits.percentile(50) == 3ns);
    CHECK(waits.percentile(51) == 9ns);
    CHECK(waits.percentile(99) == 9ns);
}

TEST_CASE("samples: may be added after a percentile was asked for") {
    samples waits;
    waits.add(5ns);
    CHECK(waits.max() == 5ns);
    waits.add(2ns);
    CHECK(waits.percentile(50) == 2ns);
    samples others;
    others.add(1ns);
    waits.add(others);
    CHECK(waits.percentile(1) == 1ns);
    auto const summary = summarise(waits);
    CHECK(summary.count == 3);
    CHECK(summary.p50 == 2ns);
    CHECK(summary.p99 == 5ns);
    CHECK(summary.max == 5ns);
}
