// SPDX-License-Identifier: BSL-1.0
#pragma once

// From the log of lock events to waits and holds. The table and the timeline come from the same
// events, so they cannot disagree.

#include <mmhold/observe/observer.hpp>

#include "samples.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>

namespace stall {

/// Follows one lock through its events, in the order in which each actor recorded them.
class lock_history {
public:
    void see(mmhold::event const& what) {
        auto& actor = actors_[what.actor];
        switch (what.kind) {
            case mmhold::event_kind::lock_wait: actor.since = what.time_ns; return;
            case mmhold::event_kind::lock_acquired:
                actor.waits.add(elapsed(actor, what));
                actor.since = what.time_ns;
                return;
            case mmhold::event_kind::lock_released:
                actor.longest_hold = std::max(actor.longest_hold, elapsed(actor, what));
                return;
            default: return;
        }
    }

    /// Every wait of `actor` that ended with the lock, however short.
    [[nodiscard]] samples waits_of(std::uint32_t actor) const {
        auto const found = actors_.find(actor);
        return found == actors_.end() ? samples{} : found->second.waits;
    }

    /// The longest time anybody held the lock.
    [[nodiscard]] duration longest_hold() const {
        duration longest{0};
        for (auto const& [number, actor] : actors_) longest = std::max(longest, actor.longest_hold);
        return longest;
    }

private:
    struct actor_state {
        std::uint64_t since{0};  // when the wait began; then, when the hold began
        samples waits{};
        duration longest_hold{0};
    };
    static duration elapsed(actor_state const& actor, mmhold::event const& now) {
        return duration{static_cast<std::int64_t>(now.time_ns - actor.since)};
    }

    std::map<std::uint32_t, actor_state> actors_{};
};

}  // namespace stall
