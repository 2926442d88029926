// SPDX-License-Identifier: BSL-1.0
//
// The museum of races: every concurrency bug of our own that got as far as an execution, numbered in
// the order in which it was found. A file holds
//   - what went wrong, why, and what was done about it;
//   - the scenario, with the bug as a type;
//   - the replay token of the execution that shows it, and what the explorer said of it;
//   - two tests: the token still shows the bug, and the repaired scenario is free of findings.
// A new one: copy the shortest file, take the next number, and paste the token that
// `mmhold_explore --scenario ... --mutant ...` prints.
//
// 0001  A hazard slot is named anew with a relaxed store
//
// Found in  the prototype of hazard_domain, by its stale-read search; TSO on hardware hides it.
// Cause     The slot was published relaxed, with a fence behind it, which is enough for the first
//           object it names. But naming a second one also ends the protection of the first: a scanner
//           that reads the new name frees the old object, and nothing orders the reader's accesses
//           before that. (Since C++20 an own later store does not carry an earlier release on.)
// Fix       Publish with release (hazard.publish); the scanner reads with acquire (hazard.scan).
#include "exhibit.hpp"
#include "interleave/reclaim_scenarios.hpp"

namespace {

using namespace mmhold_test;

using bug = protected_in_turn<machine_without<"hazard.publish">>;
using repaired = protected_in_turn<>;

constexpr exhibit shown{memory_model::tso, finding_kind::data_race,
                        "T1 ends the life of object[1]+32 while T0 uses it: nothing orders the two",
                        "11110000b00aaab111111111"};

}  // namespace

TEST_CASE("race 0001: a hazard slot is named anew with a relaxed store", "[race]") {
    check_replay<bug>(shown);
}

TEST_CASE("race 0001: repaired", "[race]") { check_repaired<repaired>(); }
