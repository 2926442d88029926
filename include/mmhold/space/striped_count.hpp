// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/constexpr_machine.hpp>

#include <array>
#include <cstdint>

namespace mmhold {

/// A number that many cpus add to and few read: spread over cache lines, so that who adds at
/// different places does not wait for the same one. No memory order; the sum is a moment's, and
/// exact once nobody adds.
template<Machine M>
class striped_count {
public:
    /// Adds `n`; `place` chooses the line.
    constexpr void add(std::uint32_t place, std::uint32_t n) noexcept {
        (void)stripes_[place % stripes_.size()].part.fetch_add(n, relaxed);
    }
    /// All that was added so far.
    [[nodiscard]] constexpr std::uint64_t sum() const noexcept {
        std::uint64_t whole = 0;
        for (auto const& one : stripes_) whole += one.part.load(relaxed);
        return whole;
    }

private:
    struct alignas(64) stripe {
        typename M::template atomic<std::uint64_t> part{};
    };
    std::array<stripe, 16> stripes_{};
};

}  // namespace mmhold
