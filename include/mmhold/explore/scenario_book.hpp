// SPDX-License-Identifier: BSL-1.0
#pragma once

// scenario_book: scenarios and their mutants by name, and the question which of them needs which
// site.

#include <mmhold/explore/explore.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

/// How far a scenario can be searched.
enum class reach : std::uint8_t {
    complete,  ///< exhaustively in all three models
    tso_only,  ///< exhaustively under sc and tso; stale reads are sampled
    sampled,   ///< too large: random and PCT
};

/// A scenario, or a mutant of one: the same with a defence taken away, which must be found.
struct scenario_entry {
    std::string name;
    std::string about;
    std::string mutant_of;  ///< empty: must be free of findings
    reach how_far{reach::complete};
    detail::scenario_functions functions{};

    [[nodiscard]] bool is_mutant() const noexcept { return !mutant_of.empty(); }
};

/// A race that a table of races asks about (gup-semantics §6.2), and which scenarios show it.
struct known_race {
    int number{0};
    std::string about;                   ///< the race and the line of defence
    std::vector<std::string> scenarios;  ///< by name; each with a mutant that lacks the defence
};

/// A site that no scenario can need, and why it stays all the same.
struct excused_site {
    std::string name;
    weakening how{weakening::off};
    std::string reason;  ///< one sentence
};

/// A named list of scenarios.
class scenario_book {
public:
    /// A scenario that must be free of findings.
    template<Scenario S>
    void add(std::string name, std::string about, reach how_far = reach::complete) {
        entries_.push_back(
            {std::move(name), std::move(about), {}, how_far, detail::functions_of<S>()});
    }
    /// The same with a defence removed. `name` says which.
    template<Scenario S>
    void add_mutant(std::string of, std::string name, std::string about,
                    reach how_far = reach::complete) {
        entries_.push_back(
            {std::move(name), std::move(about), std::move(of), how_far, detail::functions_of<S>()});
    }
    /// Race `number` is shown by these scenarios.
    void add_race(int number, std::string about, std::vector<std::string> scenarios) {
        races_.push_back({number, std::move(about), std::move(scenarios)});
    }
    /// Weakening this site breaks nothing, for a reason.
    void excuse(std::string name, weakening how, std::string reason) {
        excused_.push_back({std::move(name), how, std::move(reason)});
    }
    [[nodiscard]] std::vector<scenario_entry> const& entries() const noexcept { return entries_; }
    [[nodiscard]] std::vector<known_race> const& races() const noexcept { return races_; }
    /// Why this site stays although nobody needs it; empty: no reason is known.
    [[nodiscard]] std::string_view excuse_of(std::string_view name, weakening how) const noexcept {
        for (auto const& e : excused_) {
            if (e.name == name && e.how == how) return e.reason;
        }
        return {};
    }
    /// The names of the mutants of a scenario.
    [[nodiscard]] std::vector<std::string> mutants_of(std::string_view name) const {
        std::vector<std::string> names;
        for (auto const& e : entries_) {
            if (e.mutant_of == name) names.push_back(e.name);
        }
        return names;
    }
    /// The scenario of that name – with `mutant`, that mutant of it; nullptr: unknown.
    [[nodiscard]] scenario_entry const* find(std::string_view name,
                                             std::string_view mutant = {}) const noexcept {
        for (auto const& e : entries_) {
            if (mutant.empty() ? e.name == name && !e.is_mutant()
                               : e.mutant_of == name && e.name == mutant)
                return &e;
        }
        return nullptr;
    }

private:
    std::vector<scenario_entry> entries_{};
    std::vector<known_race> races_{};
    std::vector<excused_site> excused_{};
};

/// Searches one entry.
[[nodiscard]] inline verdict explore(scenario_entry const& entry, plan const& p) {
    detail::site_table sites{p.sites, site_collection::off};
    return detail::explore_functions(entry.functions, p, sites);
}

/// The sites that an entry passes.
[[nodiscard]] inline std::vector<known_site> sites_of(scenario_entry const& entry, plan p) {
    p.search = search_kind::random;
    p.executions = 300;
    p.story = story_kind::omitted;
    p.on_finding = after_finding::go_on;
    detail::site_table sites{{}, site_collection::on};
    (void)detail::explore_functions(entry.functions, p, sites);
    // What a lot rarely falls on: a whole search turns there soon.
    p.search = search_kind::all;
    (void)detail::explore_functions(entry.functions, p, sites);
    return sites.seen();
}

/// What one weakening of one site leads to.
struct site_need {
    known_site where;
    weakening how{weakening::off};
    std::string scenario;  ///< the first that breaks; empty: nobody needs it
    memory_model model{memory_model::tso};
    finding_kind finding{finding_kind::none};
    std::uint64_t executions{0};  ///< until it broke
};

namespace detail {

/// The weakenings that change something at a site.
[[nodiscard]] inline std::vector<weakening> weakenings_of(known_site const& s) {
    std::vector<weakening> all{weakening::off};
    bool const fence = s.kind >= site_kind::light_fence;
    bool const both = acquires(s.order) && releases(s.order) && s.kind != site_kind::load &&
                      s.kind != site_kind::store;
    if (both && !fence) {
        all.push_back(weakening::to_acquire);
        all.push_back(weakening::to_release);
    }
    if (s.order == memory_order::seq_cst && !fence) all.push_back(weakening::to_acq_rel);
    return all;
}

[[nodiscard]] inline plan weakened_plan(site_need const& need, memory_model model,
                                        std::uint64_t executions) {
    plan p;
    p.memory = model;
    p.sites = {{need.where.name, need.how}};
    p.story = story_kind::omitted;
    p.executions = executions;
    return p;
}

}  // namespace detail

namespace detail {

/// Fills `need` in if one of the scenarios breaks within `executions`.
inline void look_for_need(site_need& need, std::vector<scenario_entry const*> const& scenarios,
                          std::uint64_t executions) {
    for (auto const model : {memory_model::tso, memory_model::stale}) {
        for (auto const* e : scenarios) {
            verdict const v = explore(*e, weakened_plan(need, model, executions));
            if (!v.found()) continue;
            need.scenario = e->name;
            need.model = model;
            need.finding = v.first.kind;
            need.executions = v.first.at_execution;
            return;
        }
    }
}

}  // namespace detail

/// Switches each site off (and weakens it) in every scenario that passes it, under tso and stale
/// reads, and answers who breaks first. `executions`: budget of one search; before it is spent on
/// the large scenarios, each has a short try.
[[nodiscard]] inline std::vector<site_need> necessity(scenario_book const& book,
                                                      std::uint64_t executions = 100'000) {
    struct passed {
        known_site site;
        std::vector<scenario_entry const*> by;
    };
    std::vector<passed> sites;
    for (auto const& e : book.entries()) {
        if (e.is_mutant()) continue;
        for (auto const& s : sites_of(e, {})) {
            auto at = sites.begin();
            while (at != sites.end() && at->site.name != s.name) ++at;
            if (at == sites.end()) at = sites.insert(at, passed{s, {}});
            at->by.push_back(&e);
        }
    }
    std::vector<site_need> table;
    for (auto const& s : sites) {
        for (auto const how : detail::weakenings_of(s.site)) {
            site_need need{s.site, how, {}, memory_model::tso, finding_kind::none, 0};
            for (auto const budget : {std::min<std::uint64_t>(300, executions), executions}) {
                if (need.scenario.empty()) detail::look_for_need(need, s.by, budget);
            }
            table.push_back(std::move(need));
        }
    }
    return table;
}

}  // namespace mmhold
