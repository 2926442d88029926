// SPDX-License-Identifier: BSL-1.0
#pragma once

// coverage: what a verdict entitles one to say, in a sentence – and no more.
//
// An exhausted search has seen all executions *of the model*, up to swapping independent steps; the
// sentence names the bounds it had. A sample has seen as many as it has; for PCT a bound is known
// (Burckhardt et al., ASPLOS 2010): with n processes and executions of k steps, one execution finds
// a bug of depth d with probability at least 1 / (n k^(d-1)).

#include <mmhold/explore/plan.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace mmhold {

/// How a memory model is called in sentences.
[[nodiscard]] constexpr std::string_view model_in_words(memory_model model) noexcept {
    switch (model) {
        case memory_model::sc: return "sequentially consistent";
        case memory_model::tso: return "x86-TSO";
        case memory_model::stale: return "stale-read";
    }
    return "?";
}

[[nodiscard]] constexpr std::string_view to_string(search_kind kind) noexcept {
    switch (kind) {
        case search_kind::all: return "all";
        case search_kind::brute: return "brute";
        case search_kind::random: return "random";
        case search_kind::pct: return "pct";
        case search_kind::replay: return "replay";
    }
    return "?";
}

/// An upper bound of the probability that `executions` of PCT with depths 2 to 6 in turn all miss a
/// bug of depth `depth`: a fifth of them tries that depth.
[[nodiscard]] inline double missed_by_pct(int processes, int steps, int depth,
                                          std::uint64_t executions) {
    if (processes < 1 || steps < 1) return 1;
    double const hit = 1 / (processes * std::pow(static_cast<double>(steps), depth - 1));
    return std::pow(1 - hit, static_cast<double>(executions) / 5);
}

namespace detail {

[[nodiscard]] inline std::string bounds_in_words(plan const& p, verdict const& v) {
    auto text = " (" + std::to_string(v.actors) + (v.actors == 1 ? " actor, " : " actors, ");
    text += std::to_string(v.longest) + " events";
    if (p.memory == memory_model::tso)
        text += ", store buffers up to " + std::to_string(p.buffer_depth);
    if (v.cut) text += ", at most " + std::to_string(p.retries) + " retries";
    return text + ")";
}
[[nodiscard]] inline std::string pct_in_words(plan const& p, verdict const& v) {
    int const buffers = p.memory == memory_model::tso ? v.actors : 0;
    std::string text{"; a bug of depth"};
    for (int depth = 2; depth <= 3; ++depth) {
        char number[32];
        std::snprintf(number, sizeof number, "%.2g",
                      missed_by_pct(v.actors + buffers, v.longest, depth, v.executions));
        text += (depth == 2 ? " " : ", of depth ") + std::to_string(depth);
        text += depth == 2 ? " is missed with probability at most " : " at most ";
        text += number;
    }
    return text;
}

}  // namespace detail

/// What the search of `name` has covered.
[[nodiscard]] inline std::string coverage_sentence(std::string_view name, plan const& p,
                                                   verdict const& v) {
    auto const subject = std::string{model_in_words(p.memory)} + " executions of " +
                         std::string{name} + detail::bounds_in_words(p, v);
    auto const count = std::to_string(v.executions);
    if (v.found()) {
        return std::string{to_string(v.first.kind)} + " in number " +
               std::to_string(v.first.at_execution) + " of the " + subject;
    }
    switch (p.search) {
        case search_kind::replay: return "one of the " + subject + ": not wrong";
        case search_kind::random:
            return count + " random " + subject + ", seed " + std::to_string(p.seed) +
                   ": none wrong in those";
        case search_kind::pct:
            return count + " " + subject + ", PCT depths 2 to 6, seed " + std::to_string(p.seed) +
                   ": none wrong in those" + detail::pct_in_words(p, v);
        default: break;
    }
    if (v.exhausted) return "all " + subject + ": " + count + ", none wrong";
    return "the first " + count + " " + subject + ", not all: none wrong in those";
}

}  // namespace mmhold
