// SPDX-License-Identifier: BSL-1.0
#pragma once

// Observer: how a program watches the library at work.
//
// Everything that is worth a line in a log is an `event`: five numbers, no pointers, no text, no
// allocation. An observer takes events and must not get in the way: it never blocks, never fails,
// never calls back into the library. Who is not interested passes null_observer, and every notify()
// compiles to nothing – not even the clock is read.

#include <mmhold/machine/machine.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace mmhold {

/// What happened. The lines between the groups say what `subject` and `value` of such events mean.
///
/// A lock is taken in two events, lock_wait and lock_acquired, also where there was nothing to wait
/// for: the time between them is the wait, and every hold has one. A try that fails is no event.
enum class event_kind : std::uint8_t {
    // subject: the lock's number; value: lock_mode
    lock_wait,       ///< somebody asks for a lock …
    lock_acquired,   ///< … and has it
    lock_abandoned,  ///< … or stops asking: a signal
    lock_released,   ///< … and gives it back
    // subject: the address whose fault is handled
    lock_dropped,  ///< the fault handler gave the mm lock up
    lock_retaken,  ///< gup took it again, to try again
    // subject: the address; value: fault_flags bits (begin), the kind of outcome (end)
    fault_begin,  ///< a fault handler is entered …
    fault_end,    ///< … and left
    fault_retry,  ///< … with RETRY as its answer
    // subject: the first address; value: pages asked for (begin), to_linux() as bits (end)
    gup_begin,  ///< a gup call starts …
    gup_end,    ///< … and ends
    // neither
    section_enter,  ///< interrupts off (outermost section only) …
    section_leave,  ///< … and on again
    // subject: the object's key (pfn, …); value: how many are held back now
    retired,      ///< unlinked, waiting to be freed …
    freed,        ///< … and freed
    synchronize,  ///< somebody waits for every open section (no subject)
    // subject: the first address; value: pages
    mapped,    ///< pages became mapped
    unmapped,  ///< pages were unmapped
    // subject and value: the program's own business
    user_begin,  ///< the program's own work begins …
    user_end,    ///< … and ends
    user_mark,   ///< an instant the program wants to see
};

/// How many kinds there are: the size of a table indexed by event_kind.
inline constexpr std::size_t event_kinds = static_cast<std::size_t>(event_kind::user_mark) + 1;

/// The kind's name as in the source ("lock_wait").
[[nodiscard]] constexpr std::string_view event_name(event_kind kind) noexcept {
    constexpr std::string_view names[event_kinds] = {
        "lock_wait",     "lock_acquired", "lock_abandoned", "lock_released", "lock_dropped",
        "lock_retaken",  "fault_begin",   "fault_end",      "fault_retry",   "gup_begin",
        "gup_end",       "section_enter", "section_leave",  "retired",       "freed",
        "synchronize",   "mapped",        "unmapped",       "user_begin",    "user_end",
        "user_mark"};
    auto const index = static_cast<std::size_t>(kind);
    return index < event_kinds ? names[index] : std::string_view{"?"};
}

/// The actor of an event that was reported where no cpu is at hand (a lock does not know who takes
/// it). An observer that can tell replaces it: attributed.hpp.
inline constexpr std::uint32_t unattributed = ~std::uint32_t{0};

/// One thing that happened.
struct event {
    event_kind kind{event_kind::user_mark};
    std::uint32_t actor{unattributed};  ///< who: cpu::id(), or unattributed
    std::uint64_t time_ns{0};           ///< when: M::now(), nanoseconds that never run backwards
    std::uint64_t subject{0};           ///< what: see event_kind
    std::uint64_t value{0};             ///< how: see event_kind

    friend constexpr bool operator==(event const&, event const&) = default;
};

/// Says at compile time whether it listens: nobody pays for an observer that does not.
template<class O>
concept ListeningFlag = requires {
    { O::enabled } -> std::convertible_to<bool>;  // false: record() is never called, nor the clock
    typename std::bool_constant<O::enabled>;      // and it is known at compile time
};

/// Takes one event.
template<class O>
concept EventSink = requires(O& observer, event const& what) {
    { observer.record(what) } noexcept -> std::same_as<void>;  // from any CPU, also in a section
};

/// A listener. Laws (laws/observer.hpp): record() returns without waiting for anybody; it keeps or
/// drops an event, but never delivers one that was not recorded, and never a mixture of two.
template<class O>
concept Observer = ListeningFlag<O> && EventSink<O>;

/// Reports one event to `observer`, stamped with the machine's clock. With an observer that does
/// not listen this is nothing: the clock is not read.
template<Machine M, Observer O>
constexpr void notify(O& observer, event_kind kind, std::uint32_t actor, std::uint64_t subject = 0,
                      std::uint64_t value = 0) noexcept {
    if constexpr (O::enabled) {
        observer.record(event{kind, actor, M::now(), subject, value});
    } else {
        (void)observer, (void)kind, (void)actor, (void)subject, (void)value;
    }
}

}  // namespace mmhold
