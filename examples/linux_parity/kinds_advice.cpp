// SPDX-License-Identifier: BSL-1.0
#include "kinds.hpp"

namespace parity {

void add_advice_kinds(std::vector<kind>& out) {
    rows more{out};
    more.add("guard_marker", {mapped(3), on_odd(op::guard)});
    more.add("guard_marker_memfd", {mapped(3, memory::memfd), on_odd(op::guard)});
    more.add("droppable", {mapped(3, memory::droppable)});
    more.add("lazily_free", {mapped(3), on_odd(op::populate_write), on_odd(op::lazy_free)});
    more.add("removed_memfd", {mapped(3, memory::memfd), on_odd(op::remove)});
    out.push_back({.name = "swapped",
                   .prepare = {mapped(3), on_odd(op::store), on_odd(op::page_out)},
                   .needs_swap = true});
    // So many pages below a stack: the stack begins right behind the odd page, or far above.
    for (std::uint64_t const gap : {1U, 65U}) {
        auto const stack = step{op::map, memory::stack, 3, arena_page(odd_page + gap), page_bytes};
        out.push_back({.name = gap == 1 ? "stack_gap_1page" : "stack_gap_65pages",
                       .prepare = {stack},
                       .has_neighbours = false});
    }
}

}  // namespace parity
