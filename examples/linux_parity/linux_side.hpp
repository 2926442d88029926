// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "linux_process.hpp"
#include "model_side.hpp"
#include "step.hpp"
#include <array>
#include <string>

namespace parity {

/// What this kernel offers. An empty reason: it can be measured.
struct offers {
    std::array<std::string, ops> without_op{};
    std::array<std::string, memories> without_memory{};
    surroundings where{};
    std::string release{};  ///< "Linux 6.18 x86_64"
};

/// Tries every system call once. `folder` is where a file for O_DIRECT is made (and removed).
offers probe_linux(std::string const& folder);

/// Runs `steps` in a child process by system calls: one answer for each. A child that dies or takes
/// longer than ten seconds leaves the rest of its answers as `ran == false`.
std::vector<answer> run_on_linux(script const& steps, std::string const& folder,
                                 fault_counts faults = fault_counts::ignored);

}  // namespace parity
