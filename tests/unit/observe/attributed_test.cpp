// SPDX-License-Identifier: BSL-1.0
#include <mmhold/observe/attributed.hpp>

#include "support/catch.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/observe/counters.hpp>
#include <mmhold/observe/null_observer.hpp>
#include <mmhold/observe/ring_buffer.hpp>

using namespace mmhold;

namespace {

struct number_five {
    std::uint32_t operator()() const noexcept { return 5; }
};
struct may_throw {
    std::uint32_t operator()() const { return 5; }
};

static_assert(ActorSource<number_five>);
static_assert(!ActorSource<may_throw>);
static_assert(Observer<attributed<counters<constexpr_machine>, number_five>>);
static_assert(!attributed<null_observer, number_five>::enabled, "nobody listens at the end");

}  // namespace

TEST_CASE("attributed fills in who did it") {
    ring_buffer<constexpr_machine> ring{4};
    attributed named{ring, number_five{}};
    notify<constexpr_machine>(named, event_kind::lock_wait, unattributed, 8, 9);
    (void)ring.for_each([](event const& what) {
        CHECK(what == event{event_kind::lock_wait, 5, 0, 8, 9});
    });
    CHECK(ring.recorded() == 1);
}

TEST_CASE("attributed leaves events alone that name their actor") {
    ring_buffer<constexpr_machine> ring{4};
    attributed named{ring, number_five{}};
    notify<constexpr_machine>(named, event_kind::lock_wait, 0);
    (void)ring.for_each([](event const& what) { CHECK(what.actor == 0); });
    CHECK(ring.recorded() == 1);
}
