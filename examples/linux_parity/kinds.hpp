// SPDX-License-Identifier: BSL-1.0
#pragma once

// The rows of the grid: kinds of memory, one file for each area.

#include "model_side.hpp"
#include "step.hpp"
#include <string>
#include <vector>

namespace parity {

/// The odd page of most kinds.
inline constexpr std::uint64_t odd_page = 10;

/// A row: how the odd page comes about, or why the library has no such memory yet.
struct kind {
    std::string name;
    script prepare{};                                ///< after the neighbour is there
    std::uint64_t odd_first{arena_page(odd_page)};   ///< where, with the good page behind it
    std::uint64_t odd_second{arena_page(odd_page)};  ///< where, with the good page in front of it
    bool has_neighbours{true};                       ///< false: measured alone, at odd_first
    bool needs_swap{false};
    std::string not_modelled{};
    std::uint64_t most_bytes{2 * page_bytes};
    bool bytes_vary{false};  ///< what is read there is not the same twice
};

/// Every kind the grid knows, modelled or not.
std::vector<kind> all_kinds(surroundings const& where);

void add_core_kinds(std::vector<kind>& out, surroundings const& where);
void add_advice_kinds(std::vector<kind>& out);
void add_uffd_kinds(std::vector<kind>& out);
void add_large_kinds(std::vector<kind>& out);
void add_special_kinds(std::vector<kind>& out, surroundings const& where);

/// A step over the odd page; the first one maps it.
inline step on_odd(op what, unsigned prot = 3, memory of = memory::own) {
    return {what, of, prot, arena_page(odd_page), page_bytes};
}
inline step mapped(unsigned prot, memory of = memory::own) { return on_odd(op::map, prot, of); }
inline step protected_to(unsigned prot) { return on_odd(op::protect, prot); }

/// Adds rows.
class rows {
public:
    explicit rows(std::vector<kind>& out) : out_{out} {}
    void add(char const* name, script steps) {
        out_.push_back({.name = name, .prepare = std::move(steps)});
    }
    void add_address(char const* name, std::uint64_t at) {
        out_.push_back({.name = name, .odd_first = at, .has_neighbours = false});
    }
    void add_unmodelled(char const* name, char const* why) {
        out_.push_back({.name = name, .not_modelled = why});
    }

private:
    std::vector<kind>& out_;
};

}  // namespace parity
