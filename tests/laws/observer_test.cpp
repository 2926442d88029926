// SPDX-License-Identifier: BSL-1.0
#include <mmhold/laws/observer.hpp>

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/observe/attributed.hpp>
#include <mmhold/observe/counters.hpp>
#include <mmhold/observe/null_observer.hpp>
#include <mmhold/observe/ring_buffer.hpp>

#include "support/catch.hpp"

#include <thread>

using namespace mmhold;

namespace {

struct together {
    template<class A, class B, class C>
    void operator()(A a, B b, C c) const {
        std::thread first{a};
        std::thread second{b};
        c();
        first.join();
        second.join();
    }
};

template<Machine M>
constexpr auto reader_of(ring_buffer<M> const& ring) {
    return [&ring](auto take) { (void)ring.for_each(take); };
}

struct nothing_kept {
    template<class F>
    constexpr void operator()(F) const {}
};

template<std::size_t Capacity>
constexpr law_report ring_obeys() {
    ring_buffer<constexpr_machine> ring{Capacity};
    return observer_laws(ring, reader_of(ring));
}

static_assert(ring_obeys<64>(), "ring_buffer that loses nothing");
static_assert(ring_obeys<5>(), "ring_buffer that overwrites");
static_assert(ring_obeys<0>(), "ring_buffer without memory");

/// Breaks the law: delivers events with the fields of two.
struct mixer {
    static constexpr bool enabled = true;
    constexpr void record(event const& what) noexcept {
        kept.value = what.value;
        if (++count % 2 == 0) return;
        kept = what;
    }
    event kept{};
    int count{0};
};

/// Breaks the law: delivers before anything was recorded.
struct inventor : null_observer {};

}  // namespace

TEST_CASE("observer laws hold for ring_buffer") {
    ring_buffer<checked_host_machine> ring{7};
    auto const verdict = observer_laws(ring, reader_of(ring), 100);
    INFO((verdict.holds() ? "" : verdict.failure));
    CHECK(verdict);
}

TEST_CASE("observer laws hold for ring_buffer behind attributed") {
    ring_buffer<checked_host_machine> ring{64};
    attributed named{ring, []() noexcept { return std::uint32_t{1}; }};
    CHECK(observer_laws(named, reader_of(ring)));
}

TEST_CASE("observer laws hold for observers that keep nothing") {
    null_observer nobody;
    CHECK(observer_laws(nobody, nothing_kept{}));
    counters<checked_host_machine> numbers;
    CHECK(observer_laws(numbers, nothing_kept{}));
    CHECK(numbers.count(event_kind::user_mark) == 32);
}

TEST_CASE("observer laws hold for a ring_buffer that two threads overrun while one reads") {
    for (int round = 0; round < 20; ++round) {
        ring_buffer<host_machine> ring{8};
        auto const verdict = observer_laws_concurrently(ring, reader_of(ring), together{}, 2000);
        INFO((verdict.holds() ? "" : verdict.failure));
        CHECK(verdict);
        CHECK(ring.recorded() == 4000);
        auto const reading = ring.for_each([](event const&) {});
        CHECK(reading.delivered + reading.lost == 4000);
        CHECK(reading.delivered <= 8);
    }
}

TEST_CASE("observer laws find an observer that mixes events") {
    mixer broken;
    auto const read = [&broken](auto take) {
        if (broken.count != 0) take(broken.kept);
    };
    auto const verdict = observer_laws(broken, read);
    CHECK_FALSE(verdict.holds());
}

TEST_CASE("observer laws find an observer that invents events") {
    inventor broken;
    auto const verdict = observer_laws(broken, [](auto take) { take(event{}); });
    CHECK_FALSE(verdict.holds());
}

TEST_CASE("observer laws find an observer that repeats events") {
    ring_buffer<checked_host_machine> ring{8};
    auto const twice = [&ring](auto take) {
        (void)ring.for_each([&take](event const& what) {
            take(what);
            take(what);
        });
    };
    CHECK_FALSE(observer_laws(ring, twice).holds());
}
