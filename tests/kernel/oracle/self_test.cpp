// SPDX-License-Identifier: BSL-1.0
#include "self_test.hpp"

#include "comparison.hpp"
#include "deviations.hpp"
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

/// The table of known deviations may be empty: does one that there is, by a planted bug, still
/// deviate, and is it noticed when there is none any more, or another?
std::string try_table(surroundings where, std::string const& folder) {
    deviation known{.name = "MADV_DONTNEED forgets a page",
                    .lines = {"map of=own prot=rw at=0 bytes=8192", "tw at=0 bytes=8192",
                              "discard at=0 bytes=8192"},
                    .linux_says = "0",
                    .model_says = "0",
                    .differs_in = "presence, memory"};
    where.bug = planted_bug::short_discard;
    if (auto const why = still_deviates(known, where, folder); !why.empty()) return why;
    auto wrong = known;
    wrong.linux_says = "EFAULT";
    if (still_deviates(wrong, where, folder).empty()) return "what Linux says is not looked at";
    wrong = known;
    wrong.model_says = "EFAULT";
    if (still_deviates(wrong, where, folder).empty()) return "what the model says is not looked at";
    wrong = known;
    wrong.differs_in = "result";
    if (still_deviates(wrong, where, folder).empty()) return "where they differ is not looked at";
    wrong = known;
    wrong.lines.back() = "nonsense";
    if (still_deviates(wrong, where, folder).empty())
        return "a line that is no step is not noticed";
    where.bug = planted_bug::none;
    if (still_deviates(known, where, folder).empty()) return "does not deviate any more";
    known.everywhere = false;
    return still_deviates(known, where, folder);
}

}  // namespace

int self_test(surroundings where, std::string const& folder) {
    int wrong = 0;
    if (auto const problem = try_table(where, folder); !problem.empty()) {
        std::cout << "NOT NOTICED: a deviation of the table " << problem << "\n";
        ++wrong;
    }
    for (auto const& one : plants) {
        where.bug = one.bug;
        auto const problem = try_plant(one, where, folder);
        if (problem.empty()) continue;
        std::cout << "NOT NOTICED: " << one.name << " " << problem << "\n";
        ++wrong;
    }
    std::cout << plants.size() << " planted bugs and a table, " << wrong << " not noticed\n";
    return wrong == 0 ? 0 : 1;
}

}  // namespace oracle
