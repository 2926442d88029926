// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/coverage.hpp>

using namespace mmhold;

namespace {

verdict some() {
    verdict v;
    v.executions = 7;
    v.actors = 2;
    v.longest = 22;
    v.exhausted = true;
    return v;
}

}  // namespace

TEST_CASE("coverage: an exhausted search names its bounds", "[explore]") {
    auto v = some();
    CHECK(coverage_sentence("walk", {}, v) ==
          "all x86-TSO executions of walk (2 actors, 22 events, store buffers up to 8): 7, none "
          "wrong");
    v.cut = true;
    CHECK(coverage_sentence("walk", {}, v) ==
          "all x86-TSO executions of walk (2 actors, 22 events, store buffers up to 8, at most 3 "
          "retries): 7, none wrong");
    CHECK(coverage_sentence("walk", {.memory = memory_model::sc}, some()) ==
          "all sequentially consistent executions of walk (2 actors, 22 events): 7, none wrong");
}

TEST_CASE("coverage: nothing more is claimed than was done", "[explore]") {
    auto v = some();
    v.exhausted = false;
    CHECK(coverage_sentence("walk", {}, v).starts_with("the first 7 x86-TSO executions of walk"));
    CHECK(coverage_sentence("walk", {}, v).find("not all") != std::string::npos);
    CHECK(coverage_sentence("walk", {.search = search_kind::random}, v)
              .starts_with("7 random x86-TSO executions"));
    v.first.kind = finding_kind::data_race;
    v.first.at_execution = 5;
    CHECK(coverage_sentence("walk", {}, v).starts_with("data race in number 5 of the x86-TSO"));
}

TEST_CASE("coverage: the bound of PCT", "[explore]") {
    // One process, one step: a bug of depth 2 is hit by every execution that tries that depth.
    CHECK(missed_by_pct(1, 1, 2, 5) == 0);
    CHECK(missed_by_pct(2, 10, 2, 0) == 1);
    CHECK(missed_by_pct(2, 10, 2, 5) == Approx(0.95));
    CHECK(missed_by_pct(2, 10, 3, 10) == Approx(0.995 * 0.995));
    CHECK(missed_by_pct(0, 0, 2, 5) == 1);
    auto v = some();
    v.exhausted = false;
    v.executions = 100'000;
    auto const text = coverage_sentence("walk", {.search = search_kind::pct, .seed = 4}, v);
    CHECK(text.find("PCT depths 2 to 6, seed 4") != std::string::npos);
    CHECK(text.find("a bug of depth 2 is missed with probability at most") != std::string::npos);
}
