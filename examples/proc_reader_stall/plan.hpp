// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "actors.hpp"
#include "maps_file.hpp"
#include "samples.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace stall {

/// What all rows have in common, and what follows from it.
struct plan {
    std::span<maps_region const> regions{};
    std::chrono::milliseconds delay{20};
    std::uint32_t callers{2};
    std::uint32_t rounds{2};

    [[nodiscard]] std::uint64_t calls() const { return std::uint64_t{callers} * rounds; }
    /// All callers together, at one time.
    [[nodiscard]] std::uint64_t pages() const { return callers * pages_per_call; }
    /// Fetched one after the other by the one pager.
    [[nodiscard]] std::uint64_t faults() const { return calls() * pages_per_call; }

    /// How long a row lasts whose pages come from the pager.
    [[nodiscard]] duration paging() const { return delay * static_cast<std::int64_t>(faults()); }
    /// Between two turns of the reader, and of the writer: short, but some 2000 turns are enough.
    [[nodiscard]] duration pause() const {
        return std::max<duration>(paging() / 2000, std::chrono::milliseconds{1});
    }
    /// How long a caller thinks between two calls: not at all where pages are slow to come.
    [[nodiscard]] duration rest(way const& how) const {
        auto const some = std::min(delay, std::chrono::milliseconds{20});
        return how.instant() ? some : duration{0};
    }
    /// How many turns reader and writer have at least. Where the callers are done at once, they go
    /// on alone; elsewhere that would dilute what they saw.
    [[nodiscard]] static std::uint64_t least_turns(way const& how) {
        return how.instant() ? instant_turns : 1;
    }
    /// Room for the log of one row, generously: per turn, per fault, per call, per mapping.
    [[nodiscard]] std::size_t events() const {
        auto const turns = static_cast<std::uint64_t>(paging() / pause()) + instant_turns;
        return 4 * 16 * turns + 2 * 16 * (faults() + calls()) + regions.size() + 4096;
    }
    [[nodiscard]] world_size size() const {
        return {regions.size(), 2 * pages() + 16, events(), callers};
    }

private:
    static constexpr std::uint64_t instant_turns = 100;
};

}  // namespace stall
