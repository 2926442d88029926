// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/errc.hpp>

#include <utility>

namespace mmhold {

/// Runs `change(witness)` with `lock` held exclusively, in the best way the lock offers: a wait
/// that a fatal signal of `waiter` ends (errc::interrupted; what mmap, munmap and mprotect do in
/// Linux), a wait that nothing ends, or a single try (errc::again). The lock is given back
/// afterwards.
template<class Answer, MmLock L, class Task, class Change>
constexpr Answer under_exclusive_lock(L& lock, Task& waiter, Change&& change) {
    if constexpr (InterruptibleMmLock<L>) {
        auto const held = held_exclusive<L>::acquire(lock, waiter, wait_mode::killable);
        return held ? change(*held) : Answer{held.error()};
    } else if constexpr (ExclusiveLockable<L>) {
        auto const held = held_exclusive<L>::acquire(lock);
        return change(held);
    } else {
        auto const held = held_exclusive<L>::try_acquire(lock);
        return held ? change(*held) : Answer{errc::again};
    }
}

/// Runs `work(witness)` with `lock` held shared: waits for it, whatever signals come (as madvise
/// does in Linux), or tries once if it cannot be waited for (errc::again).
template<class Answer, MmLock L, class Work>
constexpr Answer under_shared_lock(L& lock, Work&& work) {
    if constexpr (SharedLockable<L>) {
        auto const held = held_shared<L>::acquire(lock);
        return work(held);
    } else {
        auto const held = held_shared<L>::try_acquire(lock);
        return held ? work(*held) : Answer{errc::again};
    }
}

}  // namespace mmhold
