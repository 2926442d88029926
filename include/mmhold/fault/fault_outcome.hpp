// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/wait_ticket.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/vocab/errc.hpp>

#include <cstdint>
#include <utility>

namespace mmhold {

/// What a fault came to. Beside each: where the mm lock is, and Linux's VM_FAULT_* (gup-semantics
/// §2.1).
enum class fault_kind : std::uint8_t {
    installed,           ///< lock kept; 0 or NOPAGE: walk again
    installed_major,     ///< lock kept; MAJOR: walk again, it took I/O
    retry_lock_kept,     ///< lock kept; RETRY under RETRY_NOWAIT: it would have had to wait
    retry_lock_dropped,  ///< lock given up; RETRY: start over from the vma lookup
    completed,           ///< lock given up; COMPLETED: the fault is done, but the lock is gone
    pending,             ///< lock kept; no Linux word: ask again when the host's event has come
    failed,              ///< lock kept; an ERROR bit: stop
};

/// What a program gets for an access whose fault has failed with bad_address. gup does not tell
/// them apart (gup-semantics §8.2, note 4).
enum class fatal_signal : std::uint8_t {
    bus_error,     ///< SIGBUS: the page cannot be supplied
    segmentation,  ///< SIGSEGV, SEGV_MAPERR: there must not be a page
};

/// The answer of a fault handler. The two outcomes that lose the lock can only be built from the
/// proof that it was given up, so "RETRY while still holding" does not compile.
template<class L, Machine M>
class [[nodiscard]] fault_outcome {
public:
    /// The entry is in place now, or somebody else put one there: walk again.
    [[nodiscard]] static constexpr fault_outcome installed() noexcept {
        return {fault_kind::installed, errc::ok, {}};
    }
    /// The same after waiting for a device with the lock held.
    [[nodiscard]] static constexpr fault_outcome installed_major() noexcept {
        return {fault_kind::installed_major, errc::ok, {}};
    }
    /// It would have had to wait, and the caller said not to.
    [[nodiscard]] static constexpr fault_outcome retry_kept() noexcept {
        return {fault_kind::retry_lock_kept, errc::ok, {}};
    }
    /// The lock was given up – `proof` – and `ticket` says what to wait for before trying again.
    [[nodiscard]] static constexpr fault_outcome retry(lock_dropped<L> proof,
                                                       wait_ticket<M> ticket) noexcept {
        (void)proof;
        return {fault_kind::retry_lock_dropped, errc::ok, std::move(ticket)};
    }
    /// The fault is finished, but the lock was given up on the way.
    [[nodiscard]] static constexpr fault_outcome completed(lock_dropped<L> proof) noexcept {
        (void)proof;
        return {fault_kind::completed, errc::ok, {}};
    }
    /// Nothing happened yet; the host's event will come.
    [[nodiscard]] static constexpr fault_outcome pending() noexcept {
        return {fault_kind::pending, errc::ok, {}};
    }
    /// It cannot be resolved. `why` is what gup reports: bad_address for SIGBUS and SIGSEGV,
    /// no_memory for OOM, hardware_poison for a poisoned page. `signal`: what a program gets.
    [[nodiscard]] static constexpr fault_outcome failed(
        errc why, fatal_signal signal = fatal_signal::bus_error) noexcept {
        fault_outcome outcome{fault_kind::failed, why, {}};
        outcome.signal_ = signal;
        return outcome;
    }

    /// What it came to.
    [[nodiscard]] constexpr fault_kind kind() const noexcept { return kind_; }
    /// Not ok exactly for failed.
    [[nodiscard]] constexpr errc error() const noexcept { return error_; }
    /// Of a failure with bad_address: what a program gets.
    [[nodiscard]] constexpr fatal_signal signal() const noexcept { return signal_; }
    /// Was the lock given up?
    [[nodiscard]] constexpr bool lock_lost() const noexcept {
        return kind_ == fault_kind::retry_lock_dropped || kind_ == fault_kind::completed;
    }
    /// What to wait for; empty except after retry().
    [[nodiscard]] constexpr wait_ticket<M> take_ticket() noexcept { return std::move(ticket_); }

private:
    constexpr fault_outcome(fault_kind kind, errc error, wait_ticket<M> ticket) noexcept
        : kind_{kind}, error_{error}, ticket_{std::move(ticket)} {}

    fault_kind kind_;
    errc error_;
    fatal_signal signal_{fatal_signal::bus_error};
    wait_ticket<M> ticket_;
};

}  // namespace mmhold
