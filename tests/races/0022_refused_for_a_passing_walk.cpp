// SPDX-License-Identifier: BSL-1.0
//
// 0022  A long-term pin is refused for the sake of a walk that came too late
//
// Found in  gup/over_space.hpp, longterm_mover, by the first search of longterm.gup_fast.
// Cause     A page of the movable zone is moved before it is pinned for ever; who holds a reference to
//           it keeps it from being moved, and that was final: no_memory. But a lockless walk takes a
//           reference first and looks at the entry again afterwards. It finds the entry taken out by
//           the mover, gives the reference back and has nothing, and by then the mover has seen the
//           reference and given up: nobody has the page.
// Fix       A busy page is tried again, with a pause, a bounded number of times, as in Linux.
// Token     T1 grabs the page, T0 takes the entry out and counts, T1 looks again.
#include "exhibit.hpp"
#include "interleave/longterm_scenarios.hpp"

namespace {

using namespace mmhold_test;

constexpr exhibit shown{
    memory_model::tso, finding_kind::expectation,
    "the end: refused, although nobody else had the page",
    "11111111111110000000000000aaa000000000000000000000000aa0000000000000000000a0000aaaaaaaa00000"
    "00000000000a00000000000000a000000000abb1111111000000000011aa000000000aa00000000000a000000000"
    "0aaa00000aa0b"};

}  // namespace

TEST_CASE("race 0022: a long-term pin is refused for a passing walk", "[race][gup]") {
    check_replay<longterm_against_fast<holding::reference, longterm_bug::tried_once>>(shown);
}

// A page that stays busy is tried again and again: too many executions to search them all.
TEST_CASE("race 0022: repaired", "[race][gup]") {
    plan how;
    how.search = search_kind::pct;
    how.executions = 5'000;
    auto const sampled = explore<longterm_against_fast<holding::reference>>(how);
    INFO(sampled.first.headline);
    CHECK_FALSE(sampled.found());
}
