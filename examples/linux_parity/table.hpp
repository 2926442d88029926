// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "grid.hpp"
#include <iosfwd>

namespace parity {

/// The grid as text: one line a kind, one column a caller; where the two differ the cell is
/// "kernel≠model" and a line below says in what.
void print_table(std::ostream& out, grid const& of);

}  // namespace parity
