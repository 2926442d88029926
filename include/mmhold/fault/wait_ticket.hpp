// SPDX-License-Identifier: BSL-1.0
#pragma once

// wait_ticket – what a fault leaves behind for its caller to wait on, once the mm lock is gone.
//
// Handler   task.prepare_to_wait() → queue the waitable → look again whether there is still a
//           reason to sleep → give up the mm lock → answer RETRY with a ticket on the waitable.
// Caller    ticket.wait(mode) (or, in a host that must not block: ask ready() when the host's event
//           comes) → drop the ticket → take the mm lock again → start over from the vma lookup.
// Resolver  (under the handler's queue lock) resolve the waitable.
//
// The waitable dies with its ticket, whose destruction goes through the handler's queue lock
// (`abandon`). Therefore a resolver, which holds that lock, never touches a waitable or a task that
// is already gone.

#include <mmhold/machine/machine.hpp>
#include <mmhold/machine/task.hpp>

#include <cstdint>
#include <utility>

namespace mmhold {

/// One thing a task waits for. Handlers derive their queue entries from it.
template<Machine M>
class waitable {
public:
    /// `who` is woken on resolution; `unlink` is called exactly once, by the ticket, to unlink and
    /// destroy.
    constexpr waitable(task<M>& who, void (*unlink)(waitable&) noexcept) noexcept
        : sleeper_{&who}, abandon_{unlink} {}
    waitable(waitable const&) = delete;
    waitable& operator=(waitable const&) = delete;
    constexpr ~waitable() = default;

    /// The reason to wait is gone: marks it and wakes the sleeper. Caller holds the lock that
    /// `abandon` takes.
    constexpr void resolve() noexcept {
        // (ticket.resolve) release: what resolved the fault is visible to who sees it resolved;
        // pairs with (ticket.ready).
        resolved_.store(1, release("ticket.resolve"));
        sleeper_->wake();
    }

    /// Has it been resolved?
    [[nodiscard]] constexpr bool resolved() const noexcept {
        // (ticket.ready) acquire; pairs with (ticket.resolve).
        return resolved_.load(acquire("ticket.ready")) != 0;
    }

    /// The task that waits.
    [[nodiscard]] constexpr task<M>& sleeper() const noexcept { return *sleeper_; }

    /// Unlinks from the handler's queue and destroys. Only wait_ticket calls it.
    constexpr void abandon() noexcept { abandon_(*this); }

private:
    typename M::template atomic<std::uint32_t> resolved_{0};
    task<M>* sleeper_;
    void (*abandon_)(waitable&) noexcept;
};

/// Owns one waitable; move-only. An empty ticket has nothing to wait for.
template<Machine M>
class [[nodiscard]] wait_ticket {
public:
    constexpr wait_ticket() noexcept = default;
    constexpr explicit wait_ticket(waitable<M>& on) noexcept : on_{&on} {}
    constexpr wait_ticket(wait_ticket&& other) noexcept : on_{std::exchange(other.on_, nullptr)} {}
    constexpr wait_ticket& operator=(wait_ticket&& other) noexcept {
        if (this != &other) {
            reset();
            on_ = std::exchange(other.on_, nullptr);
        }
        return *this;
    }
    constexpr ~wait_ticket() { reset(); }

    /// Is there nothing (left) to wait for? Never blocks.
    [[nodiscard]] constexpr bool ready() const noexcept {
        return on_ == nullptr || on_->resolved();
    }

    /// Sleeps until ready() or until a signal that `mode` admits is pending for the task that
    /// faulted. The caller holds no lock that a resolver needs. Which of the two ended it is asked
    /// of ready() and the task.
    constexpr void wait(wait_mode mode) const noexcept {
        M::note(claim::may_sleep, nullptr);
        while (!ready()) {
            auto& sleeper = on_->sleeper();
            if (sleeper.signal_pending(mode)) return;
            sleeper.wait(mode);
            // Eat the wake, then look again: a wake that comes in between has made ready() true.
            sleeper.prepare_to_wait();
        }
    }

    /// Gives the place in the queue back. The destructor does the same.
    constexpr void reset() noexcept {
        if (on_ != nullptr) std::exchange(on_, nullptr)->abandon();
    }

private:
    waitable<M>* on_{nullptr};
};

}  // namespace mmhold
