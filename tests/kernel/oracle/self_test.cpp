// SPDX-License-Identifier: BSL-1.0
#include "self_test.hpp"

#include "comparison.hpp"
#include "generator.hpp"
#include <array>
#include <iostream>
#include <string_view>

namespace oracle {

using namespace parity;

namespace {

struct plant {
    planted_bug bug;
    std::string_view name;
    std::size_t most_steps;  ///< of the shortest script that shows it
};
constexpr std::array plants{
    plant{planted_bug::short_discard, "MADV_DONTNEED forgets a page", 3},
    plant{planted_bug::short_read, "process_vm_readv stops early", 3},
    plant{planted_bug::weak_populate, "MADV_POPULATE_WRITE only reads", 3},
    plant{planted_bug::lost_frame, "munmap loses a frame", 1},
};

/// The script as --replay would read it.
script read_back(script const& steps) {
    script out;
    for (auto const& one : steps) {
        step again;
        if (from_text(to_text(one), again)) out.push_back(again);
    }
    return out;
}

std::string try_plant(plant const& one, surroundings const& where, std::string const& folder) {
    generator make{11,
                   {{op::load, op::store, op::vm_read, op::populate_write, op::mem_write},
                    {op::map, op::discard, op::unmap, op::protect},
                    {memory::own, memory::shared}}};
    for (int scripts = 1; scripts <= 200; ++scripts) {
        auto const steps = make.next();
        if (!compare(steps, run_both(steps, where, folder))) continue;
        auto const shortest = shrink(steps, where, folder, 250);
        std::cout << "found after " << scripts << " scripts: " << one.name << "\n"
                  << side_by_side(shortest, run_both(shortest, where, folder));
        if (shortest.size() > one.most_steps) return "was not shrunk far enough";
        auto const again = read_back(shortest);
        if (again != shortest) return "its text does not say what it is";
        return compare(again, run_both(again, where, folder)) ? "" : "is not found again";
    }
    return "was not found";
}

}  // namespace

int self_test(surroundings where, std::string const& folder) {
    int wrong = 0;
    for (auto const& one : plants) {
        where.bug = one.bug;
        auto const problem = try_plant(one, where, folder);
        if (problem.empty()) continue;
        std::cout << "NOT NOTICED: " << one.name << " " << problem << "\n";
        ++wrong;
    }
    std::cout << plants.size() << " planted bugs, " << wrong << " not noticed\n";
    return wrong == 0 ? 0 : 1;
}

}  // namespace oracle
