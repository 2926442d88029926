// SPDX-License-Identifier: BSL-1.0
#pragma once

// Random scripts, the same for the same seed on every machine.
//
// Most steps aim at a few pages, so that they meet: ranges begin anywhere in a page, cross from one
// mapping into the next, end in holes. One in twenty has arguments nobody should pass.

#include "../../../examples/linux_parity/step.hpp"
#include <array>
#include <cstdint>
#include <random>
#include <vector>

namespace oracle {

/// What scripts are made of.
struct menu {
    std::vector<parity::op> calls{};      ///< callers of gup
    std::vector<parity::op> changes{};    ///< map, unmap, protect, ...: what prepares the ground
    std::vector<parity::memory> kinds{};  ///< what `map` maps
};

/// Makes script after script.
class generator {
public:
    generator(std::uint64_t seed, menu from);

    /// The next script.
    parity::script next();

private:
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    parity::step mapping();
    parity::step change();
    parity::step call();
    void spoil(parity::step& one);
    std::uint64_t some_length();
    std::uint64_t some_page();
    void add_target(parity::step& one);
    bool goes_with_the_others(parity::memory of) const;
    bool goes_with_the_mappings(parity::op what) const;

    std::mt19937_64 random_;
    menu from_;
    bool large_{false};                         ///< does this script map large pages?
    std::array<bool, parity::memories> has_{};  ///< what it maps
};

}  // namespace oracle
