// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/wait_queue.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"

#include <thread>

using namespace mmhold;

namespace {

/// One line and three tasks that could stand in it. Everything here runs at compile time and again
/// at run time: nobody really sleeps, because whoever calls wait() was granted or killed before.
template<Machine M>
struct scene {
    using queue = wait_queue<M>;
    using granted = typename queue::granted;
    using guarded = typename queue::guarded;

    queue line;
    task<M> tasks[3];
    typename queue::node nodes[3]{{tasks[0], lock_mode::shared},
                                  {tasks[1], lock_mode::exclusive},
                                  {tasks[2], lock_mode::shared}};

    constexpr scene() {
        for (int who = 0; who < 3; ++who) {
            guarded const held{line.guard()};
            tasks[who].prepare_to_wait();
            line.join(nodes[who], held);
        }
    }
    constexpr std::size_t length() {
        guarded const held{line.guard()};
        return line.length(held);
    }
    constexpr lock_mode first() {
        guarded const held{line.guard()};
        return line.first_wants(held);
    }
    constexpr void grant(unsigned count) {
        granted lucky;
        {
            guarded const held{line.guard()};
            for (; count > 0; --count) line.grant_first(lucky, held);
        }
        line.wake(lucky);
    }
    constexpr result<void> wait(int who, wait_mode mode) {
        return line.wait(nodes[who], mode, [](auto const&) { return granted{}; });
    }
};

template<Machine M>
constexpr bool first_come_first_served() {
    scene<M> s;
    if (s.length() != 3 || s.first() != lock_mode::shared) return false;
    s.grant(1);
    if (s.length() != 2 || s.first() != lock_mode::exclusive) return false;
    s.grant(2);
    if (s.length() != 0) return false;
    for (int who = 0; who < 3; ++who) {
        if (!s.wait(who, wait_mode::uninterruptible)) return false;
    }
    typename scene<M>::guarded const held{s.line.guard()};
    return s.line.empty(held);
}

template<Machine M>
constexpr bool a_signal_takes_a_waiter_out(int who) {
    scene<M> s;
    s.tasks[who].kill();
    if (s.wait(who, wait_mode::killable).error() != errc::interrupted) return false;
    if (s.length() != 2) return false;
    s.grant(2);
    for (int other = 0; other < 3; ++other) {
        if (other != who && !s.wait(other, wait_mode::killable)) return false;
    }
    return s.length() == 0;
}

template<Machine M>
constexpr bool whoever_was_granted_before_the_signal_keeps_it() {
    scene<M> s;
    s.grant(3);
    for (auto& task : s.tasks) task.kill();
    return s.wait(0, wait_mode::killable) && s.wait(1, wait_mode::interruptible)
           && s.wait(2, wait_mode::uninterruptible);
}

template<Machine M>
constexpr bool a_leaver_may_grant_those_behind_it() {
    scene<M> s;
    s.grant(1);
    s.tasks[1].signal();
    auto const left = s.line.wait(s.nodes[1], wait_mode::interruptible, [&s](auto const& held) {
        typename scene<M>::granted lucky;
        s.line.grant_first(lucky, held);
        return lucky;
    });
    return left.error() == errc::interrupted && s.length() == 0
           && s.wait(2, wait_mode::uninterruptible) && s.wait(0, wait_mode::uninterruptible);
}

template<Machine M>
constexpr bool all_of_it() {
    return first_come_first_served<M>() && a_signal_takes_a_waiter_out<M>(0)
           && a_signal_takes_a_waiter_out<M>(1) && a_signal_takes_a_waiter_out<M>(2)
           && whoever_was_granted_before_the_signal_keeps_it<M>()
           && a_leaver_may_grant_those_behind_it<M>();
}
static_assert(all_of_it<constexpr_machine>());

}  // namespace

TEST_CASE("wait_queue: first come, first served") {
    CHECK(first_come_first_served<checked_host_machine>());
}

TEST_CASE("wait_queue: a signal takes a waiter out, wherever it stands") {
    for (int who = 0; who < 3; ++who) {
        CHECK(a_signal_takes_a_waiter_out<checked_host_machine>(who));
    }
}

TEST_CASE("wait_queue: whoever was granted before the signal keeps what it got") {
    CHECK(whoever_was_granted_before_the_signal_keeps_it<checked_host_machine>());
}

TEST_CASE("wait_queue: a leaver may grant those behind it") {
    CHECK(a_leaver_may_grant_those_behind_it<checked_host_machine>());
}

TEST_CASE("wait_queue: a sleeper whose task is woken for another reason sleeps on") {
    using machine = checked_host_machine;
    scene<machine> s;
    std::thread stranger{[&s] {
        for (int i = 0; i < 1000; ++i) s.tasks[0].wake();
        s.grant(1);
    }};
    CHECK(s.wait(0, wait_mode::uninterruptible).has_value());
    stranger.join();
    CHECK(s.length() == 2);
}
