// SPDX-License-Identifier: BSL-1.0
#include "grid.hpp"

#include "kinds.hpp"
#include <algorithm>
#include <cerrno>

namespace parity {

namespace {

/// One-word callers and those that look at one page only are not measured with the odd page second.
bool looks_at_one_page(op what) {
    switch (what) {
        case op::peek:
        case op::poke:
        case op::wake:
        case op::wake_op:
        case op::wake_private:
        case op::policy: return true;
        default: return false;
    }
}

std::uint64_t length_for(kind const& row, op what) {
    if (what == op::peek || what == op::poke) return 8;
    return looks_at_one_page(what) ? 4 : row.most_bytes;
}

/// What the two answers of one script differ in; empty if in nothing that both can tell.
std::string difference(kind const& row, answer const& linux_says, answer model_says) {
    if (!linux_says.ran) return "the kernel's process did not finish";
    if (row.bytes_vary) model_says.bytes = linux_says.bytes;
    return difference(linux_says, model_says);
}

/// In front of the odd page or behind it lies a good one, if the kind has neighbours.
script script_of(kind const& row, op what, bool odd_first) {
    script steps;
    auto const odd = odd_first ? row.odd_first : row.odd_second;
    auto const good = odd_first ? odd + page_bytes : odd - page_bytes;
    if (row.has_neighbours) {
        steps.push_back({op::map, memory::own, 3, good, page_bytes});
        steps.push_back({op::store, memory::own, 3, good, page_bytes});
    }
    steps.insert(steps.end(), row.prepare.begin(), row.prepare.end());
    steps.push_back({what, memory::own, 3, odd_first ? odd : good, length_for(row, what)});
    return steps;
}

/// Both answers to a cell's script. The kernel has daemons of its own (khugepaged collapses what it
/// finds), and other processes borrow from the same pools: an answer that differs is asked for
/// again, and what differs every time does differ.
struct both_answers {
    answer linux_says;
    answer model_says;
    std::string differs;
};
both_answers ask_both(grid const& in, kind const& row, script const& steps,
                      std::string const& folder) {
    both_answers out;
    for (int tries = 0; tries < 3; ++tries) {
        out.linux_says = run_on_linux(steps, folder).back();
        out.model_says = run_on_model(steps, in.machine.where).back();
        out.differs = difference(row, out.linux_says, out.model_says);
        if (out.differs.empty()) break;
    }
    return out;
}

void measure_order(grid const& in, kind const& row, op what, bool odd_first,
                   std::string const& folder, cell& out) {
    auto const got = ask_both(in, row, script_of(row, what, odd_first), folder);
    auto const wanted = length_for(row, what);
    auto const seen = symbol_of(got.linux_says, wanted);
    auto const ours = symbol_of(got.model_says, wanted);
    if (odd_first || seen != out.linux_says || ours != out.model_says) {
        out.linux_says += seen;
        out.model_says += ours;
    }
    if (got.differs.empty()) return;
    out.is = cell::state::different;
    out.detail += (out.detail.empty() ? "" : "; ") +
                  std::string{odd_first ? "odd first: " : "odd second: "} + got.differs;
}

std::string missing(grid const& in, kind const& row, op what) {
    if (!row.not_modelled.empty()) return "not modelled: " + row.not_modelled;
    if (row.needs_swap && !in.machine.where.has_swap) return "the kernel has nowhere to swap to";
    for (auto const& one : row.prepare) {
        auto const& why = one.what == op::map
                              ? in.machine.without_memory[static_cast<std::size_t>(one.of)]
                              : in.machine.without_op[static_cast<std::size_t>(one.what)];
        if (!why.empty()) return "the kernel has none: " + why;
    }
    auto const& why = in.machine.without_op[static_cast<std::size_t>(what)];
    return why.empty() ? "" : "the kernel does not offer it: " + why;
}

cell measure_cell(grid const& in, kind const& row, op what, std::string const& folder) {
    cell out;
    out.detail = missing(in, row, what);
    if (!out.detail.empty()) return out;
    out.is = cell::state::equal;
    measure_order(in, row, what, true, folder, out);
    if (row.has_neighbours && !looks_at_one_page(what)) {
        measure_order(in, row, what, false, folder, out);
    }
    return out;
}

}  // namespace

std::size_t grid::count(cell::state which) const {
    std::size_t sum = 0;
    for (auto const& row : cells) {
        sum += static_cast<std::size_t>(
            std::ranges::count_if(row, [&](cell const& one) { return one.is == which; }));
    }
    return sum;
}

std::string symbol_of(answer const& one, std::uint64_t wanted) {
    if (!one.ran) return "?";
    std::string const waited = one.events != 0 ? "w" : "";
    if (one.signal != 0) return waited + (one.signal == 7 ? "B" : "S") + std::to_string(one.code);
    if (one.value > 0 && static_cast<std::uint64_t>(one.value) < wanted) return waited + "p";
    if (one.value >= 0) return waited + "·";
    switch (-one.value) {
        case EFAULT: return waited + "F";
        case EHWPOISON: return waited + "H";
        case EIO: return waited + "I";
        case ENOMEM: return waited + "N";
        case EINVAL: return waited + "V";
        case EOVERFLOW: return waited + "O";
        default: return waited + "e" + std::to_string(-one.value);
    }
}

grid measure(std::string const& folder) {
    grid out;
    out.machine = probe_linux(folder);
    out.kinds = all_kinds(out.machine.where);
    for (auto const& row : out.kinds) {
        auto& line = out.cells.emplace_back();
        for (std::size_t i = 0; i < callers; ++i) {
            line[i] = measure_cell(out, row, static_cast<op>(i), folder);
        }
    }
    return out;
}

}  // namespace parity
