// SPDX-License-Identifier: BSL-1.0
#include <mmhold/observe/ring_buffer.hpp>

#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"

#include <limits>
#include <vector>

using namespace mmhold;

namespace {

using ring = ring_buffer<checked_host_machine>;

event numbered(std::uint64_t n) { return {event_kind::user_mark, 1, n, n * 2, n * 3}; }

std::vector<std::uint64_t> numbers_in(ring const& from) {
    std::vector<std::uint64_t> out;
    (void)from.for_each([&out](event const& what) { out.push_back(what.time_ns); });
    return out;
}

/// A machine whose memory is exhausted.
struct no_memory_machine : checked_host_machine {
    template<class T>
    static T* create_array(std::size_t) {
        return nullptr;
    }
};

}  // namespace

TEST_CASE("ring_buffer gives back what was recorded, in order") {
    ring log{8};
    REQUIRE(log.valid());
    for (std::uint64_t n = 0; n < 5; ++n) log.record(numbered(n));
    std::uint64_t next = 0;
    auto const reading =
        log.for_each([&next](event const& what) { CHECK(what == numbered(next++)); });
    CHECK(reading == ring_reading{5, 0});
    CHECK(log.recorded() == 5);
}

TEST_CASE("ring_buffer keeps every field, also at its extremes") {
    ring log{1};
    event const extreme{event_kind::user_mark, std::numeric_limits<std::uint32_t>::max(),
                        std::numeric_limits<std::uint64_t>::max(),
                        std::numeric_limits<std::uint64_t>::max(), 0};
    log.record(extreme);
    auto const reading = log.for_each([&](event const& what) { CHECK(what == extreme); });
    CHECK(reading == ring_reading{1, 0});
}

TEST_CASE("ring_buffer overwrites the oldest and counts what is lost") {
    ring log{4};
    for (std::uint64_t n = 0; n < 10; ++n) log.record(numbered(n));
    CHECK(numbers_in(log) == std::vector<std::uint64_t>{6, 7, 8, 9});
    CHECK(log.for_each([](event const&) {}) == ring_reading{4, 6});
}

TEST_CASE("ring_buffer that is exactly full has lost nothing") {
    ring log{4};
    for (std::uint64_t n = 0; n < 4; ++n) log.record(numbered(n));
    CHECK(log.for_each([](event const&) {}) == ring_reading{4, 0});
}

TEST_CASE("ring_buffer of one event keeps the last") {
    ring log{1};
    for (std::uint64_t n = 0; n < 3; ++n) log.record(numbered(n));
    CHECK(numbers_in(log) == std::vector<std::uint64_t>{2});
}

TEST_CASE("ring_buffer without room counts everything as lost") {
    SECTION("capacity 0") {
        ring log{0};
        CHECK_FALSE(log.valid());
        log.record(numbered(1));
        CHECK(log.for_each([](event const&) {}) == ring_reading{0, 1});
    }
    SECTION("memory exhausted") {
        ring_buffer<no_memory_machine> log{16};
        CHECK_FALSE(log.valid());
        CHECK(log.capacity() == 0);
        log.record(numbered(1));
        log.record(numbered(2));
        CHECK(log.for_each([](event const&) {}) == ring_reading{0, 2});
    }
    SECTION("more than the address space holds") {
        ring log{std::numeric_limits<std::size_t>::max()};
        CHECK_FALSE(log.valid());
    }
}

TEST_CASE("ring_buffer that was never written reads as empty") {
    ring log{4};
    CHECK(log.for_each([](event const&) {}) == ring_reading{0, 0});
}

TEST_CASE("ring_buffer works in constant evaluation") {
    constexpr auto reading = [] {
        ring_buffer<constexpr_machine> log{2};
        for (std::uint64_t n = 0; n < 3; ++n) {
            notify<constexpr_machine>(log, event_kind::mapped, 1, n);
        }
        return log.for_each([](event const&) {});
    }();
    STATIC_REQUIRE(reading == ring_reading{2, 1});
}
