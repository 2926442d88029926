// SPDX-License-Identifier: BSL-1.0
#include "table.hpp"

#include <algorithm>
#include <map>
#include <ostream>

namespace parity {

namespace {

/// Columns on a screen: the bytes of a UTF-8 text that begin a character.
std::size_t width(std::string const& text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}
std::string padded(std::string text, std::size_t to) {
    text.append(to > width(text) ? to - width(text) : 0, ' ');
    return text;
}

std::string shown(cell const& one) {
    switch (one.is) {
        case cell::state::equal: return one.linux_says;
        case cell::state::different: return one.linux_says + "≠" + one.model_says;
        case cell::state::not_measured: return "-";
    }
    return "";
}

void print_rows(std::ostream& out, grid const& of) {
    std::array<std::size_t, callers> wide{};
    for (std::size_t i = 0; i < callers; ++i) {
        wide[i] = 2;
        for (auto const& row : of.cells) wide[i] = std::max(wide[i], width(shown(row[i])));
    }
    out << padded("kind of memory", 29);
    for (std::size_t i = 0; i < callers; ++i) {
        out << " " << padded(std::string{name_of(static_cast<op>(i))}, wide[i]);
    }
    out << "\n";
    for (std::size_t k = 0; k < of.kinds.size(); ++k) {
        if (!of.kinds[k].not_modelled.empty()) continue;
        out << padded(of.kinds[k].name, 29);
        for (std::size_t i = 0; i < callers; ++i)
            out << " " << padded(shown(of.cells[k][i]), wide[i]);
        out << "\n";
    }
}

void print_reasons(std::ostream& out, grid const& of) {
    for (std::size_t k = 0; k < of.kinds.size(); ++k) {
        for (std::size_t i = 0; i < callers; ++i) {
            if (of.cells[k][i].is != cell::state::different) continue;
            out << "different: " << of.kinds[k].name << ", " << name_of(static_cast<op>(i)) << ": "
                << of.cells[k][i].detail << "\n";
        }
    }
    for (std::size_t k = 0; k < of.kinds.size(); ++k) {
        auto const& one = of.cells[k].front();
        auto const kernels =
            one.is == cell::state::not_measured && of.kinds[k].not_modelled.empty();
        if (kernels) out << "not measured: " << of.kinds[k].name << " (" << one.detail << ")\n";
    }
    for (auto const& row : of.kinds) {
        if (!row.not_modelled.empty()) {
            out << "not modelled: " << row.name << " (" << row.not_modelled << ")\n";
        }
    }
    for (std::size_t i = 0; i < ops; ++i) {
        auto const& why = of.machine.without_op[i];
        if (!why.empty()) {
            out << "not offered by this kernel: " << name_of(static_cast<op>(i)) << " (" << why
                << ")\n";
        }
    }
    for (std::size_t i = 0; i < memories; ++i) {
        auto const& why = of.machine.without_memory[i];
        if (!why.empty() && can_be_mapped(static_cast<memory>(i))) {
            out << "not offered by this kernel: " << name_of(static_cast<memory>(i)) << " (" << why
                << ")\n";
        }
    }
}

}  // namespace

void print_table(std::ostream& out, grid const& of) {
    out << of.machine.release << " and the model, two pages, the odd one first and then second\n\n";
    print_rows(out, of);
    out << "\n";
    print_reasons(out, of);
    out << "cells: " << of.count(cell::state::equal) << " equal, "
        << of.count(cell::state::different) << " different, " << of.count(cell::state::not_measured)
        << " not measured\n";
}

}  // namespace parity
