// SPDX-License-Identifier: BSL-1.0
#pragma once

// task – who sleeps, who is woken, who receives signals.
//
// One word per task. Everything that waits for an event (a lock, a userfault) sleeps on the word of
// the waiting task; wakers and signals set bits in it. Because both arrive at one word, "sleep
// until woken or killed" is one await and needs no timeout and no second list.
//
// Sleeper   prepare_to_wait() → make yourself findable (enqueue) → look whether there is still a
//           reason to sleep → wait()
// Waker     make the reason go away → find the sleeper → wake()
// A wake between prepare_to_wait() and wait() is kept in the word; that is why the order matters.

#include <mmhold/machine/machine.hpp>

#include <cstdint>

namespace mmhold {

/// What may end a wait besides the event itself.
enum class wait_mode : std::uint8_t {
    uninterruptible,  ///< nothing
    killable,         ///< a fatal signal
    interruptible,    ///< any signal
};

/// A schedulable entity of the simulated kernel. Outlives every wait it is in and every wake() sent
/// to it.
template<Machine M = host_machine>
class task {
public:
    constexpr task() noexcept = default;
    task(task const&) = delete;
    task& operator=(task const&) = delete;
    constexpr ~task() = default;

    /// Forgets earlier wakes. Call before becoming findable to wakers.
    constexpr void prepare_to_wait() noexcept { (void)word_.fetch_and(~woken, relaxed); }

    /// Sleeps until wake(), or until a signal that `mode` admits is pending – at once if there is
    /// one already. May also return for a stale wake: callers look at their condition and come
    /// back.
    constexpr void wait(wait_mode mode) noexcept {
        auto const ends = woken | ending_signals(mode);
        // (task.woken) acquire: what the waker did before it woke us is visible; pairs with
        // (task.wake).
        (void)M::await(
            word_, [ends](std::uint32_t word) { return (word & ends) != 0; },
            acquire("task.woken"));
    }

    /// Ends the task's wait() – the current one or the next that is already prepared.
    constexpr void wake() noexcept { post(woken); }

    /// Sends an ordinary signal.
    constexpr void signal() noexcept { post(ordinary); }

    /// Sends a fatal signal: the task is expected to unwind and never to wait again.
    constexpr void kill() noexcept { post(fatal); }

    /// Forgets the ordinary signal, as delivering it to a handler would.
    constexpr void take_signal() noexcept { (void)word_.fetch_and(~ordinary, relaxed); }

    /// Is a signal pending that would end a wait in `mode`?
    [[nodiscard]] constexpr bool signal_pending(wait_mode mode) const noexcept {
        return (word_.load(relaxed) & ending_signals(mode)) != 0;
    }
    [[nodiscard]] constexpr bool fatal_signal_pending() const noexcept {
        return signal_pending(wait_mode::killable);
    }

private:
    static constexpr std::uint32_t woken = 1;
    static constexpr std::uint32_t ordinary = 2;
    static constexpr std::uint32_t fatal = 4;

    [[nodiscard]] static constexpr std::uint32_t ending_signals(wait_mode mode) noexcept {
        switch (mode) {
            case wait_mode::uninterruptible: return 0;
            case wait_mode::killable: return fatal;
            case wait_mode::interruptible: return fatal | ordinary;
        }
        return fatal;
    }
    constexpr void post(std::uint32_t bit) noexcept {
        // (task.wake) release: publishes the reason for waking; pairs with (task.woken).
        (void)word_.fetch_or(bit, release("task.wake"));
        word_.notify_all();
    }

    typename M::template atomic<std::uint32_t> word_{0};
};

}  // namespace mmhold
