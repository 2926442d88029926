// SPDX-License-Identifier: BSL-1.0
#pragma once

// spin_lock – four bytes that keep everybody else out for a few instructions.
//
// For page tables (one per table page, the split page-table lock) and for queues. Whoever holds one
// neither sleeps nor waits for anything but another spin lock. Taking it is one read-modify-write,
// giving it back one store: nobody is notified, waiters look again (M::poll). Not fair.

#include <mmhold/config.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>

#include <cstdint>

namespace mmhold {

/// A small lock for short, non-sleeping sections. Not recursive. Outlives every call to it.
template<Machine M = host_machine>
class MMHOLD_CAPABILITY("spin_lock") spin_lock {
public:
    using machine = M;

    constexpr spin_lock() noexcept = default;
    spin_lock(spin_lock const&) = delete;
    spin_lock& operator=(spin_lock const&) = delete;
    constexpr ~spin_lock() = default;

    /// Takes the lock if it is free; never waits.
    [[nodiscard]] constexpr bool try_lock() noexcept MMHOLD_TRY_ACQUIRE(true) {
        // Looking first keeps the cache line shared while somebody else holds the lock.
        if (word_.load(relaxed) != free) return false;
        // (spin.try_lock) acquire: sees what the last holder wrote; pairs with (spin.unlock).
        if (word_.exchange(taken, acquire("spin.try_lock")) != free) return false;
        M::lock_taken(this, lock_mode::exclusive);
        return true;
    }

    /// Waits for the lock. Lock before: not held by the caller (else this never returns).
    constexpr void lock() noexcept MMHOLD_ACQUIRE() {
        M::note(claim::wanted, this);
        // (spin.lock) acquire: sees what the last holder wrote; pairs with (spin.unlock).
        while (word_.exchange(taken, acquire("spin.lock")) != free) {
            (void)M::poll(word_, [](std::uint32_t word) { return word == free; }, relaxed);
        }
        M::lock_taken(this, lock_mode::exclusive);
    }

    /// Gives the lock back. Lock before: held by the caller.
    constexpr void unlock() noexcept MMHOLD_RELEASE() {
        M::expect(word_.load(relaxed) == taken, "spin_lock: unlocked, but nobody holds it");
        M::lock_given(this, lock_mode::exclusive);
        // (spin.unlock) release: the next holder sees what we wrote; pairs with (spin.lock,
        // spin.try_lock).
        word_.store(free, release("spin.unlock"));
    }

    /// Does anybody hold it? Stale as soon as it is answered: for assertions and tests.
    [[nodiscard]] constexpr bool locked() const noexcept { return word_.load(relaxed) != free; }

private:
    static constexpr std::uint32_t free = 0;
    static constexpr std::uint32_t taken = 1;

    typename M::template atomic<std::uint32_t> word_{free};
};

/// Holds a spin_lock for a scope.
template<Machine M = host_machine>
class [[nodiscard]] MMHOLD_SCOPED_CAPABILITY spin_guard {
public:
    /// Waits for `lock` and holds it until the end of the scope.
    constexpr explicit spin_guard(spin_lock<M>& lock) noexcept MMHOLD_ACQUIRE(lock) : lock_{lock} {
        lock_.lock();
    }
    spin_guard(spin_guard const&) = delete;
    spin_guard& operator=(spin_guard const&) = delete;
    constexpr ~spin_guard() MMHOLD_RELEASE() { lock_.unlock(); }

private:
    spin_lock<M>& lock_;
};

static_assert(ExclusiveLockable<spin_lock<constexpr_machine>>);
static_assert(sizeof(spin_lock<constexpr_machine>) == sizeof(std::uint32_t));

}  // namespace mmhold
