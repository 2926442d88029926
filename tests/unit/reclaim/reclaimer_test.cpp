// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/reclaimer.hpp>

using namespace mmhold;

namespace {

using model = hazard_domain<constexpr_machine, 2>;

struct cannot_leave : model {
    void leave(record&) = delete;
};
struct cannot_retire : model {
    void retire(record&, retired_object&) = delete;
};
struct cannot_wait : model {
    void synchronize(record&) = delete;
};
struct cannot_answer : model {
    reclaim_statistics statistics() const = delete;
};
struct drains_silently : model {
    void drain() noexcept {}
};

}  // namespace

TEST_CASE("hazard domains of every machine and batch are Reclaimers") {
    STATIC_REQUIRE(Reclaimer<hazard_domain<host_machine>>);
    STATIC_REQUIRE(Reclaimer<hazard_domain<checked_host_machine, 1>>);
    STATIC_REQUIRE(Reclaimer<hazard_domain<constexpr_machine, 1000>>);
}

TEST_CASE("each part of Reclaimer misses exactly what is missing") {
    STATIC_REQUIRE_FALSE(JoinableReclaimer<cannot_leave>);
    STATIC_REQUIRE(RetiringReclaimer<cannot_leave>);
    STATIC_REQUIRE_FALSE(RetiringReclaimer<cannot_retire>);
    STATIC_REQUIRE_FALSE(RetiringReclaimer<drains_silently>);
    STATIC_REQUIRE_FALSE(SynchronizingReclaimer<cannot_wait>);
    STATIC_REQUIRE_FALSE(AccountableReclaimer<cannot_answer>);
    STATIC_REQUIRE_FALSE(SectionRecord<int>);
}

TEST_CASE("what misses a part is not a Reclaimer") {
    STATIC_REQUIRE_FALSE(Reclaimer<cannot_leave>);
    STATIC_REQUIRE_FALSE(Reclaimer<cannot_retire>);
    STATIC_REQUIRE_FALSE(Reclaimer<cannot_wait>);
    STATIC_REQUIRE_FALSE(Reclaimer<cannot_answer>);
    STATIC_REQUIRE_FALSE(Reclaimer<int>);
}
