// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of the rest of lock/: the line itself, under a lock of fifteen lines that can leave out
// each of its steps; big_lock, observed_lock and null_lock. std_shared_mutex (adapt/) is for real
// threads only: its mutexes are not the explorer's; tests/laws and tests/stress judge it.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/lock/observed_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/lock/wait_queue.hpp>
#include <mmhold/machine/task.hpp>

#include "lock_scenarios.hpp"
#include <cstdint>

namespace mmhold_test {

using namespace mmhold;

/// What a lock that is built on a wait_queue leaves out, or does in another order.
enum class queue_bug : std::uint8_t {
    none,
    not_handed_over,         ///< frees the lock and forgets who is in line
    freed_and_handed_over,   ///< gives it to the first in line and leaves it free as well
    granted_not_woken,       ///< says that it was given, to somebody who sleeps
    woken_before_granted,    ///< wakes, and only then says why
    prepared_after_joining,  ///< forgets earlier wakes once it can be found
    joined_after_looking,    ///< lets go of the guard between its look and its place in line
    granted_and_gone,        ///< is told that it has the lock, sees a signal, and goes without it
};

/// An exclusive lock made of a wait_queue.
template<queue_bug Bug>
class queue_lock {
public:
    using M = model_machine;

    void lock() {
        task<M> me;
        (void)take(me, wait_mode::uninterruptible);
    }
    bool lock(task<M>& me, wait_mode mode) { return take(me, mode); }
    void unlock() {
        M::lock_given(this, lock_mode::exclusive);
        typename queue::granted lucky;
        if (Bug == queue_bug::woken_before_granted) wake_first();
        {
            spin_guard<M> const held{line_.guard()};
            if (line_.empty(held) || Bug == queue_bug::not_handed_over) {
                taken_.set(false);
            } else {
                if (Bug == queue_bug::freed_and_handed_over) taken_.set(false);
                line_.grant_first(lucky, held);
            }
        }
        if (Bug != queue_bug::granted_not_woken && Bug != queue_bug::woken_before_granted)
            line_.wake(lucky);
    }

private:
    using queue = wait_queue<M>;

    /// True: taken. False: in line.
    bool take_or_join(typename queue::node& place, task<M>& me) {
        if (Bug == queue_bug::joined_after_looking && try_take()) return true;
        {
            spin_guard<M> const held{line_.guard()};
            if (Bug != queue_bug::joined_after_looking && !taken_.get()) {
                taken_.set(true);
                return true;
            }
            if (Bug != queue_bug::prepared_after_joining) me.prepare_to_wait();
            line_.join(place, held);
            first_.set(&me);
        }
        if (Bug == queue_bug::prepared_after_joining) me.prepare_to_wait();
        return false;
    }
    bool try_take() {
        spin_guard<M> const held{line_.guard()};
        auto const free = !taken_.get();
        if (free) taken_.set(true);
        return free;
    }
    void wake_first() {
        task<M>* first = nullptr;
        {
            spin_guard<M> const held{line_.guard()};
            if (!line_.empty(held)) first = first_.get();
        }
        if (first != nullptr) first->wake();
    }
    bool take(task<M>& me, wait_mode mode) {
        typename queue::node place{me, lock_mode::exclusive};
        if (!take_or_join(place, me)) {
            auto const got =
                line_.wait(place, mode, [](auto const&) { return typename queue::granted{}; });
            if (!got || (Bug == queue_bug::granted_and_gone && me.signal_pending(mode)))
                return false;
        }
        M::lock_taken(this, lock_mode::exclusive);
        return true;
    }

    // First, so that the lock and its guard, which are both annotated, have different addresses.
    M::plain<bool> taken_{false};        // guarded by the line's guard
    M::plain<task<M>*> first_{nullptr};  // guarded by the line's guard; with two actors: the first
    queue line_;
};

/// A waiter that can be killed, and somebody who wants the lock in earnest.
template<class Lock>
struct killed_in_line {
    using M = model_machine;
    static constexpr int actors = 3;
    Lock lock;
    task<M> waiter;
    M::plain<int> count{0};
    killed_in_line() {
        M::name(&lock, "lock");
        M::name(&waiter, "waiter");
    }
    void actor(int who) {
        if (who == 2) return waiter.kill();
        if (who == 0) {
            lock.lock();
            count.set(count.get() + 1);
            return lock.unlock();
        }
        if (!lock.lock(waiter, wait_mode::killable)) return;
        count.set(count.get() + 1);
        lock.unlock();
    }
    void finish() {
        lock.lock();
        M::expect(count.get() >= 1, "the one who wanted it in earnest had it");
        lock.unlock();
    }
};

/// Keeps a log that only holders of the lock may write.
struct log_under_the_lock {
    static constexpr bool enabled = true;
    model_machine::plain<int> holds{0};
    void record(event const& what) noexcept {
        if (what.kind == event_kind::lock_acquired) holds.set(holds.get() + 1);
        if (what.kind == event_kind::lock_released) holds.set(holds.get() - 1);
    }
};

/// The observed lock, and one that reports the end of a hold after it has ended.
using honestly_observed = observed_lock<big_lock<model_machine>, log_under_the_lock, model_machine>;
struct reported_too_late {
    big_lock<model_machine> inner;
    log_under_the_lock* log{nullptr};
    void report_to(log_under_the_lock& to, std::uint64_t) { log = &to; }
    void lock() {
        inner.lock();
        log->record({.kind = event_kind::lock_acquired});
    }
    void unlock() {
        inner.unlock();
        log->record({.kind = event_kind::lock_released});
    }
};

/// Two holders of an observed lock: the stamps of one hold are not mixed with another's.
template<class Lock>
struct observed_holds {
    using M = model_machine;
    static constexpr int actors = 2;
    log_under_the_lock log;
    Lock lock;
    observed_holds() { lock.report_to(log, 1); }
    void actor(int) {
        lock.lock();
        M::expect(log.holds.get() == 1, "one hold is open in the log");
        lock.unlock();
    }
    void finish() { M::expect(log.holds.get() == 0, "every hold was ended"); }
};

/// null_lock counts for one actor; a second one is a race, and is reported as such.
template<int Actors>
struct null_lock_used_by {
    using M = model_machine;
    static constexpr int actors = Actors;
    null_lock<M> lock;
    void actor(int) {
        lock.lock();
        lock.downgrade();
        M::expect(lock.readers() == 1 && !lock.has_writer(), "it counts");
        M::expect(!lock.try_lock() && lock.try_lock_shared(), "it refuses where a lock would");
        lock.unlock_shared();
        lock.unlock_shared();
    }
    void finish() { M::expect(lock.readers() == 0, "nobody holds it"); }
};

inline void add_line_scenarios(scenario_book& book) {
    using enum queue_bug;
    auto const turns = std::string{"wait_queue.turns"};
    book.add<counted_under<queue_lock<none>, 2>>(turns, "a lock made of a line, two in it");
    book.add_mutant<counted_under<queue_lock<not_handed_over>, 2>>(
        turns, "not_handed_over", "does not give the lock to who waits");
    book.add_mutant<counted_under<queue_lock<granted_not_woken>, 2>>(
        turns, "granted_not_woken", "does not wake who has the lock now");
    book.add_mutant<counted_under<queue_lock<woken_before_granted>, 2>>(
        turns, "woken_before_granted", "wakes before there is a reason to");
    book.add_mutant<counted_under<queue_lock<prepared_after_joining>, 2>>(
        turns, "prepared_after_joining", "forgets the wake it waits for");
    book.add_mutant<counted_under<queue_lock<joined_after_looking>, 2>>(
        turns, "joined_after_looking", "stands in line for a lock that is free");
    book.add<counted_under<queue_lock<none>, 3>>("wait_queue.three", "the same with three",
                                                 reach::sampled);
    book.add_mutant<counted_under<queue_lock<freed_and_handed_over>, 3>>(
        "wait_queue.three", "freed_and_handed_over", "gives the lock to two", reach::sampled);
    book.add<killed_in_line<queue_lock<none>>>("wait_queue.killed_in_line",
                                               "a killed waiter leaves the line");
    book.add_mutant<killed_in_line<queue_lock<granted_and_gone>>>(
        "wait_queue.killed_in_line", "granted_and_gone", "goes without the lock it was given");
}

inline void add_queue_scenarios(scenario_book& book) {
    add_line_scenarios(book);
    book.add<counted_under<big_lock<model_machine>, 2>>("big_lock.two", "two in turn");
    book.add_mutant<counted_under<big_lock<machine_without<"wait_queue.forget">>, 2>>(
        "big_lock.two", "forget_relaxed", "a waiter returns while its waker still looks at it");
    book.add<readers_and_writers<1, 1, big_lock<model_machine>>>("big_lock.reader_writer",
                                                                 "one reader, one writer");
    book.add_mutant<readers_and_writers<1, 1, big_lock<machine_without<"spin.unlock">>>>(
        "big_lock.reader_writer", "unlock_relaxed", "does not publish what it wrote");
    book.add<killed_in_line<big_lock<model_machine>>>("big_lock.killed_in_line",
                                                      "a killed waiter leaves the line");
    book.add<downgraded<downgrade_by::downgrading, big_lock<model_machine>>>(
        "big_lock.downgrade", "no writer between write and read", reach::sampled);
    book.add_mutant<downgraded<downgrade_by::letting_go, big_lock<model_machine>>>(
        "big_lock.downgrade", "unlocks_and_locks_again", "lets a writer in between",
        reach::sampled);
    book.add<observed_holds<honestly_observed>>("observed_lock.log", "holds do not mix in the log");
    book.add_mutant<observed_holds<reported_too_late>>("observed_lock.log", "reported_too_late",
                                                       "reports the end of a hold after its end");
    book.add<null_lock_used_by<1>>("null_lock.one", "counts for one actor");
    book.add_mutant<null_lock_used_by<2>>("null_lock.one", "two_actors", "is used by two");
}

}  // namespace mmhold_test
