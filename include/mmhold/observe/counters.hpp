// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/observe/observer.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// Counts events by kind and forgets the rest. Any number of CPUs may record at once; nobody waits.
template<Machine M = host_machine>
class counters {
public:
    static constexpr bool enabled = true;

    constexpr counters() noexcept = default;
    counters(counters const&) = delete;
    counters& operator=(counters const&) = delete;
    constexpr ~counters() = default;

    /// Adds one to the count of its kind. Relaxed: a count orders nothing.
    constexpr void record(event const& what) noexcept {
        auto const index = static_cast<std::size_t>(what.kind);
        if (index < event_kinds) (void)counts_[index].fetch_add(1, relaxed);
    }

    /// How many events of `kind` were recorded. While others record, a number that was true a
    /// moment ago; the counts of two kinds are not taken at one instant.
    [[nodiscard]] constexpr std::uint64_t count(event_kind kind) const noexcept {
        auto const index = static_cast<std::size_t>(kind);
        return index < event_kinds ? counts_[index].load(relaxed) : 0;
    }

    /// The sum over all kinds.
    [[nodiscard]] constexpr std::uint64_t total() const noexcept {
        std::uint64_t sum = 0;
        for (auto const& one : counts_) sum += one.load(relaxed);
        return sum;
    }

private:
    typename M::template atomic<std::uint64_t> counts_[event_kinds];
};

static_assert(Observer<counters<constexpr_machine>>);

}  // namespace mmhold
