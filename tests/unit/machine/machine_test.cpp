// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/machine/machine.hpp>

using namespace mmhold;

namespace {

struct without_fences : constexpr_machine {
    static void light_fence(site) = delete;
};
struct without_waiting : constexpr_machine {
    template<class T, class Predicate>
    static T await(atomic<T> const&, Predicate, LoadOrder auto) = delete;
};
struct without_memory : constexpr_machine {
    template<class T, class... Args>
    static T* create(Args&&...) = delete;
};
struct without_voice : constexpr_machine {
    static void expect(bool, char const*) = delete;
};
struct without_clock : constexpr_machine {
    static std::uint64_t now() = delete;
};
struct with_int_words : constexpr_machine {
    template<class T>
    using atomic = T;
};

}  // namespace

TEST_CASE("the machines of this folder are machines") {
    STATIC_REQUIRE(Machine<constexpr_machine>);
    STATIC_REQUIRE(Machine<host_machine>);
    STATIC_REQUIRE(Machine<checked_host_machine>);
    STATIC_REQUIRE(Machine<basic_host_machine<asymmetric_fence::locked>>);
    STATIC_REQUIRE(Machine<basic_host_machine<asymmetric_fence::membarrier, expectation::fatal>>);
}

TEST_CASE("each part of Machine misses exactly what is missing") {
    STATIC_REQUIRE_FALSE(FencingMachine<without_fences>);
    STATIC_REQUIRE(WaitingMachine<without_fences>);
    STATIC_REQUIRE_FALSE(WaitingMachine<without_waiting>);
    STATIC_REQUIRE_FALSE(AllocatingMachine<without_memory>);
    STATIC_REQUIRE_FALSE(AnnotatedMachine<without_voice>);
    STATIC_REQUIRE_FALSE(ClockedMachine<without_clock>);
    STATIC_REQUIRE_FALSE(AtomicWord<with_int_words::atomic<int>, int>);
}

TEST_CASE("what misses a part is not a Machine") {
    STATIC_REQUIRE_FALSE(Machine<without_fences>);
    STATIC_REQUIRE_FALSE(Machine<without_waiting>);
    STATIC_REQUIRE_FALSE(Machine<without_memory>);
    STATIC_REQUIRE_FALSE(Machine<without_voice>);
    STATIC_REQUIRE_FALSE(Machine<without_clock>);
    STATIC_REQUIRE_FALSE(Machine<with_int_words>);
    STATIC_REQUIRE_FALSE(Machine<int>);
}
