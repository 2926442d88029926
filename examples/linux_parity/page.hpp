// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "grid.hpp"
#include <iosfwd>

namespace parity {

/// The grid as one HTML file that needs nothing else, for light and dark screens.
void write_page(std::ostream& out, grid const& of);

}  // namespace parity
