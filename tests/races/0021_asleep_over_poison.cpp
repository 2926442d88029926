// SPDX-License-Identifier: BSL-1.0
//
// 0021  A fault sleeps over a page that has been poisoned
//
// Found in  fault/present_page.hpp, is_missing(), by the first search of userfault.poison_against_gup.
// Cause     A fault finds nothing, queues itself for the pager, and looks once more, so that it does
//           not sleep when the page came in between (gup-semantics §6.2 #18). That look took every
//           marker that stands for no page for a page that is still missing. But poison is the
//           pager's answer: it was put there, and whoever waited was woken, before the fault stood
//           in the queue. A guard that was installed meanwhile is the same case, and nobody wakes
//           for that at all.
// Fix       Missing is what a fault would ask the pager for: nothing, or the marker that says how the
//           page is to be protected when it comes.
// Token     the last look before the sleep of T0 finds the poison of T1.
#include "exhibit.hpp"
#include "interleave/race_fault_scenarios.hpp"

namespace {

using namespace mmhold;
using namespace mmhold_test;

enum class poison_is : std::uint8_t { an_answer, overlooked };

/// Waits for the pager unless its page has come by now.
template<class Space, poison_is What>
struct asking_handler : queue_handler<Space, pager_bug::none> {
    using base = queue_handler<Space, pager_bug::none>;
    using typename base::cpu_type;
    using typename base::lock_type;
    using typename base::outcome;
    outcome handle(fault_request const& request, lock_authority<lock_type>& authority,
                   cpu_type& me) {
        if (What == poison_is::an_answer || !base::present.is_missing(me, request.at))
            return base::handle(request, authority, me);
        auto ticket = base::queue.raise(me.current(), request.at, {});
        if (!was_missing(me, request.at)) ticket->reset();
        return outcome::retry(authority.permission()->drop(), *std::move(ticket));
    }
    /// What is_missing() said.
    bool was_missing(cpu_type& me, virt_addr at) {
        auto const entry = base::space.table().lock_leaf(me, at, 0, if_absent::fail);
        return !entry || entry->read().none() || stands_for_no_page(entry->read());
    }
};

template<poison_is What>
struct poisoned_before_the_sleep : paged_process<pager_bug::none> {
    static constexpr int actors = 2;
    void actor(int who) {
        if (who == 1) {
            (void)install_leaf(space, second, start, poisoned_entry(), over_marker::refuse);
            return (void)queue.wake(span_of(0));
        }
        asking_handler<space_type, What> handler{{space, queue, released}};
        locked_walker<space_type> walker{space, first};
        auto const mm = compose(space.lock(), handler, walker);
        std::array<pfn, 1> out{};
        M::expect(gup_unlocked(mm, first, span_of(0), {}, out).pages == 0, "there is no page");
    }
};

constexpr exhibit shown{
    memory_model::tso, finding_kind::deadlock,
    "T0 waits for unnamed2, which is 0 (it changed that last itself, at step 27)",
    "1111000000000aaa000000000aa0b111111111bb1111bb111b111b11111111111bbb11111111111bbb111b0000000000"
    "aaa00000000000000aa"};

}  // namespace

TEST_CASE("race 0021: a fault sleeps over poison", "[race][userfault]") {
    check_replay<poisoned_before_the_sleep<poison_is::overlooked>>(shown);
}

TEST_CASE("race 0021: repaired", "[race][userfault]") {
    check_repaired<poisoned_before_the_sleep<poison_is::an_answer>>();
}
