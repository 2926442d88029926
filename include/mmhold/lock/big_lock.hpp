// SPDX-License-Identifier: BSL-1.0
#pragma once

// big_lock – one holder at a time, shared or exclusive alike: the oracle among the mm locks.
//
// Everything happens under one guard and there are no fast paths, so that its correctness can be
// seen. What goes wrong with rw_lock but not with big_lock is a matter of concurrency; what goes
// wrong with both is wrong sequentially. Who needs two readers at once (a gup inside a gup) cannot
// run on it.

#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/lock/wait_queue.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// An exclusive lock in the shape of a reader-writer lock (InterruptibleMmLock, Downgradable),
/// first come first served. Not recursive, not even shared. Destroy it after every call to it
/// has returned.
template<Machine M = host_machine>
class big_lock {
public:
    using machine = M;

    /// Free.
    constexpr big_lock() noexcept { M::name(this, "big_lock"); }
    big_lock(big_lock const&) = delete;
    big_lock& operator=(big_lock const&) = delete;
    constexpr ~big_lock() = default;

    /// Takes it if nobody holds it; never waits. Shared: true means the caller is the only holder.
    [[nodiscard]] constexpr bool try_lock_shared() noexcept { return try_take(lock_mode::shared); }
    /// Takes it if nobody holds it; never waits.
    [[nodiscard]] constexpr bool try_lock() noexcept { return try_take(lock_mode::exclusive); }

    /// Waits its turn. Lock before: not held by the caller; after: held (for shared: alone, too).
    constexpr void lock_shared() noexcept { wait_on_stack(lock_mode::shared); }
    constexpr void lock() noexcept { wait_on_stack(lock_mode::exclusive); }

    /// Waits its turn as `waiter`, which a signal that `mode` admits ends: interrupted, not held.
    constexpr result<void> lock_shared(task<M>& waiter, wait_mode mode) noexcept {
        return take(lock_mode::shared, waiter, mode);
    }
    constexpr result<void> lock(task<M>& waiter, wait_mode mode) noexcept {
        return take(lock_mode::exclusive, waiter, mode);
    }

    /// Gives it back, to the first in line if there is one. Lock before: held so by the caller.
    constexpr void unlock_shared() noexcept { give(lock_mode::shared); }
    constexpr void unlock() noexcept { give(lock_mode::exclusive); }

    /// Exclusive becomes shared, which changes only how it must be given back.
    constexpr void downgrade() noexcept {
        spin_guard<M> const held{queue_.guard()};
        M::expect(holder_.get() == holder::exclusive, "big_lock: downgrade, but not exclusive");
        M::lock_taken(this, lock_mode::shared);  // first: it is one hold
        M::lock_given(this, lock_mode::exclusive);
        holder_.set(holder::shared);
    }

    /// How many stand in line. May be stale as soon as it is answered.
    [[nodiscard]] constexpr std::size_t queue_length() noexcept {
        spin_guard<M> const held{queue_.guard()};
        return queue_.length(held);
    }

private:
    using queue = wait_queue<M>;
    enum class holder : std::uint8_t { nobody, shared, exclusive };

    [[nodiscard]] static constexpr holder held_as(lock_mode mode) noexcept {
        return mode == lock_mode::shared ? holder::shared : holder::exclusive;
    }

    /// Takes it or, with `waiting`, gets in line. True: taken.
    constexpr bool take_or_join(lock_mode wanted, typename queue::node* waiting,
                                task<M>* waiter) noexcept {
        spin_guard<M> const held{queue_.guard()};
        if (holder_.get() == holder::nobody) {
            holder_.set(held_as(wanted));
            return true;
        }
        if (waiting != nullptr) {
            waiter->prepare_to_wait();
            queue_.join(*waiting, held);
        }
        return false;
    }

    constexpr bool try_take(lock_mode wanted) noexcept {
        if (!take_or_join(wanted, nullptr, nullptr)) return false;
        M::lock_taken(this, wanted);
        return true;
    }

    constexpr result<void> take(lock_mode wanted, task<M>& waiter, wait_mode mode) noexcept {
        M::note(claim::may_sleep, this);
        typename queue::node me{waiter, wanted};
        if (!take_or_join(wanted, &me, &waiter)) {
            // Whoever leaves the line makes nobody else's turn come: the holder still holds.
            auto const outcome =
                queue_.wait(me, mode, [](auto const&) { return typename queue::granted{}; });
            if (!outcome) {
                M::note(claim::not_wanted, this);
                return outcome;
            }
        }
        M::lock_taken(this, wanted);
        return {};
    }

    constexpr void wait_on_stack(lock_mode wanted) noexcept {
        task<M> nobody_else;
        (void)take(wanted, nobody_else, wait_mode::uninterruptible);
    }

    constexpr void give(lock_mode mode) noexcept {
        typename queue::granted next;
        {
            spin_guard<M> const held{queue_.guard()};
            M::expect(holder_.get() == held_as(mode), "big_lock: unlocked, but not held like that");
            M::lock_given(this, mode);
            if (queue_.empty(held)) {
                holder_.set(holder::nobody);
            } else {
                holder_.set(held_as(queue_.first_wants(held)));
                queue_.grant_first(next, held);
            }
        }
        queue_.wake(next);
    }

    // First, so that the lock and its guard, which are both annotated, have different addresses.
    typename M::template plain<holder> holder_{holder::nobody};  // guarded by queue_.guard()
    queue queue_;
};

static_assert(InterruptibleMmLock<big_lock<constexpr_machine>>);
static_assert(Downgradable<big_lock<constexpr_machine>>);

}  // namespace mmhold
