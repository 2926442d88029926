// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/observe/null_observer.hpp>
#include <mmhold/observe/observer.hpp>

#include <concepts>
#include <cstdint>
#include <utility>

namespace mmhold {

/// Answers "who is running here?" with an actor number. Called from inside record(): it must not
/// wait.
template<class W>
concept ActorSource = requires(W& who) {
    { who() } noexcept -> std::same_as<std::uint32_t>;
};

/// Fills in who did it, then passes the event on.
///
/// A lock or a frame pool does not know who calls it, so its events come unattributed. The program
/// knows: a threaded one keeps the number per thread, a simulator knows the CPU it steps, a model
/// machine its actor. Events that already name an actor are left alone. `to` must outlive this
/// object.
template<Observer O, ActorSource W>
class attributed {
public:
    static constexpr bool enabled = O::enabled;

    /// Passes events on to `to`, which outlives this; `who` says who runs.
    constexpr attributed(O& to, W who) noexcept : to_{to}, who_{std::move(who)} {}

    /// Passes `what` on, with the actor filled in. As safe for several callers as `to` and `who`
    /// are.
    constexpr void record(event const& what) noexcept {
        auto named = what;
        if (named.actor == unattributed) named.actor = who_();
        to_.record(named);
    }

private:
    O& to_;
    W who_;
};

static_assert(Observer<attributed<null_observer, std::uint32_t (*)() noexcept>>);

}  // namespace mmhold
