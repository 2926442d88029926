// SPDX-License-Identifier: BSL-1.0
#pragma once

// Is the judge awake? Bugs are put into the model, one at a time; random scripts must find each,
// shrink it to a few steps, and the few steps, read back from their text, must still differ.

#include "../../../examples/linux_parity/model_side.hpp"
#include <string>

namespace oracle {

/// Prints what was found; 0 if all were.
int self_test(parity::surroundings where, std::string const& folder);

}  // namespace oracle
