// SPDX-License-Identifier: BSL-1.0
//
// 0003  A killed gup answers "0 pages" and no error
//
// Found in  Linux 5.7-rc (April 2020), by syzbot; not ours, but kept because every retry loop invites
//           it (gup-semantics §0, ae46d2aa6a7f).
// Cause     The new retry loop left at a fatal signal with what it had so far, which is nothing when
//           the signal comes before the first page. Callers take 0 for success and look at pages[0].
// Fix       No page and no error do not go together: interrupted. gup_operation can end without pages
//           only with an error, or with would_wait for those who asked not to wait.
#include "exhibit.hpp"
#include "interleave/race_fault_scenarios.hpp"

namespace {

using namespace mmhold_test;

/// What a killed loop answers.
enum class killed_answer : std::uint8_t { interrupted, what_it_has };

/// A caller that wants one page, and is killed while it waits for it.
template<killed_answer Answer>
struct caller_killed : tiny_process<shared_only_config> {
    static constexpr int actors = 2;
    userfault_queue<M> queue;
    M::plain<bool> released{false};

    void actor(int who) {
        if (who == 1) return first.current().kill();
        std::array<pfn, 1> pages{};
        if (get(pages) < 0) return;
        M::expect(frames.contains(pages[0]), "a caller without an error looks at its page");
    }
    std::int64_t get(std::array<pfn, 1>& pages) {
        queue_handler<space_type, pager_bug::none> handler{space, queue, released};
        locked_walker<space_type> walker{space, first};
        auto const mm = compose(space.lock(), handler, walker);
        auto const got = gup_unlocked(mm, first, span_of(0), {}, pages);
        auto const killed = got.error == errc::interrupted;
        if (Answer == killed_answer::what_it_has && killed)
            return static_cast<std::int64_t>(got.pages);
        return to_linux(got);
    }
};

constexpr exhibit shown{memory_model::tso, finding_kind::expectation,
                        "T0: a caller without an error looks at its page", "10"};

}  // namespace

TEST_CASE("race 0003: a killed gup answers nothing and no error", "[race]") {
    check_replay<caller_killed<killed_answer::what_it_has>>(shown);
}

TEST_CASE("race 0003: repaired", "[race]") {
    check_repaired<caller_killed<killed_answer::interrupted>>();
}
