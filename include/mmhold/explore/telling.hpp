// SPDX-License-Identifier: BSL-1.0
#pragma once

// telling: from "execution 824 went wrong" to a story. The execution is run again along its
// choices, greedily shortened – what the finding does not need is left out, actors run on where
// they can – and then once more with somebody who writes everything down.

#include <mmhold/explore/exploration.hpp>
#include <mmhold/explore/plan.hpp>
#include <mmhold/explore/remedies.hpp>
#include <mmhold/explore/report.hpp>
#include <mmhold/explore/story.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// The executions a token names, one after the other: a lock order is seen over several of them.
[[nodiscard]] inline std::vector<std::vector<choice>> token_parts(std::string_view token) {
    std::vector<std::vector<choice>> parts;
    for (std::size_t begin = 0;;) {
        auto const end = token.find('+', begin);
        parts.push_back(from_token(token.substr(begin, end - begin)));
        if (end == std::string_view::npos) return parts;
        begin = end + 1;
    }
}
/// One exploration that follows scripts.
class follower {
public:
    follower(scenario_functions const& f, plan p)
        : sites_{p.sites, site_collection::off},
          x_{std::make_unique<exploration>(replaying(std::move(p)), f, sites_)} {}

    /// Runs one execution along the script. Answers its finding and leaves the choices it really
    /// made in `script`.
    [[nodiscard]] finding follow(std::vector<choice>& script, search::script_rule rule,
                                 story* listener) {
        running_here const now{*x_};
        x_->choices().follow(script, rule);
        x_->tell(listener);
        auto const how = x_->run_one();
        script = x_->choices().choices();
        bool const bad = how == ending::found || how == ending::deadlock;
        return bad ? x_->found() : finding{};
    }

private:
    [[nodiscard]] static plan replaying(plan p) {
        p.search = search_kind::replay;
        return p;
    }
    site_table sites_;
    std::unique_ptr<exploration> x_;
};

[[nodiscard]] inline finding follow(scenario_functions const& f, plan const& p,
                                    std::vector<choice>& script, search::script_rule rule,
                                    story* listener) {
    return follower{f, p}.follow(script, rule, listener);
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

/// What an execution that a token names looks like: its story, its choices and its finding.
struct told_execution {
    story lines{};
    finding what{};
    std::vector<choice> script{};
    std::string other_chains{};  // columns of the other executions of a lock order
};

/// A story up to the step where its lock chain was complete.
[[nodiscard]] inline story until_step(story const& whole, int steps) {
    story part;
    bool over = false;
    for (auto const& line : whole.lines()) {
        part.add(line);
        over = over || line.step >= steps - 1;
        if (over && line.text.starts_with("holds ")) break;
    }
    part.mark_last();
    return part;
}

/// Follows every execution of a token in one exploration and writes down the last.
[[nodiscard]] inline told_execution execution_of(scenario_functions const& f, plan const& p,
                                                 std::vector<std::vector<choice>> const& parts) {
    told_execution told;
    follower with{f, p};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        auto const steps = static_cast<int>(parts[i].size());
        told.script = parts[i];
        told.lines.clear();
        told.what = with.follow(told.script, search::script_rule::lenient, &told.lines);
        if (i + 1 == parts.size()) break;
        if (told.what.kind != finding_kind::none) continue;  // not a chain alone
        told.other_chains += "  the other order, in an execution of its own:\n";
        told.other_chains += columns_of(until_step(told.lines, steps), f.actors);
    }
    return told;
}

/// The parts of a token that are needed: one, if a single execution shows the whole finding.
[[nodiscard]] inline std::vector<std::vector<choice>> needed_parts(
    scenario_functions const& f, plan const& p, std::vector<std::vector<choice>> parts,
    finding_kind kind) {
    for (std::size_t i = parts.size(); parts.size() > 1 && i-- > 0;) {
        auto script = parts[i];
        if (follow(f, p, script, search::script_rule::lenient, nullptr).kind == kind)
            return {std::move(script)};
    }
    return parts;
}

/// An endless execution goes on by itself once it is in its loop: the choices that lead there.
[[nodiscard]] inline std::vector<choice> way_into_loop(scenario_functions const& f, plan const& p,
                                                       std::vector<choice> const& script) {
    for (std::size_t length = 1; length < script.size() && length < 64; ++length) {
        std::vector<choice> const start(script.begin(),
                                        script.begin() + static_cast<std::ptrdiff_t>(length));
        auto made = start;
        auto const again = follow(f, p, made, search::script_rule::strict, nullptr);
        if (again.kind == finding_kind::endless) return start;
    }
    return script;
}

/// The shortest script for the finding that was not too dear to find.
[[nodiscard]] inline std::vector<choice> short_script(scenario_functions const& f, plan const& p,
                                                      std::vector<choice> script,
                                                      finding_kind kind) {
    if (kind == finding_kind::endless) return way_into_loop(f, p, script);
    return p.search == search_kind::replay ? script : shortened(f, p, std::move(script), kind);
}

/// Replays, shortens and tells the finding of `v`.
inline void tell_finding(scenario_functions const& f, plan const& p, verdict& v) {
    auto const kind = v.first.kind;
    auto parts = needed_parts(f, p, token_parts(v.first.token), kind);
    if (parts.size() == 1) parts.back() = short_script(f, p, std::move(parts.back()), kind);
    auto it = execution_of(f, p, parts);
    if (it.what.kind != kind) {
        parts = token_parts(v.first.token);
        it = execution_of(f, p, parts);
        if (it.what.kind != kind) it.what = v.first;
    }
    if (parts.size() == 1)
        v.first.token = to_token(kind == finding_kind::endless ? parts.back() : it.script);
    v.first.headline = it.what.headline;
    v.first.details = it.what.details + it.other_chains;
    if (kind == finding_kind::endless) {
        if (auto const loop = it.lines.loop_in_words(); !loop.empty())
            v.first.headline += "; " + loop;
    }
    auto const remark = remark_on(f, p, it.lines, v.first.at_execution);
    v.first.story = told(it.lines, v.first, p, f.actors, remark);
}

}  // namespace detail

}  // namespace mmhold
