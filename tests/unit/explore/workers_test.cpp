// SPDX-License-Identifier: BSL-1.0
// Searches that are divided among workers answer what the search of one does.
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>

#include "interleave/reference_programs.hpp"

using namespace mmhold_test;

namespace {

template<class S>
void same_executions(memory_model model) {
    auto const alone = explore<S>({.memory = model});
    CHECK(alone.complete());
    for (int const workers : {2, 3, 8}) {
        auto const divided = explore<S>({.memory = model, .workers = workers});
        INFO(workers << " workers under " << to_string(model));
        CHECK(divided.complete());
        CHECK(divided.executions == alone.executions);
        CHECK(divided.longest == alone.longest);
        CHECK(divided.actors == alone.actors);
        CHECK(divided.redundant * 100 <= divided.executions);
    }
}

/// Locks a and b in one order, or in the other: never both in one execution.
struct either_order {
    using M = model_machine;
    static constexpr int actors = 2;
    M::atomic<int> turn{0};
    int a{0};
    int b{0};

    void actor(int who) {
        if (who == 0) {
            turn.store(1, seq_cst("either.turn"));
        } else {
            bool const swapped = turn.load(seq_cst("either.look")) == 1;
            void const* const first = swapped ? &b : &a;
            void const* const second = swapped ? &a : &b;
            M::lock_taken(first, lock_mode::exclusive);
            M::lock_taken(second, lock_mode::exclusive);
            M::lock_given(second, lock_mode::exclusive);
            M::lock_given(first, lock_mode::exclusive);
        }
    }
};

}  // namespace

TEST_CASE("workers: an exhaustive search has the same executions", "[explore]") {
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        same_executions<store_buffering<fenced::yes>>(model);
        same_executions<dekker<fenced::yes>>(model);
        same_executions<hazard_pointers<1, 1>>(model);
        same_executions<treiber_stack<tagged::yes>>(model);
    }
    same_executions<hazard_pointers<1, 2>>(memory_model::tso);
    same_executions<hazard_pointers<2, 1>>(memory_model::stale);
}

TEST_CASE("workers: of several findings by lot the first one is reported", "[explore]") {
    using mutant = treiber_stack<tagged::no>;
    for (auto const kind : {search_kind::random, search_kind::pct}) {
        plan how{.search = kind, .executions = 3000, .seed = 5};
        auto const alone = explore<mutant>(how);
        REQUIRE(alone.found());
        for (int const workers : {2, 5}) {
            how.workers = workers;
            auto const divided = explore<mutant>(how);
            CHECK(divided.first.at_execution == alone.first.at_execution);
            CHECK(divided.first.token == alone.first.token);
        }
    }
}

TEST_CASE("workers: searches by lot run the same executions, as many as asked for", "[explore]") {
    using program = hazard_pointers<1, 1>;
    for (std::uint64_t const executions : {1U, 15U, 16U, 17U, 1001U}) {
        for (auto const kind : {search_kind::random, search_kind::pct}) {
            plan how{.memory = memory_model::stale, .search = kind, .executions = executions};
            auto const alone = explore<program>(how);
            how.workers = 4;
            auto const divided = explore<program>(how);
            CHECK(divided.executions == executions);
            CHECK(divided.events == alone.events);
            CHECK(divided.longest == alone.longest);
        }
    }
}

TEST_CASE("workers: a finding stops everybody and can be replayed", "[explore]") {
    using mutant = hazard_pointers<2, 2, hazard_bug::no_reader_fence>;
    auto const v = explore<mutant>({.workers = 3});
    REQUIRE(v.found());
    CHECK_FALSE(v.exhausted);
    auto const again = explore<mutant>({.search = search_kind::replay, .replay = v.first.token});
    CHECK(again.first.kind == v.first.kind);
}

TEST_CASE("workers: a budget stops everybody", "[explore]") {
    using program = hazard_pointers<2, 2>;
    auto const v = explore<program>({.executions = 1000, .workers = 3});
    CHECK_FALSE(v.exhausted);
    CHECK(v.executions + v.redundant >= 1000);
    CHECK(v.executions + v.redundant <= 1003);
}

TEST_CASE("workers: two halves of a lock order cycle are found wherever they were seen",
          "[explore]") {
    for (int const workers : {1, 2, 4}) {
        auto const v = explore<either_order>({.memory = memory_model::sc, .workers = workers});
        INFO(v.first.headline);
        CHECK(v.found(finding_kind::lock_order));
        CHECK(v.first.headline.find("scenario+") != std::string::npos);
    }
}
