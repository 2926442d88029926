// SPDX-License-Identifier: BSL-1.0
#pragma once

// rw_lock – the mm lock: shared and exclusive, first come first served, killable, downgradable.
//
// One word says everything that matters to the fast paths:
//
//     bit 0         a writer holds it
//     bit 1         somebody is in line                  (set exactly while the line is not empty)
//     bits 2 .. 31  how many readers hold it
//
// Reader    no writer and nobody in line: count yourself in, one read-modify-write. Else: in line.
// Writer    the word is 0: set bit 0. Else: in line.
// Leaving   one read-modify-write. Somebody in line, and the lock is free now? Hand it over: to the
//           writer at the head of the line, or to all readers in front of the first writer.
// Downgrade bit 0 becomes one reader, in one step; readers at the head of the line may join.
// Signal    a waiter leaves the line; if it was a writer at the head, readers behind it may go now.
//
// Fairness: nobody overtakes the line, since bit 1 closes both fast paths and only a hand-over
// takes from the line, in order. So a reader waits behind a writer that waits (gup-semantics §7.8:
// which is why a gup that may not drop the lock must not sleep on a userfault).
//
// Nothing is lost when the word and the line change at the same time: while bit 1 is set, whoever
// leaves the lock free comes by to hand it over, and decides under the line's guard.

#include <mmhold/lock/held.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/lock/wait_queue.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// A fair reader-writer lock (InterruptibleMmLock, Downgradable). Not recursive.
///
/// An uncontended operation is one read-modify-write of one word. Waiting allocates nothing and
/// cannot fail. Up to 2^30 - 1 readers at once. Destroy it after every call to it has returned.
template<Machine M = host_machine>
class rw_lock {
public:
    using machine = M;

    /// Free.
    constexpr rw_lock() noexcept { M::name(this, "rw_lock"); }
    rw_lock(rw_lock const&) = delete;
    rw_lock& operator=(rw_lock const&) = delete;
    constexpr ~rw_lock() { M::expect(word_.load(relaxed) == 0, "rw_lock: destroyed while in use"); }

    /// Takes it shared if no writer holds it and nobody is in line; never waits.
    [[nodiscard]] constexpr bool try_lock_shared() noexcept {
        auto now = word_.load(relaxed);
        while (admits(now, lock_mode::shared)) {
            M::expect(readers_in(now) < most_readers, "rw_lock: too many readers");
            // (rw_lock.try_shared) acquire: sees what the last writer wrote; pairs with
            // (rw_lock.unlock, rw_lock.downgrade).
            if (word_.compare_exchange(now, now + one_reader, acquire("rw_lock.try_shared"))) {
                M::lock_taken(this, lock_mode::shared);
                return true;
            }
        }
        return false;
    }

    /// Takes it exclusively if nobody holds it and nobody is in line; never waits.
    [[nodiscard]] constexpr bool try_lock() noexcept {
        std::uint32_t nobody = 0;
        // (rw_lock.try_exclusive) acquire: sees what all earlier holders did; pairs with
        // (rw_lock.unlock, rw_lock.unlock_shared).
        if (!word_.compare_exchange(nobody, writer, acquire("rw_lock.try_exclusive"))) return false;
        M::lock_taken(this, lock_mode::exclusive);
        return true;
    }

    /// Waits its turn. Lock before: not held by the caller; after: held shared.
    constexpr void lock_shared() noexcept {
        M::note(claim::may_sleep, this);
        if (!try_lock_shared()) wait_on_stack(lock_mode::shared);
    }

    /// Waits its turn. Lock before: not held by the caller; after: held exclusively.
    constexpr void lock() noexcept {
        M::note(claim::may_sleep, this);
        if (!try_lock()) wait_on_stack(lock_mode::exclusive);
    }

    /// lock_shared() as `waiter`, which a signal that `mode` admits ends: interrupted, not held.
    constexpr result<void> lock_shared(task<M>& waiter, wait_mode mode) noexcept {
        M::note(claim::may_sleep, this);
        if (try_lock_shared()) return {};
        return wait_in_line(lock_mode::shared, waiter, mode);
    }

    /// lock() as `waiter`, which a signal that `mode` admits ends: interrupted, not held.
    constexpr result<void> lock(task<M>& waiter, wait_mode mode) noexcept {
        M::note(claim::may_sleep, this);
        if (try_lock()) return {};
        return wait_in_line(lock_mode::exclusive, waiter, mode);
    }

    /// Gives one shared hold back. Lock before: held shared by the caller.
    constexpr void unlock_shared() noexcept {
        M::lock_given(this, lock_mode::shared);
        // (rw_lock.unlock_shared) release: the next writer sees that our reads are done; pairs with
        // (rw_lock.try_exclusive, rw_lock.join, rw_lock.grant).
        auto const before = word_.fetch_sub(one_reader, release("rw_lock.unlock_shared"));
        M::expect(readers_in(before) != 0, "rw_lock: unlock_shared, but nobody holds it shared");
        if (before == one_reader + waiters) hand_over();
    }

    /// Gives the exclusive hold back. Lock before: held exclusively by the caller.
    constexpr void unlock() noexcept {
        M::lock_given(this, lock_mode::exclusive);
        // (rw_lock.unlock) release: the next holder sees what we wrote; pairs with
        // (rw_lock.try_shared, rw_lock.try_exclusive, rw_lock.join, rw_lock.grant).
        auto const before = word_.fetch_sub(writer, release("rw_lock.unlock"));
        M::expect((before & writer) != 0, "rw_lock: unlock, but nobody holds it exclusively");
        if ((before & waiters) != 0) hand_over();
    }

    /// Exclusive becomes shared; readers at the head of the line come in. Lock before: held
    /// exclusively by the caller; after: held shared, with no writer in between.
    constexpr void downgrade() noexcept {
        M::lock_taken(this, lock_mode::shared);  // first: it is one hold
        M::lock_given(this, lock_mode::exclusive);
        // (rw_lock.downgrade) release: readers that come in now see what we wrote; pairs with
        // (rw_lock.try_shared, rw_lock.join, rw_lock.grant).
        auto const before = word_.fetch_add(one_reader - writer, release("rw_lock.downgrade"));
        M::expect((before & writer) != 0, "rw_lock: downgrade, but nobody holds it exclusively");
        if ((before & waiters) != 0) hand_over();
    }

    /// How many stand in line. For tests and observers: may be stale as soon as it is answered.
    [[nodiscard]] constexpr std::size_t queue_length() noexcept {
        spin_guard<M> const held{queue_.guard()};
        return queue_.length(held);
    }
    /// How many hold it shared. May be stale as soon as it is answered.
    [[nodiscard]] constexpr std::uint32_t readers() const noexcept {
        return readers_in(word_.load(relaxed));
    }
    /// Does somebody hold it exclusively? May be stale as soon as it is answered.
    [[nodiscard]] constexpr bool has_writer() const noexcept {
        return (word_.load(relaxed) & writer) != 0;
    }

private:
    using queue = wait_queue<M>;

    static constexpr std::uint32_t writer = 1;
    static constexpr std::uint32_t waiters = 2;
    static constexpr std::uint32_t one_reader = 4;
    static constexpr std::uint32_t most_readers = ~std::uint32_t{0} / one_reader;

    [[nodiscard]] static constexpr std::uint32_t readers_in(std::uint32_t word) noexcept {
        return word / one_reader;
    }
    /// May a newcomer take the lock without getting in line?
    [[nodiscard]] static constexpr bool admits(std::uint32_t word, lock_mode wanted) noexcept {
        return wanted == lock_mode::shared ? (word & (writer | waiters)) == 0 : word == 0;
    }
    [[nodiscard]] static constexpr std::uint32_t hold_of(lock_mode mode) noexcept {
        return mode == lock_mode::shared ? one_reader : writer;
    }

    // The slow paths stay out of line, so that the fast ones need no stack frame.
    [[gnu::noinline]] constexpr void wait_on_stack(lock_mode wanted) noexcept {
        task<M> nobody_else;
        (void)wait_in_line(wanted, nobody_else, wait_mode::uninterruptible);
    }

    [[gnu::noinline]] constexpr result<void> wait_in_line(lock_mode wanted, task<M>& waiter,
                                                          wait_mode mode) noexcept {
        typename queue::node me{waiter, wanted};
        if (join(me, waiter) == joined::in_line) {
            auto const outcome = queue_.wait(me, mode, [this](auto const& held) {
                return grant(held);  // whoever stood behind us
            });
            if (!outcome) {
                M::note(claim::not_wanted, this);
                return outcome;
            }
        }
        M::lock_taken(this, wanted);
        return {};
    }

    enum class joined : std::uint8_t { in_line, not_needed };

    /// Gets in line – unless the lock became free before we had the guard: then takes it.
    constexpr joined join(typename queue::node& me, task<M>& waiter) noexcept {
        spin_guard<M> const held{queue_.guard()};
        if (queue_.empty(held)) {
            auto now = word_.load(relaxed);
            bool take = false;
            do {
                take = admits(now, me.wanted());
                // (rw_lock.join) acquire: if we take it, we see what earlier holders did; pairs
                // with (rw_lock.unlock, rw_lock.unlock_shared, rw_lock.downgrade).
            } while (!word_.compare_exchange(now, take ? now + hold_of(me.wanted()) : now | waiters,
                                             acquire("rw_lock.join")));
            if (take) return joined::not_needed;
        }
        waiter.prepare_to_wait();
        queue_.join(me, held);
        return joined::in_line;
    }

    /// We left the lock free, or free for readers, and somebody was in line.
    [[gnu::noinline]] constexpr void hand_over() noexcept {
        typename queue::granted lucky;
        {
            spin_guard<M> const held{queue_.guard()};
            lucky = grant(held);
        }
        queue_.wake(lucky);
    }

    /// Lets in from the head of the line whoever the lock now admits. Bit 1 keeps everybody else
    /// out, so the word can only lose readers under us – and the last of them comes here too.
    constexpr typename queue::granted grant(spin_guard<M> const& held) noexcept {
        typename queue::granted lucky;
        while (!queue_.empty(held)) {
            auto const wanted = queue_.first_wants(held);
            // (rw_lock.grant) acquire: sees what earlier holders did, and so does the waiter, which
            // comes through the guard after us; pairs with (rw_lock.unlock, rw_lock.unlock_shared,
            // rw_lock.downgrade).
            auto const now = word_.load(acquire("rw_lock.grant"));
            if (!admits(now & ~waiters, wanted)) return lucky;
            (void)word_.fetch_add(hold_of(wanted), relaxed);
            queue_.grant_first(lucky, held);
        }
        // Not before the holds of the lucky ones are in the word may the fast paths open again.
        (void)word_.fetch_and(~waiters, relaxed);
        return lucky;
    }

    typename M::template atomic<std::uint32_t> word_{0};
    queue queue_;
};

static_assert(InterruptibleMmLock<rw_lock<constexpr_machine>>);
static_assert(Downgradable<rw_lock<constexpr_machine>>);

}  // namespace mmhold
