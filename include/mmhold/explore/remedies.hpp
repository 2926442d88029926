// SPDX-License-Identifier: BSL-1.0
#pragma once

// remedies: what a finding needs to show itself, and what would make it go away.
//
// Three questions, each answered by searching again: is it there under sequential consistency? Is
// it there if the sites are as they are written? And if not a weak order but a missing one is to
// blame: which full fence after, or which stronger order of, one of the accesses of the failing
// execution ends it?

#include <mmhold/explore/exploration.hpp>
#include <mmhold/explore/plan.hpp>
#include <mmhold/explore/sites.hpp>
#include <mmhold/explore/story.hpp>
#include <mmhold/explore/workers.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// What a search with a budget came to.
struct quick_answer {
    bool found{false};
    bool exhausted{false};
    std::uint64_t executions{0};
};

/// Searches until something is found, everything is known or the budget is spent.
[[nodiscard]] inline quick_answer searched(scenario_functions const& f, plan p,
                                           std::vector<remedy> const& with, std::uint64_t budget) {
    p.search = search_kind::all;
    site_table sites{p.sites, site_collection::off};
    for (auto const& w : with) sites.treat(w);
    auto const x = std::make_unique<exploration>(p, f, sites);
    running_here const now{*x};
    quick_answer answer;
    for (bool more = true; more && answer.executions < budget;) {
        auto const how = x->run_one();
        ++answer.executions;
        answer.found = how == ending::found || how == ending::deadlock;
        if (answer.found) return answer;
        more = x->choices().next_execution();
        answer.exhausted = !more;
    }
    return answer;
}

/// A remedy that may be worth trying, and how to call it.
struct candidate_remedy {
    std::vector<remedy> what{};
    std::string words{};
};

[[nodiscard]] inline std::string access_in_words(story_line const& line) {
    static constexpr char const* kinds[] = {"access", "load", "store", "update"};
    auto text = std::string{"the "} + kinds[static_cast<std::size_t>(line.what)] + " at ";
    text += place_in_words(line.where);
    return line.site.empty() ? text : text + " [" + line.site + "]";
}

/// Two at a time, where one alone does not do: each side of a protocol may need its own.
inline void add_pairs(std::vector<candidate_remedy>& singles) {
    auto const count = singles.size();
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t k = i + 1; k < count; ++k) {
            candidate_remedy both = singles[i];
            both.what.push_back(singles[k].what.front());
            both.words += " and " + singles[k].words;
            singles.push_back(std::move(both));
        }
    }
}

/// The candidates of an execution: for buffers fences behind stores come first, for stale reads
/// orders.
[[nodiscard]] inline std::vector<candidate_remedy> candidates_of(story const& s,
                                                                 memory_model model) {
    using enum story_line::access;
    std::vector<story_line const*> places;
    for (auto const& line : s.lines()) {
        bool fresh = line.step >= 0 && line.what != none && line.where.line() != 0;
        for (auto const* seen : places) {
            fresh = fresh && (seen->where.line() != line.where.line() || seen->what != line.what);
        }
        if (fresh && places.size() < 16) places.push_back(&line);
    }
    std::vector<candidate_remedy> fences;
    std::vector<candidate_remedy> orders;
    for (auto const* p : places) {
        auto const at = [&](remedy::kind how, memory_order order) {
            return remedy{how, p->where.file_name(), p->where.line(), order};
        };
        if (p->what == store || (model == memory_model::stale && p->what == load)) {
            fences.push_back({{at(remedy::kind::fence_after, memory_order::seq_cst)},
                              "a full fence after " + access_in_words(*p)});
        }
        if (model != memory_model::stale) continue;
        auto const order = p->what == load    ? memory_order::acquire
                           : p->what == store ? memory_order::release
                                              : memory_order::acq_rel;
        static constexpr char const* names[] = {"", "acquire", "release", "acq_rel"};
        auto const name = std::string{names[static_cast<std::size_t>(p->what)]};
        orders.push_back({{at(remedy::kind::raise, order)}, name + " for " + access_in_words(*p)});
    }
    auto& first = model == memory_model::stale ? orders : fences;
    auto& second = model == memory_model::stale ? fences : orders;
    first.insert(first.end(), second.begin(), second.end());
    add_pairs(first);
    return std::move(first);
}

/// What the finding needs: lines for the report, empty if there is nothing to say. `at_execution`:
/// how soon it was found.
[[nodiscard]] inline std::string remark_on(scenario_functions const& f, plan p, story const& s,
                                           std::uint64_t at_execution) {
    constexpr std::uint64_t budget = 20'000;
    if (p.memory == memory_model::sc) return {};
    auto plain = p;
    plain.memory = memory_model::sc;
    auto const without_buffers = searched(f, plain, {}, 100'000);
    if (without_buffers.found) return {};
    std::string text = without_buffers.exhausted ? "  invisible under sequential consistency\n"
                                                 : "  not seen under sequential consistency\n";
    if (!p.sites.empty()) {
        plain = p;
        plain.sites.clear();
        auto const as_written = searched(f, plain, {}, budget);
        if (!as_written.found) text += "  goes away with the sites as they are written\n";
        return text;
    }
    std::uint64_t left = 8 * budget;
    int named = 0;
    for (auto const& c : candidates_of(s, p.memory)) {
        if (named != 0 && c.what.size() > 1) break;
        auto const cured = searched(f, p, c.what, budget);
        left -= cured.executions < left ? cured.executions : left;
        bool const worth = cured.exhausted || cured.executions > 10 * at_execution;
        if (!cured.found && worth) {
            text += (cured.exhausted ? "  goes away with " : "  not seen any more with ");
            text += c.words + "\n";
            if (++named == 3) break;
        }
        if (left == 0) break;
    }
    return text;
}

}  // namespace detail

}  // namespace mmhold
