// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

void add_advice_kinds(std::vector<kind>& out) {
    rows more{out};
    more.add_unmodelled("guard_marker", "no markers");
    more.add_unmodelled("stack_gap", "stacks do not grow");
    more.add_unmodelled("droppable", "no such mappings");
}

}  // namespace parity
