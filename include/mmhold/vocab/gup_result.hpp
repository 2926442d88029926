// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/errc.hpp>

#include <cstdint>

namespace mmhold {

/// What became of the mm lock during a gup call.
enum class lock_fate : std::uint8_t {
    /// The call works without the caller's lock (fast, unlocked): not held before, not held after.
    never_held,
    /// Held by the caller all the time; Linux: *locked == 1.
    kept,
    /// Given up at least once and not held now; Linux: *locked == 0. Never re-taken in silence
    /// (§2.4 step 7).
    lost,
};

/// Why a gup call stopped where it did.
enum class gup_stop : std::uint8_t {
    complete,    ///< every page asked for is held
    error,       ///< `error` says why the next page could not be had
    would_wait,  ///< nowait was asked for, and the next page would have had to wait
    not_fast,    ///< fast_only: the lockless walk could not take the next page
    /// A prefault of the 4.0 - 5.1 era ends with the first drop of the lock (§0, df17277b2a85).
    lock_lost,
    /// The pin_ family refuses illegal flags by answering 0 (§1.1, "Argument validation").
    bad_pin_arguments,
};

/// The typed answer of every gup function: how many pages, why not more, and where the lock is.
///
/// `pages` pages from the start of the span are held, contiguous, without gaps; entries of the
/// caller's output beyond them are unspecified (§1.2 rule 4). Unlike Linux's `long`, the reason for
/// a short count survives.
struct [[nodiscard]] gup_result {
    std::uint64_t pages{0};
    gup_stop stop{gup_stop::complete};
    errc error{errc::ok};  ///< not ok exactly if stop is error or bad_pin_arguments
    lock_fate lock{lock_fate::never_held};

    /// Is every page that was asked for held?
    [[nodiscard]] constexpr bool complete() const noexcept { return stop == gup_stop::complete; }

    friend constexpr bool operator==(gup_result const&, gup_result const&) = default;
};

/// The `long` Linux would return: the count if any page was held, else -errno, else 0
/// (gup-semantics §1.2 rules 1-3).
[[nodiscard]] constexpr std::int64_t to_linux(gup_result const& answer) noexcept {
    if (answer.pages > 0) return static_cast<std::int64_t>(answer.pages);
    return answer.stop == gup_stop::error ? -std::int64_t{to_errno(answer.error)} : 0;
}

/// The value Linux would leave in `*locked`: 1 if the lock was never released, 0 if it is not held
/// now (§2.4 step 7).
[[nodiscard]] constexpr int to_linux_locked(lock_fate fate) noexcept {
    return fate == lock_fate::kept ? 1 : 0;
}

}  // namespace mmhold
