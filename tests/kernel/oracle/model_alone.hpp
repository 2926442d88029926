// SPDX-License-Identifier: BSL-1.0
#pragma once

// The random scripts and duets without a kernel beside them: for machines that offer nothing, and
// for sanitizers, which the kernel's side does not go with. Nobody judges the answers; what is
// wanted is that no rule of the library is broken (the model's machine checks them) and that every
// frame is free again in the end, whatever the arguments and however little memory there is: each
// script runs a second time where frames and page tables come to an end, and a third time with some
// of its numbers replaced by wild ones.

#include "generator.hpp"
#include "options.hpp"
#include <vector>

namespace oracle {

/// Prints the scripts that lose something; 0 if none does.
int run_model_alone(options const& chosen, menu const& from);
/// The same for duets.
int run_duets_alone(options const& chosen, std::vector<parity::op> const& calls);

}  // namespace oracle
