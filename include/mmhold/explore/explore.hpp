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
#include <mmhold/explore/workers.hpp>

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
