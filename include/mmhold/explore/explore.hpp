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
#include <mmhold/explore/telling.hpp>

#include <chrono>
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
    {scenario.actor(who)};                      // what number `who` does, from 0
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
    if constexpr (requires(S & s) { s.always(); }) {
        f.always = [](void* scenario) { static_cast<S*>(scenario)->always(); };
    }
    if constexpr (requires(S & s) { s.blocked(); }) {
        f.blocked = [](void* scenario) { static_cast<S*>(scenario)->blocked(); };
    }
    if constexpr (requires(S & s) { s.finish(); }) {
        f.finish = [](void* scenario) { static_cast<S*>(scenario)->finish(); };
    }
    return f;
}

/// Runs executions until the search is exhausted, a budget is spent or something is found.
[[nodiscard]] inline verdict run_search(exploration& x, plan const& p) {
    verdict v;
    exploration* const outer = std::exchange(running, &x);
    auto const begin = std::chrono::steady_clock::now();
    auto const elapsed = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    for (bool more = true; more;) {
        auto const how = x.run_one();
        v.events += static_cast<std::uint64_t>(x.depth());
        if (how == ending::redundant) {
            ++v.redundant;
        } else {
            ++v.executions;
        }
        v.cut = v.cut || how == ending::cut;
        v.deadlocks += how == ending::deadlock;
        bool const bad = how == ending::found || how == ending::deadlock;
        if (bad && !v.found()) {
            v.first = x.found();
            v.first.at_execution = v.executions;
            v.first.token = token_of(x);
        }
        if (bad && p.on_finding == after_finding::stop) break;
        more = x.choices().next_execution();
        v.exhausted = !more;
        if (v.executions + v.redundant >= p.executions) break;
        if (p.seconds > 0 && (v.executions & 255U) == 0 && elapsed() > p.seconds) break;
    }
    v.longest = x.choices().longest();
    v.seconds = elapsed();
    running = outer;
    return v;
}

/// Without a template on the scenario, so that it is compiled once per program.
[[nodiscard]] inline verdict explore_functions(scenario_functions const& f, plan const& p,
                                               site_table& sites) {
    auto x = std::make_unique<exploration>(p, f, sites);
    verdict v;
    if (p.search == search_kind::replay) {
        for (auto const& part : token_parts(p.replay)) {
            x->choices().follow(part, search::script_rule::strict);
            v = run_search(*x, p);
            if (v.found()) break;
        }
    } else {
        v = run_search(*x, p);
    }
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
