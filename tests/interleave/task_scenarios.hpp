// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of machine/task.hpp: sleeping, being woken, being killed.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/task.hpp>

#include <cstdint>

namespace mmhold_test {

using namespace mmhold;

/// In which order the two sides do their three things.
enum class wake_bug : std::uint8_t { none, prepares_too_late, wakes_before_the_reason };

/// One actor sleeps until there is work, the other makes work and wakes it: no wake-up is lost.
template<wake_bug Bug>
struct sleep_and_wake {
    using M = model_machine;
    static constexpr int actors = 2;
    task<M> sleeper;
    spin_lock<M> queue;
    M::plain<bool> work{false};
    M::plain<bool> in_line{false};

    sleep_and_wake() {
        M::name(&sleeper, "task");
        M::name(&queue, "queue");
        M::name(&work, "work");
        M::name(&in_line, "in_line");
    }
    void actor(int who) { who == 0 ? sleep() : wake(); }

private:
    bool must_wait() {
        spin_guard<M> const held{queue};
        if (work.get()) return false;
        in_line.set(true);
        return true;
    }
    void sleep() {
        for (;;) {
            if constexpr (Bug != wake_bug::prepares_too_late) sleeper.prepare_to_wait();
            if (!must_wait()) return;
            if constexpr (Bug == wake_bug::prepares_too_late) sleeper.prepare_to_wait();
            sleeper.wait(wait_mode::uninterruptible);
        }
    }
    void wake() {
        if constexpr (Bug == wake_bug::wakes_before_the_reason) sleeper.wake();
        bool somebody = false;
        {
            spin_guard<M> const held{queue};
            work.set(true);
            somebody = in_line.get();
        }
        if (somebody && Bug != wake_bug::wakes_before_the_reason) sleeper.wake();
    }
};

/// A fatal signal ends a killable wait, an ordinary one does not.
struct killed_while_waiting {
    using M = model_machine;
    static constexpr int actors = 3;
    task<M> sleeper;
    killed_while_waiting() { M::name(&sleeper, "task"); }
    void actor(int who) {
        switch (who) {
            case 0:
                sleeper.prepare_to_wait();
                sleeper.wait(wait_mode::killable);
                M::expect(sleeper.fatal_signal_pending(), "only the fatal signal ends the wait");
                break;
            case 1: sleeper.signal(); break;
            default: sleeper.kill();
        }
    }
};

/// A wake publishes what the waker did before it.
struct wake_publishes {
    using M = model_machine;
    static constexpr int actors = 2;
    task<M> sleeper;
    M::plain<int> value{0};
    wake_publishes() {
        M::name(&sleeper, "task");
        M::name(&value, "value");
        sleeper.prepare_to_wait();
    }
    void actor(int who) {
        if (who == 0) {
            sleeper.wait(wait_mode::uninterruptible);
            M::expect(value.get() == 1, "the waker's work is visible");
        } else {
            value.set(1);
            sleeper.wake();
        }
    }
};

inline void add_task_scenarios(scenario_book& book) {
    book.add<sleep_and_wake<wake_bug::none>>(
        "task.sleep_and_wake", "sleep until there is work; the other side makes some");
    book.add_mutant<sleep_and_wake<wake_bug::prepares_too_late>>(
        "task.sleep_and_wake", "prepares_too_late",
        "forgets earlier wakes after it became findable");
    book.add_mutant<sleep_and_wake<wake_bug::wakes_before_the_reason>>(
        "task.sleep_and_wake", "wakes_before_the_reason",
        "wakes before the reason to sleep went away");
    book.add<wake_publishes>("task.wake_publishes",
                             "what was done before wake() is visible after wait()");
    book.add<killed_while_waiting>("task.killed_while_waiting",
                                   "killable wait, ordinary and fatal signal");
}

}  // namespace mmhold_test
