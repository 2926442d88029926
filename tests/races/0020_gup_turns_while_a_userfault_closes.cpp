// SPDX-License-Identifier: BSL-1.0
//
// gup turns round and round while a userfault is being closed.
//
// Cause   A userfault that is stopped and not yet closed answers RETRY, gives the mm lock up, and
//         there is no ticket: nobody would wake a sleeper. gup took the lock again, faulted again,
//         and so on, and never said that it could do with a pause. Where others run only when
//         somebody pauses – a cooperative host, a simulator – the closer never got the lock it
//         needs to end this. (Linux had its own version of it, where the lock was kept:
//         gup-semantics §3 row 7 and §10 #10.)
// Fix     The driver calls relax() when it is told RETRY with nothing to wait for.
// Found   by pair.userfault_copy_against_close: "endless execution". The first execution of any
//         search shows it, so no token is kept.
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>

#include "interleave/pair_userfault.hpp"

namespace {

using namespace mmhold;
using namespace mmhold_test;

/// Where a pause changes nothing: what the driver did.
struct restless_machine : model_machine {
    static void relax() {}
};

template<class M>
using closing_under_gup =
    userfault_pair<gup_unlocked_taker<>, closing_meddler, supply::copy, meddling::by_the_pager,
                   serving::once, usual_userfault, pair_config<plain_mm_lock, hazard_domain<M, 1>>>;

}  // namespace

TEST_CASE("race 0020: gup turns while a userfault is being closed", "[race][gup]") {
    plan const short_lived{
        .memory = memory_model::tso, .longest = 300, .story = story_kind::omitted};
    auto const as_it_was = explore<closing_under_gup<restless_machine>>(short_lived);
    CHECK(as_it_was.found(finding_kind::endless));
    CHECK(as_it_was.first.at_execution == 1);

    auto const now = explore<closing_under_gup<model_machine>>({.memory = memory_model::tso});
    CHECK(now.complete());
}
