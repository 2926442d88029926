// SPDX-License-Identifier: BSL-1.0
// Execution counts that other model checkers agree on, and mutants that must be found.
#include "support/catch.hpp"

#include "interleave/reference_programs.hpp"

using namespace mmhold_test;

namespace {

template<class S>
std::uint64_t executions(memory_model model) {
    auto const v = explore<S>({.memory = model});
    INFO(v.first.headline);
    CHECK(v.complete());
    CHECK(v.redundant == 0);
    return v.executions;
}

}  // namespace

TEST_CASE("reference counts: store buffering and Dekker under TSO", "[explore]") {
    CHECK(executions<store_buffering<fenced::yes>>(memory_model::tso) == 3);
    CHECK(executions<dekker<fenced::yes>>(memory_model::tso) == 7);
    CHECK(executions<dekker<fenced::no>>(memory_model::sc) == 7);
}

TEST_CASE("reference counts: hazard pointers", "[explore]") {
    CHECK(executions<hazard_pointers<1, 1>>(memory_model::tso) == 7);
    CHECK(executions<hazard_pointers<1, 2>>(memory_model::tso) == 195);
    CHECK(executions<hazard_pointers<2, 1>>(memory_model::tso) == 49);
    CHECK(executions<hazard_pointers<2, 2>>(memory_model::tso) == 55'097);
    CHECK(executions<hazard_pointers<2, 2>>(memory_model::sc) == 37'266);
}

TEST_CASE("reference counts: Treiber's stack with a tag", "[explore]") {
    CHECK(executions<treiber_stack<tagged::yes>>(memory_model::tso) == 33);
}

TEST_CASE("mutants of the reference programs are found", "[explore]") {
    auto const found = [](verdict const& v) {
        INFO(v.executions << " executions");
        return v.found();
    };
    for (auto const model : {memory_model::tso, memory_model::stale}) {
        CHECK(found(explore<store_buffering<fenced::no>>({.memory = model})));
        CHECK(found(explore<dekker<fenced::no>>({.memory = model})));
        CHECK(
            found(explore<hazard_pointers<1, 1, hazard_bug::no_reader_fence>>({.memory = model})));
        CHECK(
            found(explore<hazard_pointers<1, 1, hazard_bug::no_writer_fence>>({.memory = model})));
        CHECK(found(explore<hazard_pointers<2, 2, hazard_bug::no_recheck>>({.memory = model})));
        CHECK(found(explore<treiber_stack<tagged::no>>({.memory = model})));
    }
    CHECK(explore<hazard_pointers<1, 1, hazard_bug::no_reader_fence>>({.memory = memory_model::sc})
              .complete());
    CHECK(explore<treiber_stack<tagged::no>>({.memory = memory_model::sc}).found());
}

TEST_CASE("random and PCT find the missing reader fence from any seed", "[explore]") {
    using mutant = hazard_pointers<2, 2, hazard_bug::no_reader_fence>;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CHECK(explore<mutant>({.search = search_kind::random, .executions = 50'000, .seed = seed})
                  .found());
        CHECK(explore<mutant>({.search = search_kind::pct, .executions = 50'000, .seed = seed})
                  .found());
    }
}

TEST_CASE("a replay token reproduces the finding in one run", "[explore]") {
    using mutant = hazard_pointers<2, 2, hazard_bug::no_reader_fence>;
    for (auto const model : {memory_model::tso, memory_model::stale}) {
        auto const v = explore<mutant>({.memory = model});
        REQUIRE(v.found());
        auto const again = explore<mutant>(
            {.memory = model, .search = search_kind::replay, .replay = v.first.token});
        CHECK(again.executions == 1);
        CHECK(again.first.kind == v.first.kind);
        CHECK(again.first.headline == v.first.headline);
    }
}
