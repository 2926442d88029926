// SPDX-License-Identifier: BSL-1.0
#pragma once

// explore<Scenario>(plan): searches the executions of a scenario and answers what came out.
//
// A scenario is a struct of about ten lines:
//
//     struct readers_and_writer {
//         static constexpr int actors = 3;                // run concurrently
//         rw_lock<model_machine> lock;                    // constructor = set-up
//         model_machine::plain<int> value{0};
//         void actor(int who) { ... }                     // what each does
//         void always() { ... }                           // optional: after every step
//         void finish() { ... }                           // optional: when all have ended
//     };
//     auto const v = explore<readers_and_writer>({.memory = memory_model::tso});
//     if (!v.complete()) print(v.first.story);
//
// Scenarios own memory only through model_machine::create: an execution that is given up is not
// unwound.

#include <mmhold/explore/exploration.hpp>
#include <mmhold/explore/model_machine.hpp>
#include <mmhold/explore/plan.hpp>
#include <mmhold/explore/report.hpp>
#include <mmhold/explore/workers.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace mmhold {

/// Something whose executions can be searched.
template<class S>
concept Scenario = std::default_initializable<S> && requires(S& scenario, int who) {
    { S::actors } -> std::convertible_to<int>;  // how many act concurrently, 1 to 8
    { scenario.actor(who) };                    // what number `who` does, from 0
};

namespace detail {

template<Scenario S>
[[nodiscard]] scenario_functions functions_of() noexcept {
    static_assert(S::actors >= 1 && S::actors <= static_cast<int>(max_actors),
                  "mmhold: a scenario has 1 to 8 actors");
    scenario_functions f;
    f.actors = S::actors;
    f.size = sizeof(S);
    f.alignment = alignof(S);
    f.construct = [](void* memory) { ::new (memory) S(); };
    f.act = [](void* scenario, int who) { static_cast<S*>(scenario)->actor(who); };
    f.destroy = [](void* scenario) { static_cast<S*>(scenario)->~S(); };
    if constexpr (requires(S& s) { s.always(); }) {
        f.always = [](void* scenario) { static_cast<S*>(scenario)->always(); };
    }
    if constexpr (requires(S& s) { s.blocked(); }) {
        f.blocked = [](void* scenario) { static_cast<S*>(scenario)->blocked(); };
    }
    if constexpr (requires(S& s) { s.finish(); }) {
        f.finish = [](void* scenario) { static_cast<S*>(scenario)->finish(); };
    }
    return f;
}

/// Runs one execution along a script. Answers its finding and leaves the choices it really made in
/// `script`.
[[nodiscard]] inline finding follow(scenario_functions const& f, plan p,
                                    std::vector<choice>& script, search::script_rule rule,
                                    story* listener) {
    p.search = search_kind::replay;
    p.on_finding = after_finding::stop;
    site_table sites{p.sites, site_collection::off};
    auto x = std::make_unique<exploration>(p, f, sites);
    x->choices().follow(script, rule);
    x->tell(listener);
    verdict const v = run_search(*x, p);
    script = x->choices().choices();
    return v.first;
}

/// Leaves out every step that the finding does not need.
[[nodiscard]] inline std::vector<choice> without_idle_steps(scenario_functions const& f,
                                                            plan const& p,
                                                            std::vector<choice> script,
                                                            finding_kind kind) {
    for (std::size_t i = script.size(); i-- > 0;) {
        if (i >= script.size()) continue;
        auto candidate = script;
        candidate.erase(candidate.begin() + static_cast<std::ptrdiff_t>(i));
        auto const again = follow(f, p, candidate, search::script_rule::lenient, nullptr);
        if (again.kind == kind && candidate.size() < script.size()) script = candidate;
    }
    return script;
}

/// Tries to run each actor on where the script changes to another one; keeps what still shows the
/// finding.
[[nodiscard]] inline std::vector<choice> shortened(scenario_functions const& f, plan const& p,
                                                   std::vector<choice> script, finding_kind kind) {
    auto const better = [](std::vector<choice> const& a, std::vector<choice> const& b) {
        return switches(a) < switches(b) || (switches(a) == switches(b) && a.size() < b.size());
    };
    script = without_idle_steps(f, p, std::move(script), kind);
    int attempts = 400;
    for (std::size_t i = 0; i + 1 < script.size() && attempts > 0; ++i) {
        if (script[i].who == script[i + 1].who) continue;
        for (std::size_t from = i + 2; from < script.size() && attempts > 0; ++from) {
            if (script[from].who != script[i].who) continue;
            auto candidate = script;  // move the next step of the same process up
            std::rotate(candidate.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                        candidate.begin() + static_cast<std::ptrdiff_t>(from),
                        candidate.begin() + static_cast<std::ptrdiff_t>(from) + 1);
            --attempts;
            auto const again = follow(f, p, candidate, search::script_rule::lenient, nullptr);
            if (again.kind == kind && better(candidate, script)) script = candidate;
            break;
        }
    }
    return script;
}

/// Does the finding need a store buffer or a stale load? Says so if sequential consistency does not
/// show it.
[[nodiscard]] inline std::string remark_on(scenario_functions const& f, plan p) {
    if (p.memory == memory_model::sc) return {};
    p.memory = memory_model::sc;
    p.search = search_kind::all;
    p.executions = 100'000;
    p.on_finding = after_finding::stop;
    site_table sites{p.sites, site_collection::off};
    auto x = std::make_unique<exploration>(p, f, sites);
    verdict const v = run_search(*x, p);
    if (v.found()) return {};
    return v.exhausted ? "invisible under sequential consistency"
                       : "not seen under sequential consistency";
}

/// Replays, shortens and tells the finding of `v`.
inline void tell_finding(scenario_functions const& f, plan const& p, verdict& v) {
    auto script = from_token(v.first.token);
    if (p.search != search_kind::replay) script = shortened(f, p, script, v.first.kind);
    story listener;
    auto again = follow(f, p, script, search::script_rule::lenient, &listener);
    if (again.kind != v.first.kind) {  // seen only over several executions (lock order)
        script = from_token(v.first.token);
        (void)follow(f, p, script, search::script_rule::lenient, &listener);
        again = v.first;
    }
    v.first.headline = again.headline;
    v.first.token = to_token(script);
    v.first.story = told(listener, v.first, p, f.actors, remark_on(f, p));
}

/// Without a template on the scenario, so that it is compiled once per program.
[[nodiscard]] inline verdict explore_functions(scenario_functions const& f, plan const& p,
                                               site_table& sites) {
    if (workers_of(p) > 1 && !sites.collects()) {
        verdict v = divided_search{f, p}.run();
        v.actors = f.actors;
        if (v.found() && p.story == story_kind::told) tell_finding(f, p, v);
        return v;
    }
    auto x = std::make_unique<exploration>(p, f, sites);
    if (p.search == search_kind::replay)
        x->choices().follow(from_token(p.replay), search::script_rule::strict);
    verdict v = run_search(*x, p);
    v.actors = f.actors;
    x.reset();
    if (v.found() && p.story == story_kind::told) tell_finding(f, p, v);
    return v;
}

}  // namespace detail

/// Searches the executions of S. The whole library's proof rests on verdict::complete() of its
/// scenarios.
template<Scenario S>
[[nodiscard]] verdict explore(plan const& p = {}) {
    detail::site_table sites{p.sites, site_collection::off};
    return detail::explore_functions(detail::functions_of<S>(), p, sites);
}

}  // namespace mmhold
