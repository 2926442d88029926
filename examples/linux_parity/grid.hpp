// SPDX-License-Identifier: BSL-1.0
#pragma once

// The grid: kinds of memory × callers of gup, measured on the running kernel and on the model.
//
// A cell is a script: the kind's preparation, a good page beside the odd one, and one call over two
// pages – the odd one first, then the odd one second. Kinds that are an address (null, the kernel's
// half) have no neighbour and are measured once.

#include "kinds.hpp"
#include "linux_side.hpp"
#include "step.hpp"
#include <array>
#include <string>
#include <vector>

namespace parity {

/// A cell: what the kernel said and what the model said.
struct cell {
    enum class state { equal, different, not_measured };
    state is{state::not_measured};
    std::string linux_says{};  ///< symbols, see symbol_of()
    std::string model_says{};
    std::string detail{};  ///< why not measured, or what differs
};

/// The whole grid.
struct grid {
    offers machine{};
    std::vector<kind> kinds{};
    std::vector<std::array<cell, callers>> cells{};  ///< by kind

    /// How many cells are in this state.
    std::size_t count(cell::state which) const;
};

/// · success, p a part, F EFAULT, I EIO, N ENOMEM, V EINVAL, O EOVERFLOW, S1 S2 S4 SIGSEGV and B2
/// SIGBUS with the si_code, w in front: a userfault was waited for.
std::string symbol_of(answer const& one, std::uint64_t wanted);

/// Measures everything. `folder`: for the file of O_DIRECT.
grid measure(std::string const& folder);

}  // namespace parity
