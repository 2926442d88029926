// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/config.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/observe/null_observer.hpp>
#include <mmhold/observe/observer.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>

namespace mmhold {

/// An mm lock that reports who waits for it and who holds it. It is as much of an MmLock as `L` is:
/// blocking, interruptible, downgradable where `L` is.
///
/// Every hold is lock_wait, lock_acquired, lock_released, in this order; a wait that a signal ends
/// is lock_wait, lock_abandoned. The last two stamps of a hold are taken while it is held, so two
/// exclusive holds never overlap in the log. A downgrade is the end of the exclusive hold and the
/// whole beginning of a shared one. Events are unattributed (a lock does not know who takes it):
/// attributed.hpp.
///
/// With an observer that does not listen this is `L`, in size and in code.
template<MmLock L, Observer O, Machine M = host_machine>
class observed_lock {
public:
    using machine = M;
    using lock_type = L;

    /// Reports to nobody until report_to().
    constexpr observed_lock() = default;
    /// Reports to `observer`, which outlives it, under `number`; the rest makes the lock itself.
    template<class... Args>
    constexpr explicit observed_lock(O& observer, std::uint64_t number, Args&&... args)
        : lock_(std::forward<Args>(args)...) {
        report_to(observer, number);
    }
    observed_lock(observed_lock const&) = delete;
    observed_lock& operator=(observed_lock const&) = delete;
    constexpr ~observed_lock() = default;

    /// From now on events go to `observer`, which outlives this lock, with `number` as subject.
    /// For locks that were made where no observer was at hand; before anybody else knows the lock.
    constexpr void report_to(O& observer, std::uint64_t number) noexcept {
        if constexpr (O::enabled) listener_ = {&observer, number};
        (void)observer, (void)number;
    }

    /// The lock itself, unobserved.
    [[nodiscard]] constexpr L& unobserved() noexcept { return lock_; }

    /// Takes it shared if that needs no waiting; a refusal is not reported.
    [[nodiscard]] MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr bool try_lock_shared() {
        auto const taken = lock_.try_lock_shared();
        if (taken) taken_at_once(lock_mode::shared);
        return taken;
    }
    /// Takes it exclusively if that needs no waiting; a refusal is not reported.
    [[nodiscard]] MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr bool try_lock() {
        auto const taken = lock_.try_lock();
        if (taken) taken_at_once(lock_mode::exclusive);
        return taken;
    }

    /// Waits, then holds shared. Lock before: not held by the caller.
    MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr void lock_shared()
        requires SharedLockable<L>
    {
        report(event_kind::lock_wait, lock_mode::shared);
        lock_.lock_shared();
        report(event_kind::lock_acquired, lock_mode::shared);
    }
    /// Waits, then holds exclusively. Lock before: not held by the caller.
    MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr void lock()
        requires ExclusiveLockable<L>
    {
        report(event_kind::lock_wait, lock_mode::exclusive);
        lock_.lock();
        report(event_kind::lock_acquired, lock_mode::exclusive);
    }

    /// Waits for a shared hold, or until a signal that `mode` admits: interrupted, nothing is held.
    MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr result<void> lock_shared(task<M>& waiter,
                                                                        wait_mode mode)
        requires InterruptibleMmLock<L>
    {
        report(event_kind::lock_wait, lock_mode::shared);
        return reported(lock_.lock_shared(waiter, mode), lock_mode::shared);
    }
    /// The same for an exclusive hold.
    MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr result<void> lock(task<M>& waiter, wait_mode mode)
        requires InterruptibleMmLock<L>
    {
        report(event_kind::lock_wait, lock_mode::exclusive);
        return reported(lock_.lock(waiter, mode), lock_mode::exclusive);
    }

    /// Gives one shared hold back; reported while it is still held.
    MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr void unlock_shared() {
        report(event_kind::lock_released, lock_mode::shared);
        lock_.unlock_shared();
    }
    /// Gives the exclusive hold back; reported while it is still held.
    MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr void unlock() {
        report(event_kind::lock_released, lock_mode::exclusive);
        lock_.unlock();
    }

    /// Exclusive becomes shared; reported before readers can come in.
    MMHOLD_NO_THREAD_SAFETY_ANALYSIS constexpr void downgrade()
        requires Downgradable<L>
    {
        report(event_kind::lock_released, lock_mode::exclusive);
        lock_.downgrade();
        taken_at_once(lock_mode::shared);
    }

private:
    struct nobody {};
    struct listener {
        O* observer{nullptr};
        std::uint64_t number{0};
    };

    constexpr void report(event_kind kind, lock_mode mode) noexcept {
        if constexpr (O::enabled) {
            if (listener_.observer == nullptr) return;
            notify<M>(*listener_.observer, kind, unattributed, listener_.number,
                      static_cast<std::uint64_t>(mode));
        }
        (void)kind, (void)mode;
    }
    constexpr void taken_at_once(lock_mode mode) noexcept {
        report(event_kind::lock_wait, mode);
        report(event_kind::lock_acquired, mode);
    }
    constexpr result<void> reported(result<void> taken, lock_mode mode) noexcept {
        report(taken ? event_kind::lock_acquired : event_kind::lock_abandoned, mode);
        return taken;
    }

    L lock_{};
    MMHOLD_NO_UNIQUE_ADDRESS std::conditional_t<O::enabled, listener, nobody> listener_{};
};

static_assert(InterruptibleMmLock<
              observed_lock<null_lock<constexpr_machine>, null_observer, constexpr_machine>>);
static_assert(
    Downgradable<observed_lock<null_lock<constexpr_machine>, null_observer, constexpr_machine>>);

}  // namespace mmhold
