// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/result.hpp>

#include <utility>

namespace mmhold {

/// Takes `lock` exclusively, in the best way it offers: a wait that a fatal signal of `waiter` ends
/// (errc::interrupted; what mmap, munmap and mprotect do in Linux), a wait that nothing ends, or a
/// single try (errc::again).
template<MmLock L, class Task>
[[nodiscard]] constexpr result<held_exclusive<L>> take_exclusive(L& lock, Task& waiter) {
    if constexpr (InterruptibleMmLock<L>) {
        return held_exclusive<L>::acquire(lock, waiter, wait_mode::killable);
    } else if constexpr (ExclusiveLockable<L>) {
        return held_exclusive<L>::acquire(lock);
    } else {
        auto held = held_exclusive<L>::try_acquire(lock);
        if (!held) return errc::again;
        return *std::move(held);
    }
}

/// Runs `change(witness)` with `lock` held exclusively, as take_exclusive() has it; gives it back
/// afterwards.
template<class Answer, MmLock L, class Task, class Change>
constexpr Answer under_exclusive_lock(L& lock, Task& waiter, Change&& change) {
    auto const held = take_exclusive(lock, waiter);
    return held ? change(*held) : Answer{held.error()};
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
