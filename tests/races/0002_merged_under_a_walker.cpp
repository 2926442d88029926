// SPDX-License-Identifier: BSL-1.0
//
// 0002  A page is merged away under somebody who has just taken a reference
//
// Found in  the scenario of KSM against O_DIRECT (gup-semantics §6.2 #13), by the stale-read search,
//           when it was written first; x86 hides it, since a locked instruction is a full barrier.
// Cause     The merger cleared the entry, issued the barrier of the share protocol
//           (frame_pool::look_after_clear) and counted references. That barrier has its counterpart
//           in pins only: a reference is added with acquire, and the second look at the entry may be
//           done before the new count is visible. So the merger counted one, and the walker saw the
//           old entry.
// Fix       Who decides by references, not by pins, asks first whether somebody is walking
//           (try_synchronize; Linux flushes, which is a broadcast), and leaves the page alone if so.
//           look_after_clear() says so now. A reference keeps its cheap order: gup_fast takes one for
//           each page.
#include "exhibit.hpp"
#include "interleave/race_fork_scenarios.hpp"

namespace {

using namespace mmhold_test;

using bug = merge_against_grab<merge_bug::walkers_not_asked>;
using repaired = merge_against_grab<merge_bug::none>;

constexpr exhibit shown{memory_model::stale, finding_kind::expectation,
                        "the end: what the device writes is lost: its page was merged away",
                        "111111111111111000000000000000000000000000001111'111111111"};

}  // namespace

TEST_CASE("race 0002: a page is merged away under a walker", "[race]") { check_replay<bug>(shown); }

TEST_CASE("race 0002: repaired", "[race]") { check_repaired<repaired>(); }
