// SPDX-License-Identifier: BSL-1.0
// The explorer: how many executions and steps a second, on one core, by search and by size of the
// program. Rates are per CPU second of this thread.
//
// The programs are the reference programs of the test suite. Each is searched whole (`every`: each
// execution once) and by lot (`by_lot`, as many executions as `every` takes, at least 1,000): the
// second is the peer – the same program on the same machine without any book-keeping about what is
// still to be tried. `*_by_2`: the same search by two workers; rates are of wall time then.
#include <benchmark/benchmark.h>

#include "interleave/reference_programs.hpp"
#include <algorithm>
#include <cstdint>

using namespace mmhold_test;

namespace {

/// Runs the search once per iteration and reports rates.
template<class S>
void searched(benchmark::State& state, plan const& how) {
    double executions = 0;
    double steps = 0;
    verdict last;
    for (auto _ : state) {
        last = explore<S>(how);
        executions += static_cast<double>(last.executions + last.redundant);
        steps += static_cast<double>(last.events);
    }
    if (last.found()) state.SkipWithError(last.first.headline.c_str());
    using rate = benchmark::Counter;
    state.counters["executions/s"] = rate(executions, rate::kIsRate);
    state.counters["time/step"] = rate(steps, rate::kIsRate | rate::kInvert);
    state.counters["steps/execution"] = steps / executions;
    state.counters["redundant"] = static_cast<double>(last.redundant);
}

template<class S, memory_model Model>
void every(benchmark::State& state) {
    searched<S>(state, {.memory = Model});
}
template<class S, memory_model Model>
void every_by_2(benchmark::State& state) {
    searched<S>(state, {.memory = Model, .workers = 2});
}
template<class S, memory_model Model>
void by_lot(benchmark::State& state) {
    auto const executions = explore<S>({.memory = Model}).executions;
    searched<S>(state, {.memory = Model,
                        .search = search_kind::random,
                        .executions = std::max<std::uint64_t>(executions, 1000)});
}

using sb = store_buffering<fenced::yes>;
using two_dekkers = dekker<fenced::yes>;
using hp11 = hazard_pointers<1, 1>;
using hp12 = hazard_pointers<1, 2>;
using hp22 = hazard_pointers<2, 2>;
using treiber = treiber_stack<tagged::yes>;
constexpr auto sc = memory_model::sc;
constexpr auto tso = memory_model::tso;
constexpr auto stale = memory_model::stale;

}  // namespace

// About 40 steps: 55,097 executions under TSO, 37,266 under SC.
BENCHMARK_TEMPLATE(every, hp22, tso)->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(by_lot, hp22, tso)->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(every, hp22, sc)->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(by_lot, hp22, sc)->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(every_by_2, hp22, tso)->Unit(benchmark::kMillisecond)->UseRealTime();

// About 10 steps, and few executions: beginning and ending a search counts.
BENCHMARK_TEMPLATE(every, sb, tso);
BENCHMARK_TEMPLATE(by_lot, sb, tso);
BENCHMARK_TEMPLATE(every, hp11, tso);
BENCHMARK_TEMPLATE(by_lot, hp11, tso);
BENCHMARK_TEMPLATE(every, two_dekkers, tso);
BENCHMARK_TEMPLATE(by_lot, two_dekkers, tso);

// In between.
BENCHMARK_TEMPLATE(every, hp12, tso);
BENCHMARK_TEMPLATE(by_lot, hp12, tso);
BENCHMARK_TEMPLATE(every, hp12, stale);
BENCHMARK_TEMPLATE(by_lot, hp12, stale);
BENCHMARK_TEMPLATE(every, treiber, tso);
BENCHMARK_TEMPLATE(by_lot, treiber, tso);
