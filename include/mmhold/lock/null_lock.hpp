// SPDX-License-Identifier: BSL-1.0
#pragma once

// null_lock – the mm lock of a host where nothing runs at the same time.
//
// A single-threaded simulator needs no lock, but it still wants to know who would hold it:
// null_lock counts, refuses where a real lock would refuse, and expects (M::expect) where a real
// lock would wait – since here nobody else could end that wait. Simulated CPUs that contend use the
// try_* members and come back later, as they would with any lock (fault answer *pending*).

#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// A lock that only counts (InterruptibleMmLock, Downgradable). For one thread; a model machine
/// reports a data race to who uses it from two.
template<Machine M = host_machine>
class null_lock {
public:
    using machine = M;

    constexpr null_lock() noexcept = default;
    null_lock(null_lock const&) = delete;
    null_lock& operator=(null_lock const&) = delete;
    constexpr ~null_lock() = default;

    /// Takes it shared unless it is held exclusively; never waits.
    [[nodiscard]] constexpr bool try_lock_shared() noexcept {
        if (writer_.get() != 0) return false;
        readers_.set(readers_.get() + 1);
        M::lock_taken(this, lock_mode::shared);
        return true;
    }

    /// Takes it exclusively if nobody holds it; never waits.
    [[nodiscard]] constexpr bool try_lock() noexcept {
        if (writer_.get() != 0 || readers_.get() != 0) return false;
        writer_.set(1);
        M::lock_taken(this, lock_mode::exclusive);
        return true;
    }

    /// try_*, expected to succeed: a wait would never end.
    constexpr void lock_shared() noexcept { M::expect(try_lock_shared(), would_never_end); }
    constexpr void lock() noexcept { M::expect(try_lock(), would_never_end); }

    /// Takes it, or is interrupted by a signal that is pending already; else expected to succeed.
    constexpr result<void> lock_shared(task<M>& waiter, wait_mode mode) noexcept {
        return take(try_lock_shared(), waiter, mode);
    }
    constexpr result<void> lock(task<M>& waiter, wait_mode mode) noexcept {
        return take(try_lock(), waiter, mode);
    }

    /// Gives one shared hold back.
    constexpr void unlock_shared() noexcept {
        M::expect(readers_.get() != 0, "null_lock: unlock_shared, but nobody holds it shared");
        readers_.set(readers_.get() - 1);
        M::lock_given(this, lock_mode::shared);
    }

    /// Gives the exclusive hold back.
    constexpr void unlock() noexcept {
        M::expect(writer_.get() != 0, "null_lock: unlock, but nobody holds it exclusively");
        writer_.set(0);
        M::lock_given(this, lock_mode::exclusive);
    }

    /// Exclusive becomes shared.
    constexpr void downgrade() noexcept {
        M::expect(writer_.get() != 0, "null_lock: downgrade, but nobody holds it exclusively");
        M::lock_taken(this, lock_mode::shared);  // first: it is one hold
        M::lock_given(this, lock_mode::exclusive);
        writer_.set(0);
        readers_.set(1);
    }

    /// How many hold it shared.
    [[nodiscard]] constexpr std::uint32_t readers() const noexcept { return readers_.get(); }
    /// Does somebody hold it exclusively?
    [[nodiscard]] constexpr bool has_writer() const noexcept { return writer_.get() != 0; }

private:
    static constexpr auto would_never_end = "null_lock: held, and nobody could end the wait";

    constexpr result<void> take(bool condition, task<M>& waiter, wait_mode mode) noexcept {
        if (condition) return {};
        M::expect(waiter.signal_pending(mode), would_never_end);
        return errc::interrupted;
    }

    typename M::template plain<std::uint32_t> readers_{0};
    typename M::template plain<std::uint32_t> writer_{0};
};

static_assert(InterruptibleMmLock<null_lock<constexpr_machine>>);
static_assert(Downgradable<null_lock<constexpr_machine>>);

}  // namespace mmhold
