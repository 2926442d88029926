// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of lock/: exclusion, hand-over, downgrade, interruption, the sequence counter.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/lock/seq_count.hpp>
#include <mmhold/lock/spin_lock.hpp>

#include "weak_machine.hpp"
#include <cstdint>

namespace mmhold_test {

using namespace mmhold;

/// A lock of load and store: the mutant of spin_lock whose two steps are not one.
class split_spin_lock {
public:
    using M = model_machine;
    void lock() {
        do {
            (void)M::poll(
                word_, [](std::uint32_t w) { return w == 0; }, acquire("mutant.split_look"));
        } while (word_.load(relaxed) != 0);
        word_.store(1, relaxed);
        M::lock_taken(this, lock_mode::exclusive);
    }
    void unlock() {
        M::lock_given(this, lock_mode::exclusive);
        word_.store(0, release("mutant.split_unlock"));
    }

private:
    M::atomic<std::uint32_t> word_{0};
};

/// Actors increment a plain counter under the lock.
template<class Lock, int Actors>
struct counted_under {
    using M = model_machine;
    static constexpr int actors = Actors;
    Lock lock;
    M::plain<int> count{0};
    counted_under() {
        M::name(&lock, "lock");
        M::name(&count, "count");
    }
    void actor(int) {
        lock.lock();
        count.set(count.get() + 1);
        lock.unlock();
    }
    void finish() { M::expect(count.get() == Actors, "no increment is lost"); }
};

/// Readers and writers of a pair of fields that must stay equal.
template<int Readers, int Writers, class Lock = rw_lock<model_machine>>
struct readers_and_writers {
    using M = model_machine;
    static constexpr int actors = Readers + Writers;
    Lock lock;
    M::plain<int> left{0};
    M::plain<int> right{0};
    readers_and_writers() {
        M::name(&lock, "mm lock");
        M::name(&left, "left");
        M::name(&right, "right");
    }
    void actor(int who) {
        if (who < Readers) {
            lock.lock_shared();
            M::expect(left.get() == right.get(), "a reader sees no half-done write");
            lock.unlock_shared();
        } else {
            lock.lock();
            left.set(left.get() + 1);
            right.set(right.get() + 1);
            lock.unlock();
        }
    }
    void finish() {
        M::expect(left.get() == Writers && right.get() == Writers, "every write happened");
    }
};

/// How a writer becomes a reader.
enum class downgrade_by : std::uint8_t { downgrading, letting_go };

/// A writer writes and downgrades; another writer must not get in between.
template<downgrade_by How, class Lock = rw_lock<model_machine>>
struct downgraded {
    using M = model_machine;
    static constexpr int actors = 3;
    Lock lock;
    M::plain<int> value{0};
    downgraded() {
        M::name(&lock, "mm lock");
        M::name(&value, "value");
    }
    void actor(int who) {
        switch (who) {
            case 0:
                lock.lock();
                value.set(1);
                if constexpr (How == downgrade_by::downgrading) {
                    lock.downgrade();
                } else {
                    lock.unlock();
                    lock.lock_shared();
                }
                M::expect(value.get() == 1, "no writer gets in between");
                lock.unlock_shared();
                break;
            case 1:
                lock.lock();
                value.set(2);
                lock.unlock();
                break;
            default:
                lock.lock_shared();
                (void)value.get();
                lock.unlock_shared();
        }
    }
};

/// A waiting writer is killed; whoever stands behind it still gets its turn.
struct interrupted_writer {
    using M = model_machine;
    static constexpr int actors = 3;
    rw_lock<M> lock;
    task<M> writer;
    M::plain<int> value{0};
    interrupted_writer() {
        M::name(&lock, "mm lock");
        M::name(&writer, "writer's task");
    }
    void actor(int who) {
        switch (who) {
            case 0:
                lock.lock();
                value.set(value.get() + 1);
                lock.unlock();
                break;
            case 1:
                if (lock.lock(writer, wait_mode::killable)) {
                    value.set(value.get() + 1);
                    lock.unlock();
                } else {
                    M::expect(writer.fatal_signal_pending(), "only a signal interrupts");
                }
                break;
            default: writer.kill();
        }
    }
    void finish() {
        M::expect(lock.queue_length() == 0 && !lock.has_writer() && lock.readers() == 0,
                  "the lock is free at the end");
    }
};

/// A writer in line is killed while a reader holds the lock and another one stands behind the
/// writer.
struct interrupted_between_readers {
    using M = model_machine;
    static constexpr int actors = 4;
    rw_lock<M> lock;
    task<M> writer;
    interrupted_between_readers() {
        M::name(&lock, "mm lock");
        M::name(&writer, "writer's task");
    }
    void actor(int who) {
        switch (who) {
            case 0:
            case 1:
                lock.lock_shared();
                lock.unlock_shared();
                break;
            case 2:
                if (lock.lock(writer, wait_mode::killable)) lock.unlock();
                break;
            default: writer.kill();
        }
    }
    void finish() {
        M::expect(lock.queue_length() == 0 && lock.readers() == 0, "the lock is free at the end");
    }
};

/// try_lock and try_lock_shared against a blocking writer.
struct tried {
    using M = model_machine;
    static constexpr int actors = 3;
    rw_lock<M> lock;
    M::plain<int> value{0};
    tried() { M::name(&lock, "mm lock"); }
    void actor(int who) {
        if (who == 0) {
            lock.lock();
            value.set(value.get() + 1);
            lock.unlock();
        } else if (who == 1) {
            if (!lock.try_lock()) return;
            value.set(value.get() + 1);
            lock.unlock();
        } else {
            if (!lock.try_lock_shared()) return;
            (void)value.get();
            lock.unlock_shared();
        }
    }
};

/// What a sequence reader leaves out.
enum class sequence_bug : std::uint8_t { none, no_retry };

/// A reader of two words that is not told to retry saw a pair that belongs together.
template<sequence_bug Bug>
struct sequence_reading {
    using M = model_machine;
    static constexpr int actors = 2;
    seq_count<M> count;
    M::atomic<int> left{0};
    M::atomic<int> right{0};
    sequence_reading() {
        M::name(&count, "seq");
        M::name(&left, "left");
        M::name(&right, "right");
    }
    void actor(int who) {
        if (who == 0) {
            count.begin_write();
            left.store(1, relaxed);
            right.store(1, relaxed);
            count.end_write();
            return;
        }
        auto const start = count.read_begin();
        if (start.writing()) return;
        auto const l = left.load(relaxed);
        auto const r = right.load(relaxed);
        if (Bug != sequence_bug::no_retry && count.read_retry(start)) return;
        M::expect(l == r, "a pair that belongs together");
    }
};

/// What is wrong with marking.
enum class marking_bug : std::uint8_t { none, looks_before_marking };

/// A reader marks (pins) and then looks at the number, a writer makes it odd and then looks for
/// marks: at least one of them notices the other (gup-semantics 6.2 #7).
template<marking_bug Bug>
struct sequence_marking {
    using M = model_machine;
    static constexpr int actors = 2;
    seq_count<M> count;
    M::atomic<int> pins{0};
    bool reader_saw_nothing{false};
    bool writer_saw_nothing{false};
    sequence_marking() {
        M::name(&count, "seq");
        M::name(&pins, "pins");
    }
    void actor(int who) {
        if (who == 0) {
            count.begin_write();
            writer_saw_nothing = pins.load(relaxed) == 0;
            return;  // never ends: the reader cannot come afterwards
        }
        auto const start = count.read_begin();
        if (start.writing()) return;
        if constexpr (Bug == marking_bug::none) {
            pins.store(1, relaxed);
            reader_saw_nothing = !count.read_retry(start);
        } else {
            reader_saw_nothing = !count.read_retry(start);
            pins.store(1, relaxed);
        }
    }
    void finish() {
        M::expect(!reader_saw_nothing || !writer_saw_nothing, "one of the two notices the other");
    }
};

/// The locks' own source on machines that lack one of its orders.
inline void add_weak_lock_mutants(scenario_book& book) {
    book.add_mutant<counted_under<spin_lock<machine_without<"spin.lock">>, 2>>(
        "spin_lock.two", "lock_relaxed", "does not see what the last holder wrote");
    book.add_mutant<counted_under<spin_lock<machine_without<"spin.unlock">>, 2>>(
        "spin_lock.two", "unlock_relaxed", "does not publish what it wrote");
    book.add_mutant<counted_under<rw_lock<machine_without<"rw_lock.try_exclusive">>, 2>>(
        "rw_lock.two_writers", "try_relaxed",
        "takes the lock without seeing what was done under it");
    book.add_mutant<counted_under<rw_lock<machine_without<"rw_lock.unlock">>, 2>>(
        "rw_lock.two_writers", "unlock_relaxed", "does not publish what it wrote");
    book.add_mutant<counted_under<rw_lock<machine_without<"wait_queue.forget">>, 2>>(
        "rw_lock.two_writers", "forget_relaxed",
        "a waiter returns while its waker still looks at it");
    book.add_mutant<readers_and_writers<1, 1, rw_lock<machine_without<"rw_lock.unlock_shared">>>>(
        "rw_lock.reader_writer", "unlock_shared_relaxed",
        "a writer comes before the reader is done");
    book.add_mutant<readers_and_writers<1, 1, rw_lock<machine_without<"rw_lock.try_shared">>>>(
        "rw_lock.reader_writer", "try_shared_relaxed", "a reader does not see the writer's work");
    book.add_mutant<
        downgraded<downgrade_by::downgrading, rw_lock<machine_without<"rw_lock.downgrade">>>>(
        "rw_lock.downgrade", "downgrade_relaxed", "readers do not see what was written before it");
}

inline void add_lock_scenarios(scenario_book& book) {
    book.add<counted_under<spin_lock<model_machine>, 2>>("spin_lock.two",
                                                         "two increments under a spin_lock");
    book.add<counted_under<spin_lock<model_machine>, 3>>("spin_lock.three",
                                                         "three increments under a spin_lock");
    book.add_mutant<counted_under<split_spin_lock, 2>>("spin_lock.two", "load_then_store",
                                                       "takes the lock in two steps");
    book.add<counted_under<rw_lock<model_machine>, 2>>("rw_lock.two_writers",
                                                       "two writers, hand-over included");
    book.add<readers_and_writers<1, 1>>("rw_lock.reader_writer", "one reader, one writer");
    book.add<readers_and_writers<2, 1>>("rw_lock.two_readers_writer", "two readers, one writer",
                                        reach::tso_only);
    book.add<readers_and_writers<1, 2>>("rw_lock.reader_two_writers", "one reader, two writers",
                                        reach::tso_only);
    book.add<downgraded<downgrade_by::downgrading>>(
        "rw_lock.downgrade", "no writer between write and read", reach::tso_only);
    book.add_mutant<downgraded<downgrade_by::letting_go>>(
        "rw_lock.downgrade", "unlocks_and_locks_again", "lets a writer in between");
    book.add<interrupted_writer>("rw_lock.interrupted_writer", "a killed writer in line",
                                 reach::tso_only);
    book.add<interrupted_between_readers>("rw_lock.interrupted_between_readers",
                                          "a killed writer holds up no reader", reach::sampled);
    book.add<tried>("rw_lock.tried", "try_lock and try_lock_shared against a writer",
                    reach::tso_only);
    book.add<sequence_reading<sequence_bug::none>>("seq_count.reading",
                                                   "a pair that belongs together");
    book.add_mutant<sequence_reading<sequence_bug::no_retry>>("seq_count.reading", "no_retry",
                                                              "does not look again");
    book.add<sequence_marking<marking_bug::none>>("seq_count.marking",
                                                  "pin against begin_write: one notices");
    book.add_mutant<sequence_marking<marking_bug::looks_before_marking>>(
        "seq_count.marking", "looks_before_marking", "pins after the look at the number");
    add_weak_lock_mutants(book);
}

}  // namespace mmhold_test
