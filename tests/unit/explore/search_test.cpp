// SPDX-License-Identifier: BSL-1.0
// How executions are chosen, seen from outside: which there are, and that the same comes again.
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>

#include <cstdint>
#include <set>
#include <string>

using namespace mmhold;

namespace {

using M = model_machine;

/// Outcomes of all executions that were run; the host thread's, since scenarios own nothing.
thread_local std::set<std::string>* seen = nullptr;

/// Three actors write their number; the outcome is who came when.
struct order_of_three {
    static constexpr int actors = 3;
    M::atomic<int> word{0};
    void actor(int who) { (void)word.exchange(10 * word.load(relaxed) + who + 1, relaxed); }
    void finish() { seen->insert(std::to_string(word.load(relaxed))); }
};

/// Goes wrong in one order of four: 0 after 1 after 2.
struct rarely_wrong {
    static constexpr int actors = 3;
    M::atomic<int> last{0};
    void actor(int who) {
        int expected = 2 - who;
        (void)last.compare_exchange(expected, expected + 1, relaxed);
    }
    void finish() { M::expect(last.load(relaxed) != 3, "not in this order"); }
};

verdict outcomes(plan const& p, std::set<std::string>& into) {
    seen = &into;
    return explore<order_of_three>(p);
}

}  // namespace

TEST_CASE("search: all reaches what brute force reaches, in no more executions", "[explore]") {
    std::set<std::string> reduced;
    std::set<std::string> brute;
    auto const few = outcomes({.search = search_kind::all}, reduced);
    auto const many = outcomes({.search = search_kind::brute}, brute);
    CHECK(few.complete());
    CHECK(many.complete());
    CHECK(reduced == brute);
    CHECK(reduced.size() > 6);
    CHECK(few.executions <= many.executions);
}

TEST_CASE("search: by lot it runs as often as was asked and never claims all", "[explore]") {
    for (auto const kind : {search_kind::random, search_kind::pct}) {
        std::set<std::string> sampled;
        auto const v = outcomes({.search = kind, .executions = 300}, sampled);
        CHECK(v.executions == 300);
        CHECK_FALSE(v.exhausted);
        CHECK_FALSE(v.complete());
        CHECK(sampled.size() > 3);
    }
}

TEST_CASE("search: a seed is an execution, another is another", "[explore]") {
    for (auto const kind : {search_kind::random, search_kind::pct}) {
        std::set<std::string> tokens;
        for (std::uint64_t seed = 1; seed <= 8; ++seed) {
            plan const p{.search = kind, .seed = seed, .story = story_kind::omitted};
            auto const first = explore<rarely_wrong>(p);
            auto const again = explore<rarely_wrong>(p);
            REQUIRE(first.found(finding_kind::expectation));
            CHECK(first.first.token == again.first.token);
            CHECK(first.first.at_execution == again.first.at_execution);
            tokens.insert(std::to_string(first.first.at_execution));
        }
        CHECK(tokens.size() > 1);
    }
}

TEST_CASE("search: a budget of executions or of time ends it, unfinished", "[explore]") {
    std::set<std::string> some;
    auto const few = outcomes({.executions = 2}, some);
    CHECK(few.executions == 2);
    CHECK_FALSE(few.complete());
    auto const soon = outcomes({.search = search_kind::random,
                                .executions = 1'000'000'000,
                                .seconds = 0.01},
                               some);
    CHECK(soon.executions < 1'000'000'000);
    CHECK(soon.seconds >= 0.01);
}

TEST_CASE("search: going on after a finding counts the other executions", "[explore]") {
    auto const stopped = explore<rarely_wrong>();
    auto const all = explore<rarely_wrong>({.on_finding = after_finding::go_on});
    REQUIRE(stopped.found());
    REQUIRE(all.found());
    CHECK(all.exhausted);
    CHECK_FALSE(all.complete());
    CHECK(all.executions >= stopped.executions);
    CHECK(all.first.at_execution == stopped.first.at_execution);
}

TEST_CASE("search: a token is one execution, and answers what the search answered", "[explore]") {
    auto const found = explore<rarely_wrong>();
    REQUIRE(found.found());
    auto const again =
        explore<rarely_wrong>({.search = search_kind::replay, .replay = found.first.token});
    CHECK(again.executions == 1);
    CHECK(again.first.kind == found.first.kind);
    CHECK(again.first.token == found.first.token);
}
