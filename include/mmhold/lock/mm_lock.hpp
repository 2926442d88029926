// SPDX-License-Identifier: BSL-1.0
#pragma once

// MmLock: the lock an address space is built on. Shared for looking things up (page faults, gup,
// /proc readers), exclusive for changing the layout (mmap, munmap, mprotect).
//
// The concept comes in tiers, because hosts differ: a cycle-driven simulator has no thread that
// could wait, a threaded one has no use for polling. An algorithm asks for the least it needs.
//
//   MmLock                try_lock_shared, unlock_shared, try_lock, unlock    every host
//   BlockingMmLock        + lock_shared, lock                                 hosts with threads
//   InterruptibleMmLock   + both with a task and a wait_mode                  killable waits
//   Downgradable          MmLock + downgrade                                  exclusive → shared
//
// Laws (laws/mm_lock.hpp judges any model by them):
//   exclusion      While somebody holds exclusive, nobody else holds anything; while somebody holds
//                  shared, nobody holds exclusive. That several hold shared at once is usual, not
//                  promised (big_lock).
//   balance        Each unlock gives back exactly one hold; with the last the lock is free.
//   try            try_* never waits, and leaves no trace when refused. It may refuse although the
//                  lock could be had: a fair lock refuses readers while a writer waits.
//   order          What a holder did before its unlock is visible to later conflicting holders.
//   interruption   An interrupted wait holds nothing and leaves no trace; without a signal a wait
//                  ends only with the lock. A free lock may be taken although a signal is pending.
//   downgrade      Lets no exclusive holder in between; whoever may share a shared hold may share
//                  this one.
//
// Models: rw_lock, big_lock, null_lock, std::shared_mutex as it is (not Downgradable), and
// adapt/std_shared_mutex.hpp (Downgradable).

#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/result.hpp>

#include <concepts>

namespace mmhold {

/// Can be held shared, by asking.
template<class L>
concept SharedTryLockable = requires(L& lock) {
    { lock.try_lock_shared() } -> std::same_as<bool>;  // never waits; true: held shared
    { lock.unlock_shared() } -> std::same_as<void>;    // gives back one shared hold of the caller
};

/// Can be held exclusively, by asking.
template<class L>
concept ExclusiveTryLockable = requires(L& lock) {
    { lock.try_lock() } -> std::same_as<bool>;  // never waits; true: held exclusively
    { lock.unlock() } -> std::same_as<void>;    // gives the caller's exclusive hold back
};

/// The base tier: what every host can give.
template<class L>
concept MmLock = SharedTryLockable<L> && ExclusiveTryLockable<L>;

/// Shared, and worth waiting for.
template<class L>
concept SharedLockable = SharedTryLockable<L> && requires(L& lock) {
    { lock.lock_shared() } -> std::same_as<void>;  // waits; then the caller holds shared
};

/// Exclusive, and worth waiting for.
template<class L>
concept ExclusiveLockable = ExclusiveTryLockable<L> && requires(L& lock) {
    { lock.lock() } -> std::same_as<void>;  // waits; then the caller holds exclusive
};

/// A lock one can wait for.
template<class L>
concept BlockingMmLock = SharedLockable<L> && ExclusiveLockable<L>;

/// A wait for it can be ended by a signal: what `mmap_read_lock_killable` is to `mmap_read_lock`.
template<class L>
concept InterruptibleMmLock =
    BlockingMmLock<L> && Machine<typename L::machine>  // the machine whose tasks wait here
    && requires(L& lock, task<typename L::machine>& waiter, wait_mode mode) {
           // success: held as by lock_shared(); errc::interrupted: a signal that `mode` admits came
           // first, nothing is held
           { lock.lock_shared(waiter, mode) } -> std::same_as<result<void>>;
           // the same for exclusive
           { lock.lock(waiter, mode) } -> std::same_as<result<void>>;
       };

/// An exclusive hold can become a shared one without a gap.
template<class L>
concept Downgradable = MmLock<L> && requires(L& lock) {
    { lock.downgrade() } -> std::same_as<void>;  // exclusive becomes shared, without a gap
};

/// Says in words what `L` lacks to be held shared, which is all that gup asks of it. A class that
/// takes a lock begins with `static_assert(require_...<L>());`.
template<class L>
consteval bool require_shared_try_lock() {
    static_assert(SharedTryLockable<L>,
                  "mmhold: an mm lock needs bool try_lock_shared() and void unlock_shared()");
    return true;
}

/// The same for all of MmLock.
template<class L>
consteval bool require_mm_lock() {
    static_assert(require_shared_try_lock<L>());
    static_assert(ExclusiveTryLockable<L>,
                  "mmhold: an mm lock needs bool try_lock() and void unlock()");
    return true;
}

/// Says in words what `L` lacks to be a BlockingMmLock.
template<class L>
consteval bool require_blocking_mm_lock() {
    static_assert(SharedLockable<L>,
                  "mmhold: this waits for the mm lock: it needs void lock_shared() too");
    static_assert(ExclusiveLockable<L>,
                  "mmhold: this waits for the mm lock: it needs void lock() too");
    return require_mm_lock<L>();
}

/// Says in words what `L` lacks to be Downgradable.
template<class L>
consteval bool require_downgradable_mm_lock() {
    static_assert(Downgradable<L>,
                  "mmhold: this downgrades the mm lock: it needs void downgrade(); "
                  "std::shared_mutex has none, mmhold::std_shared_mutex (adapt/) adds it");
    return require_mm_lock<L>();
}

}  // namespace mmhold
