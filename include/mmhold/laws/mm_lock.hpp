// SPDX-License-Identifier: BSL-1.0
#pragma once

// The laws of MmLock, as code: run them on a lock of your own before you build on it.
//
//     static_assert(mm_lock_laws<my_lock>());                  // one thread; constexpr if the lock
//     is
//
//     my_lock lock;                                            // several threads, which you supply
//     auto const verdict = mm_lock_concurrent_laws<host_machine>(lock, run_in_threads, 1000);
//     if (!verdict) std::printf("%s: %s\n", verdict.law, verdict.failure);
//
// The first part needs the lock to itself and tries what can be told apart by one caller; it ends
// for every lock that neither waits in try_* nor ignores signals. The second part needs somebody
// who runs callables at the same time: threads, or an explorer that goes through all interleavings.
// Neither can report a wait that never ends: then it does not end either.

#include <mmhold/laws/law_report.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/machine/task.hpp>

#include <cstdint>

namespace mmhold {

namespace detail {

template<MmLock L>
constexpr bool took(L& lock, lock_mode mode) {
    return mode == lock_mode::shared ? lock.try_lock_shared() : lock.try_lock();
}

/// Always true, to stand in a chain of requirements.
template<MmLock L>
constexpr bool gave(L& lock, lock_mode mode) {
    if (mode == lock_mode::shared) {
        lock.unlock_shared();
    } else {
        lock.unlock();
    }
    return true;
}

/// Does the free `lock` admit a second reader beside the first? (big_lock does not, and need not.)
template<MmLock L>
constexpr bool admits_two_readers(L& lock) {
    if (!took(lock, lock_mode::shared)) return false;
    bool const two = took(lock, lock_mode::shared);
    if (two) gave(lock, lock_mode::shared);
    gave(lock, lock_mode::shared);
    return two;
}

template<BlockingMmLock L>
constexpr bool waited(L& lock, lock_mode mode) {
    if (mode == lock_mode::shared) {
        lock.lock_shared();
    } else {
        lock.lock();
    }
    return true;
}

template<InterruptibleMmLock L>
constexpr errc waited(L& lock, lock_mode mode, task<typename L::machine>& who, wait_mode how) {
    auto const taken = mode == lock_mode::shared ? lock.lock_shared(who, how) : lock.lock(who, how);
    return taken.error();
}

}  // namespace detail

/// exclusion: an exclusive holder is alone, and no exclusive holder gets in beside a shared one.
///
/// Here and below: `lock` is free and used by nobody else, and is free again if the law holds.
template<MmLock L>
constexpr law_report mm_lock_exclusion_law(L& lock) {
    using enum lock_mode;
    law_check law{"exclusion"};
    (void)(law.require(detail::took(lock, exclusive), "try_lock was refused by a free lock")
           && law.require(!detail::took(lock, shared), "a reader got in beside a writer")
           && law.require(!detail::took(lock, exclusive), "a writer got in beside a writer")
           && detail::gave(lock, exclusive)
           && law.require(detail::took(lock, shared), "try_lock_shared was refused by a free lock")
           && law.require(!detail::took(lock, exclusive), "a writer got in beside a reader")
           && detail::gave(lock, shared));
    return law.report();
}

/// balance: each unlock gives back one hold; with the last the lock is free.
template<MmLock L>
constexpr law_report mm_lock_balance_law(L& lock) {
    using enum lock_mode;
    law_check law{"balance"};
    int readers = 0;
    while (readers < 5 && detail::took(lock, shared)) ++readers;
    for (; readers > 1; --readers) {
        (void)detail::gave(lock, shared);
        auto const kept = law.require(!detail::took(lock, exclusive),
                                      "one unlock_shared gave back more than one hold");
        if (!kept) return law.report();
    }
    (void)(law.require(readers == 1, "try_lock_shared was refused by a free lock")
           && detail::gave(lock, shared)
           && law.require(detail::took(lock, exclusive), "the last unlock_shared left it held")
           && detail::gave(lock, exclusive)
           && law.require(detail::took(lock, exclusive), "unlock left it held")
           && detail::gave(lock, exclusive));
    return law.report();
}

/// try: a refused try_* leaves no trace. (That it does not wait shows by ending.)
template<MmLock L>
constexpr law_report mm_lock_try_law(L& lock) {
    using enum lock_mode;
    law_check law{"try"};
    auto const two_readers = detail::admits_two_readers(lock);
    if (!law.require(detail::took(lock, shared), "try_lock_shared was refused by a free lock")) {
        return law.report();
    }
    for (int attempt = 0; attempt < 3; ++attempt) {
        if (!law.require(!detail::took(lock, exclusive), "a writer got in beside a reader")) {
            return law.report();
        }
    }
    auto const second = detail::took(lock, shared);
    if (second) (void)detail::gave(lock, shared);
    (void)(law.require(second == two_readers, "a refused try_lock keeps readers out")
           && detail::gave(lock, shared)
           && law.require(detail::took(lock, exclusive), "a refused try_lock left a trace")
           && law.require(!detail::took(lock, shared), "a reader got in beside a writer")
           && law.require(!detail::took(lock, exclusive), "a writer got in beside a writer")
           && detail::gave(lock, exclusive)
           && law.require(detail::took(lock, exclusive), "a refused try left a trace")
           && detail::gave(lock, exclusive));
    return law.report();
}

/// What lock() and lock_shared() give on a free lock is what try_* gives.
template<BlockingMmLock L>
constexpr law_report mm_lock_waiting_law(L& lock) {
    using enum lock_mode;
    law_check law{"waiting"};
    (void)(detail::waited(lock, exclusive)
           && law.require(!detail::took(lock, shared), "lock() let a reader in beside it")
           && law.require(!detail::took(lock, exclusive), "lock() let a writer in beside it")
           && detail::gave(lock, exclusive) && detail::waited(lock, shared)
           && law.require(!detail::took(lock, exclusive), "lock_shared() let a writer in beside it")
           && detail::gave(lock, shared)
           && law.require(detail::took(lock, exclusive), "unlock_shared left it held")
           && detail::gave(lock, exclusive));
    return law.report();
}

/// downgrade: the hold stays a hold, for the same company as any shared hold.
template<Downgradable L>
constexpr law_report mm_lock_downgrade_law(L& lock) {
    using enum lock_mode;
    law_check law{"downgrade"};
    auto const two_readers = detail::admits_two_readers(lock);
    if (!law.require(detail::took(lock, exclusive), "try_lock was refused by a free lock")) {
        return law.report();
    }
    lock.downgrade();
    if (!law.require(!detail::took(lock, exclusive), "a writer got in beside a downgraded hold")) {
        return law.report();
    }
    auto const second = detail::took(lock, shared);
    if (second) (void)detail::gave(lock, shared);
    (void)(law.require(second == two_readers, "a downgraded hold is not shared like others")
           && law.require(!detail::took(lock, exclusive), "a reader took the downgraded hold along")
           && detail::gave(lock, shared)
           && law.require(detail::took(lock, exclusive), "the downgraded hold was not given back")
           && detail::gave(lock, exclusive));
    return law.report();
}

/// interruption: a wait that a signal ends holds nothing and leaves no trace; a signal that the
/// mode does not admit ends nothing.
template<InterruptibleMmLock L>
constexpr law_report mm_lock_interruption_law(L& lock) {
    using enum lock_mode;
    law_check law{"interruption"};
    task<typename L::machine> signalled;
    signalled.signal();
    for (auto const wanted : {shared, exclusive}) {
        auto const free = law.require(
            detail::waited(lock, wanted, signalled, wait_mode::killable) == errc::ok,
            "an ordinary signal ended a killable wait");
        if (!free) return law.report();
        (void)detail::gave(lock, wanted);
    }
    if (!law.require(detail::took(lock, exclusive), "the lock is still held")) return law.report();
    for (auto const wanted : {shared, exclusive}) {
        auto const seen = detail::waited(lock, wanted, signalled, wait_mode::interruptible);
        law.require(seen != errc::ok, "a waiter got in beside a writer");
        law.require(seen == errc::ok || seen == errc::interrupted, "the error is not interrupted");
    }
    (void)(law.report() && detail::gave(lock, exclusive)
           && law.require(detail::took(lock, exclusive), "an interrupted wait left a trace")
           && law.require(!detail::took(lock, shared), "an interrupted wait opened the lock")
           && detail::gave(lock, exclusive)
           && law.require(detail::took(lock, shared), "an interrupted wait keeps readers out")
           && detail::gave(lock, shared));
    return law.report();
}

/// All laws that one caller can judge, for every tier that `L` has: the first broken one, or
/// holds().
///
/// `lock` is free and used by nobody else. A lock that breaks a law is left in any state.
template<MmLock L>
constexpr law_report mm_lock_laws(L& lock) {
    auto verdict = mm_lock_exclusion_law(lock);
    if (verdict) verdict = mm_lock_balance_law(lock);
    if (verdict) verdict = mm_lock_try_law(lock);
    if constexpr (Downgradable<L>) {
        if (verdict) verdict = mm_lock_downgrade_law(lock);
    }
    if constexpr (BlockingMmLock<L>) {
        if (verdict) verdict = mm_lock_waiting_law(lock);
    }
    if constexpr (InterruptibleMmLock<L>) {
        if (verdict) verdict = mm_lock_interruption_law(lock);
    }
    return verdict;
}

/// The same for a lock that is made for it.
template<MmLock L>
constexpr law_report mm_lock_laws() {
    L lock;
    return mm_lock_laws(lock);
}

/// exclusion, seen by two writers and two readers at once, `rounds` times each.
///
/// `together(f, g, ...)` runs the callables concurrently and returns when all have returned. M is
/// the machine they run on. The witnesses are atomics, so a broken lock is found out, not
/// undefined.
template<Machine M, BlockingMmLock L, class Together>
law_report mm_lock_concurrent_exclusion_law(L& lock, Together& together, unsigned rounds) {
    using word = typename M::template atomic<std::uint64_t>;
    word left{0};
    word right{0};
    word torn{0};
    auto const write = [&] {
        for (unsigned round = 0; round < rounds; ++round) {
            lock.lock();
            auto const next = left.load(relaxed) + 1;
            left.store(next, relaxed);
            M::relax();  // an invitation to get in between
            right.store(next, relaxed);
            lock.unlock();
        }
    };
    auto const read = [&] {
        for (unsigned round = 0; round < rounds; ++round) {
            lock.lock_shared();
            auto const before = left.load(relaxed);
            M::relax();
            if (right.load(relaxed) != before || left.load(relaxed) != before) {
                (void)torn.fetch_add(1, relaxed);
            }
            lock.unlock_shared();
        }
    };
    together(write, read, write, read);
    law_check law{"exclusion, concurrently"};
    law.require(torn.load(relaxed) == 0, "a reader saw a writer at work");
    law.require(left.load(relaxed) == std::uint64_t{2} * rounds, "a writer's change was lost");
    return law.report();
}

/// order: what was written under the lock, without atomics, is read under the lock. Run it where
/// data races are reported (ThreadSanitizer, a model machine); elsewhere it proves little.
template<Machine M, BlockingMmLock L, class Together>
law_report mm_lock_order_law(L& lock, Together& together, unsigned rounds) {
    typename M::template plain<std::uint64_t> counted{0};
    auto const write = [&] {
        for (unsigned round = 0; round < rounds; ++round) {
            lock.lock();
            counted.set(counted.get() + 1);
            lock.unlock();
        }
    };
    typename M::template atomic<std::uint64_t> backwards{0};
    auto const read = [&] {
        std::uint64_t last = 0;
        for (unsigned round = 0; round < rounds; ++round) {
            lock.lock_shared();
            auto const now = counted.get();
            lock.unlock_shared();
            if (now < last) (void)backwards.fetch_add(1, relaxed);
            last = now;
        }
    };
    together(write, read, write, read);
    law_check law{"order"};
    law.require(backwards.load(relaxed) == 0, "a later reader saw less than an earlier one");
    law.require(counted.get() == std::uint64_t{2} * rounds, "a writer's change was lost");
    return law.report();
}

/// downgrade: nobody changes anything between the exclusive hold and the shared one.
template<Machine M, class L, class Together>
    requires BlockingMmLock<L> && Downgradable<L>
law_report mm_lock_concurrent_downgrade_law(L& lock, Together& together, unsigned rounds) {
    using word = typename M::template atomic<std::uint64_t>;
    word generation{0};
    word changed{0};
    auto const act = [&] {
        for (unsigned round = 0; round < rounds; ++round) {
            lock.lock();
            auto const mine = generation.load(relaxed) + 1;
            generation.store(mine, relaxed);
            lock.downgrade();
            M::relax();
            if (generation.load(relaxed) != mine) (void)changed.fetch_add(1, relaxed);
            lock.unlock_shared();
        }
    };
    together(act, act, act);
    law_check law{"downgrade, concurrently"};
    law.require(changed.load(relaxed) == 0, "a writer got in between");
    auto const all = std::uint64_t{3} * rounds;
    law.require(generation.load(relaxed) == all, "a writer's change was lost");
    return law.report();
}

/// interruption: a task killed while it waits stops waiting, although the lock stays held.
template<Machine M, InterruptibleMmLock L, class Together>
law_report mm_lock_concurrent_interruption_law(L& lock, Together& together) {
    typename M::template atomic<std::uint32_t> answers{0};
    errc seen[2]{};
    task<typename L::machine> victims[2];
    auto const answer = [&](errc error, errc& place) {
        place = error;
        // (laws.mm_lock.answer) release: the answer is complete; pairs with
        // (laws.mm_lock.answered).
        (void)answers.fetch_add(1, release("laws.mm_lock.answer"));
        answers.notify_all();
    };
    lock.lock();
    together(
        [&] { answer(lock.lock_shared(victims[0], wait_mode::killable).error(), seen[0]); },
        [&] { answer(lock.lock(victims[1], wait_mode::killable).error(), seen[1]); },
        [&] {
            M::relax();
            for (auto& victim : victims) victim.kill();
            // (laws.mm_lock.answered) acquire: see the answers; pairs with (laws.mm_lock.answer).
            (void)M::await(answers, [](std::uint32_t count) { return count == 2; },
                           acquire("laws.mm_lock.answered"));
        });
    lock.unlock();
    law_check law{"interruption, concurrently"};
    for (auto const error : seen) {
        law.require(error != errc::ok, "a waiter got in beside a writer");
        law.require(error == errc::interrupted, "the error is not interrupted");
    }
    if (law.require(lock.try_lock(), "a killed waiter left a trace")) lock.unlock();
    return law.report();
}

/// All laws that need several callers, for every tier that `L` has: the first broken one, or
/// holds().
template<Machine M, BlockingMmLock L, class Together>
law_report mm_lock_concurrent_laws(L& lock, Together&& together, unsigned rounds) {
    auto verdict = mm_lock_concurrent_exclusion_law<M>(lock, together, rounds);
    if (verdict) verdict = mm_lock_order_law<M>(lock, together, rounds);
    if constexpr (Downgradable<L>) {
        if (verdict) verdict = mm_lock_concurrent_downgrade_law<M>(lock, together, rounds);
    }
    if constexpr (InterruptibleMmLock<L>) {
        if (verdict) verdict = mm_lock_concurrent_interruption_law<M>(lock, together);
    }
    return verdict;
}

}  // namespace mmhold
