// SPDX-License-Identifier: BSL-1.0
#pragma once

// Vector clocks of fixed width: who knows how much of whom.
//
// Two orders are kept apart on purpose. The *event* order (16 processes: the actors and their store
// buffers) says which steps of an execution may be swapped without changing it; the search lives on
// it. The *synchronisation* order (8 actors) is happens-before as C++ defines it; data races are
// judged by it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mmhold {

namespace detail {

/// The most actors a scenario may have.
inline constexpr std::size_t max_actors = 8;
/// Actors and their store buffers. Process a < 8 is actor a, process 8 + a drains its buffer.
inline constexpr std::size_t max_processes = 2 * max_actors;

using process = std::uint8_t;
using process_set = std::uint16_t;

[[nodiscard]] constexpr process_set only(process p) noexcept {
    return static_cast<process_set>(1U << p);
}
[[nodiscard]] constexpr process_set without_first(process_set set) noexcept {
    return static_cast<process_set>(set & (set - 1U));
}
[[nodiscard]] constexpr process buffer_of(process actor) noexcept {
    return static_cast<process>(actor + max_actors);
}
[[nodiscard]] constexpr process owner_of(process p) noexcept {
    return static_cast<process>(p % max_actors);
}
[[nodiscard]] constexpr bool is_buffer(process p) noexcept { return p >= max_actors; }

/// "T2". (Appended, not added: g++ 12 warns falsely about the latter.)
[[nodiscard]] inline std::string actor_text(std::size_t actor) {
    return std::string{'T'}.append(std::to_string(actor));
}

/// `ticks[q]` is how many steps of q are known. Loops over a constant width: the compiler uses
/// vector registers.
template<std::size_t Width>
struct alignas(16) vector_clock {
    std::int16_t ticks[Width]{};

    /// Knows what both knew.
    void join(vector_clock const& other) noexcept {
        vector_clock const theirs = other;  // a copy, so that nothing can alias
        vector_clock mine = *this;
        for (std::size_t i = 0; i < Width; ++i) {
            mine.ticks[i] = mine.ticks[i] < theirs.ticks[i] ? theirs.ticks[i] : mine.ticks[i];
        }
        *this = mine;
    }
    /// Is step number `tick` of process `who` known?
    [[nodiscard]] bool covers(process who, std::int16_t tick) const noexcept {
        return ticks[who] >= tick;
    }
    /// Is everything known that `other` knows?
    [[nodiscard]] bool covers(vector_clock const& other) const noexcept {
        int missing = 0;
        for (std::size_t i = 0; i < Width; ++i) missing += ticks[i] < other.ticks[i];
        return missing == 0;
    }
    /// Is at least one of these steps known?
    [[nodiscard]] bool reaches(vector_clock const& first_steps) const noexcept {
        int reached = 0;
        for (std::size_t i = 0; i < Width; ++i) reached += ticks[i] >= first_steps.ticks[i];
        return reached != 0;
    }
};

using event_clock = vector_clock<max_processes>;
using sync_clock = vector_clock<max_actors>;

}  // namespace detail

}  // namespace mmhold
