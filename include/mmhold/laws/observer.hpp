// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/laws/law_report.hpp>
#include <mmhold/observe/observer.hpp>

#include <cstdint>
#include <utility>

namespace mmhold {

/// Reads a listener's memory: `read(take)` calls `take(event)` for every event that is still kept,
/// the events of one actor in the order in which that actor recorded them.
template<class R>
concept EventReader = requires(R& read, void (*take)(event const&)) { read(take); };

namespace detail {

/// Test event number `n` of `actor`: every field follows from the two, so that a mixture of two
/// events, or one that nobody recorded, is recognised.
[[nodiscard]] constexpr event law_event(std::uint32_t actor, std::uint64_t n) noexcept {
    return {event_kind::user_mark, actor, n, n * 3 + actor, ~n};
}

[[nodiscard]] constexpr bool is_law_event(event const& seen, std::uint32_t actors,
                                          std::uint64_t events) noexcept {
    return seen.actor < actors && seen.time_ns < events
           && seen == law_event(seen.actor, seen.time_ns);
}

template<Observer O>
constexpr void record_law_events(O& observer, std::uint32_t actor, std::uint64_t events) noexcept {
    for (std::uint64_t n = 0; n < events; ++n) observer.record(law_event(actor, n));
}

/// Are all kept events of `actors` actors genuine, and each actor's in order, none twice?
template<EventReader R>
[[nodiscard]] constexpr law_report kept_events_are_genuine(R& read, std::uint64_t events) {
    law_check law{"a delivered event was recorded, unchanged, once, in its actor's order"};
    std::uint64_t next[2] = {0, 0};
    read([&](event const& seen) {
        if (!law.require(is_law_event(seen, 2, events), "an event nobody recorded, or a mixture")) {
            return;
        }
        law.require(seen.time_ns >= next[seen.actor], "an event came twice, or out of order");
        next[seen.actor] = seen.time_ns + 1;
    });
    return law.report();
}

}  // namespace detail

/// The laws of Observer for one caller. `fresh` has recorded nothing yet; `read` reads it back.
/// Leaves it used.
template<Observer O, EventReader R>
[[nodiscard]] constexpr law_report observer_laws(O& fresh, R read, std::uint64_t events = 16) {
    law_check nothing{"nothing is delivered before anything was recorded"};
    read([&](event const&) { nothing.require(false, "a fresh observer delivered an event"); });
    detail::record_law_events(fresh, 0, events);
    detail::record_law_events(fresh, 1, events);
    return first_broken(nothing.report(), detail::kept_events_are_genuine(read, events));
}

/// The laws for several callers at once. `run(a, b, c)` calls the three callables concurrently –
/// on threads, or under an explorer – and returns when all have ended: two record, one reads
/// meanwhile. Law: also then no delivered event is a mixture, and nobody waits for anybody (the
/// call comes to an end under every schedule).
template<Observer O, EventReader R, class Run>
[[nodiscard]] law_report observer_laws_concurrently(O& fresh, R read, Run run,
                                                    std::uint64_t events) {
    law_check meanwhile{"an event read while others record is genuine"};
    run([&] { detail::record_law_events(fresh, 0, events); },
        [&] { detail::record_law_events(fresh, 1, events); },
        [&] {
            read([&](event const& seen) {
                meanwhile.require(detail::is_law_event(seen, 2, events),
                                  "an event nobody recorded, or a mixture of two");
            });
        });
    return first_broken(meanwhile.report(), detail::kept_events_are_genuine(read, events));
}

}  // namespace mmhold
