// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "../../../examples/linux_parity/linux_side.hpp"
#include "../../../examples/linux_parity/step.hpp"
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace oracle {

/// Both answers to one script.
struct both_answers {
    std::vector<parity::answer> linux_says{};
    std::vector<parity::answer> model_says{};
};

/// The first step whose answers differ, and in what.
struct mismatch {
    std::size_t step{0};
    std::string what{};
};

/// What differs between the answers to one step; empty: nothing that is the same every time.
///
/// Minor faults are compared where one thread alone decides them: not for ptrace, where they are
/// the tracer's, and not for steps in which a pager took part.
std::string difference(parity::step const& one, parity::answer const& linux_says,
                       parity::answer const& model_says);

/// Runs `steps` on both.
both_answers run_both(parity::script const& steps, parity::surroundings const& where,
                      std::string const& folder);
/// The first difference, if there is one.
std::optional<mismatch> compare(parity::script const& steps, both_answers const& answers);

/// The script as text that --replay reads, each step with both answers behind it.
std::string side_by_side(parity::script const& steps, both_answers const& answers);

/// The shortest script found, in at most `tries` runs, that still differs.
parity::script shrink(parity::script steps, parity::surroundings const& where,
                      std::string const& folder, int tries);

}  // namespace oracle
