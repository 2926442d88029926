// SPDX-License-Identifier: BSL-1.0
// The running kernel as the judge of the callers of gup: random scripts, step by step.
#include "comparison.hpp"
#include "deviations.hpp"
#include "duet.hpp"
#include "generator.hpp"
#include "model_alone.hpp"
#include "options.hpp"
#include "self_test.hpp"
#include <array>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

using namespace oracle;
using namespace parity;

namespace {

bool in_list(std::string const& list, std::string_view name) {
    if (list.empty()) return true;
    std::istringstream parts{list};
    for (std::string part; std::getline(parts, part, ',');) {
        if (part == name) return true;
    }
    return false;
}

/// May random scripts map it anywhere?
bool for_random_scripts(memory of) { return can_be_mapped(of) && !has_own_place(of); }

/// What is wanted and offered; says what is not offered, and why.
menu make_menu(options const& chosen, offers const& machine) {
    menu out;
    auto const missing = [](std::string_view name, std::string const& why) {
        std::cout << "not offered by this kernel: " << name << " (" << why << ")\n";
    };
    for (std::size_t i = 0; i < ops; ++i) {
        auto const what = static_cast<op>(i);
        auto const for_two = area_of(what) == area::told;
        if (for_two || !in_list(chosen.ops_wanted, name_of(what))) continue;
        if (!machine.without_op[i].empty()) {
            missing(name_of(what), machine.without_op[i]);
        } else {
            (what < op::map ? out.calls : out.changes).push_back(what);
        }
    }
    if (out.changes.empty()) out.changes.push_back(op::map);
    for (std::size_t i = 0; i < memories; ++i) {
        auto const what = static_cast<memory>(i);
        if (!for_random_scripts(what)) continue;
        if (!in_list(chosen.kinds_wanted, name_of(what))) continue;
        if (machine.without_memory[i].empty()) {
            out.kinds.push_back(what);
        } else {
            missing(name_of(what), machine.without_memory[i]);
        }
    }
    return out;
}

void print_lists() {
    for (std::size_t i = 0; i < ops; ++i) {
        std::cout << name_of(static_cast<op>(i)) << "\t" << meaning_of(static_cast<op>(i)) << "\n";
    }
    for (std::size_t i = 0; i < memories; ++i) std::cout << name_of(static_cast<memory>(i)) << "\n";
}

int replay(options const& chosen, surroundings const& where) {
    std::ifstream file{chosen.replay};
    script steps;
    std::size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        auto const begin = line.find_first_not_of(' ');
        if (begin == line.npos || line[begin] == '#') continue;
        step one;
        if (!from_text(line, one)) {
            std::cerr << chosen.replay << ":" << number << ": not a step: " << line << "\n";
            return 2;
        }
        steps.push_back(one);
    }
    if (steps.empty()) {
        std::cerr << chosen.replay << ": no steps\n";
        return 2;
    }
    auto const answers = run_both(steps, where, chosen.folder);
    std::cout << side_by_side(steps, answers);
    return compare(steps, answers) ? 1 : 0;
}

/// Why a known difference cannot be looked at here; empty: it can.
std::string unmeasurable(deviation const& known, offers const& machine) {
    for (auto const& line : known.lines) {
        step one;
        if (!from_text(line, one)) continue;
        auto const& why = one.what == op::map
                              ? machine.without_memory[static_cast<std::size_t>(one.of)]
                              : machine.without_op[static_cast<std::size_t>(one.what)];
        if (!why.empty()) return why;
    }
    return "";
}

int check_deviations(options const& chosen, offers const& machine) {
    int wrong = 0;
    for (auto const& known : known_deviations()) {
        if (auto const why = unmeasurable(known, machine); !why.empty()) {
            std::cout << "not offered by this kernel: " << known.name << " (" << why << ")\n";
            continue;
        }
        auto const problem = still_deviates(known, machine.where, chosen.folder);
        std::cout << (problem.empty() ? "still deviates: " : "NOT AS RECORDED: ") << known.name
                  << (problem.empty() ? "" : ": " + problem) << "\n";
        wrong += problem.empty() ? 0 : 1;
    }
    if (known_deviations().empty()) std::cout << "no deviation is known\n";
    std::cout << known_deviations().size() << " known deviations, " << wrong
              << " not as recorded\n";
    return wrong == 0 ? 0 : 1;
}

struct tally {
    std::uint64_t scripts = 0;
    std::uint64_t steps = 0;
    std::uint64_t unsteady = 0;  ///< differed the first time only
    std::vector<std::string> found{};
};

void write_json(std::string const& to, options const& chosen, tally const& sum) {
    std::ofstream file{to};
    file << "{\"seed\":" << chosen.seed << ",\"scripts\":" << sum.scripts
         << ",\"steps\":" << sum.steps << ",\"differ\":[";
    for (std::size_t i = 0; i < sum.found.size(); ++i) {
        file << (i == 0 ? "\"" : ",\"");
        for (char const letter : sum.found[i]) {
            if (letter == '\n')
                file << "\\n";
            else if (letter == '"' || letter == '\\')
                file << '\\' << letter;
            else
                file << letter;
        }
        file << "\"";
    }
    file << "]}\n";
    if (!file.flush()) std::cerr << to << ": cannot be written\n";
}

int judge(options const& chosen, offers const& machine) {
    auto const from = make_menu(chosen, machine);
    if (from.calls.empty() || from.kinds.empty()) {
        std::cout << "SKIPPED: nothing that is wanted is offered\n";
        return 0;
    }
    generator make{chosen.seed, from};
    tally sum;
    constexpr std::size_t enough = 5;
    auto const more = [&] {
        return chosen.steps != 0 ? sum.steps < chosen.steps : sum.scripts < chosen.scripts;
    };
    while (more() && sum.found.size() < enough) {
        auto const steps = make.next();
        auto answers = run_both(steps, machine.where, chosen.folder);
        ++sum.scripts;
        auto different = compare(steps, answers);
        // The kernel has daemons of its own, and pins are let go when it finds the time: what
        // differs is asked for again. What differs every time does differ.
        for (int again = 0; again < 2 && different; ++again) {
            answers = run_both(steps, machine.where, chosen.folder);
            auto const once_more = compare(steps, answers);
            if (!once_more) {
                ++sum.unsteady;
                std::cout << "script " << sum.scripts << " of seed " << chosen.seed
                          << " differed once: step " << different->step + 1 << ", "
                          << to_text(steps[different->step]) << ": " << different->what << "\n";
            }
            different = once_more;
        }
        sum.steps += different ? different->step + 1 : steps.size();
        if (!different) continue;
        std::cout << "script " << sum.scripts << " of seed " << chosen.seed << " differs at\n"
                  << side_by_side(
                         {steps.begin() + static_cast<std::ptrdiff_t>(different->step),
                          steps.begin() + static_cast<std::ptrdiff_t>(different->step) + 1},
                         {{answers.linux_says[different->step]},
                          {answers.model_says[different->step]}});
        auto const shortest = shrink(steps, machine.where, chosen.folder, 250);
        auto text = side_by_side(shortest, run_both(shortest, machine.where, chosen.folder));
        std::cout << "script " << sum.scripts << " of seed " << chosen.seed
                  << " differs; shortest:\n"
                  << text << std::flush;
        sum.found.push_back(std::move(text));
    }
    std::cout << "seed " << chosen.seed << ": " << sum.scripts << " scripts, " << sum.steps
              << " steps compared, " << sum.unsteady << " unsteady, " << sum.found.size()
              << " scripts differ\n";
    if (!chosen.json.empty()) write_json(chosen.json, chosen, sum);
    return sum.found.empty() ? 0 : 1;
}

/// Callers that a userfaultfd can stop half-way and that the kernel offers.
std::vector<op> stoppable_calls(options const& chosen, offers const& machine) {
    constexpr std::array candidates{
        op::load,         op::vm_read,  op::vm_write,      op::splice,         op::direct_read,
        op::direct_write, op::uring,    op::populate_read, op::populate_write, op::copy_to,
        op::copy_from,    op::mem_read, op::wake,          op::policy};
    std::vector<op> out;
    for (auto const what : candidates) {
        auto const offered = machine.without_op[static_cast<std::size_t>(what)].empty();
        if (offered && in_list(chosen.ops_wanted, name_of(what))) out.push_back(what);
    }
    return out;
}

int judge_duets(options const& chosen, offers const& machine) {
    auto const calls = stoppable_calls(chosen, machine);
    auto const& none = machine.without_memory[static_cast<std::size_t>(memory::faults)];
    if (calls.empty() || !none.empty()) {
        std::cout << "SKIPPED: no caller that could be stopped, or no userfaultfd: " << none
                  << "\n";
        return 0;
    }
    auto scripts = named_duets(calls);
    for (auto& one : told_duets()) scripts.push_back(std::move(one));
    auto const named = scripts.size();
    duet_generator make{chosen.seed, calls};
    for (std::uint64_t i = 0; i < chosen.scripts; ++i) scripts.push_back(make.next());
    std::uint64_t differ = 0;
    std::uint64_t acts = 0;
    for (auto const& one : scripts) {
        auto const linux_says = duet_on_linux(one, chosen.folder);
        auto const model_says = duet_on_model(one, machine.where);
        acts += one.acts.size() + 1;
        auto const what = difference(one, linux_says, model_says);
        if (what.empty()) continue;
        std::cout << "DIFFERENT: " << one.name << ": " << what << "\n"
                  << side_by_side(one, linux_says, model_says) << std::flush;
        if (++differ == 5) break;
    }
    std::cout << "seed " << chosen.seed << ": " << named << " named duets and " << chosen.scripts
              << " random ones, " << acts << " acts compared, " << differ << " duets differ\n";
    return differ == 0 ? 0 : 1;
}

/// Which profile of the library the kernel is compared with.
std::string profile_note(std::string const& release) {
    auto const known = release.find(" 6.18.") != release.npos;
    return known ? "compared with the profile linux_6_18"
                 : "no profile for this kernel: compared with linux_6_18";
}

}  // namespace

int main(int count, char** words) {
    options chosen;
    if (!read_options(count, words, chosen)) {
        std::cerr << usage();
        return 2;
    }
    if (chosen.wanted == options::mode::list) return print_lists(), 0;
    if (chosen.model_alone) {
        offers const all{};
        if (chosen.wanted != options::mode::duets) {
            return run_model_alone(chosen, make_menu(chosen, all));
        }
        return run_duets_alone(chosen, stoppable_calls(chosen, all));
    }
    auto machine = probe_linux(chosen.folder);
    machine.where.counts_pins = chosen.pins;
    std::cout << machine.release << ", " << profile_note(machine.release) << "\n";
    switch (chosen.wanted) {
        case options::mode::replay: return replay(chosen, machine.where);
        case options::mode::deviations: return check_deviations(chosen, machine);
        case options::mode::self_test: return self_test(machine.where, chosen.folder);
        case options::mode::duets: return judge_duets(chosen, machine);
        default: return judge(chosen, machine);
    }
}
