// SPDX-License-Identifier: BSL-1.0
// What it costs to hold and release pages that are present: the lockless walk against the same walk without any
// protection (the floor), against the walk under the mm lock, and against the lockless walk under a std::shared_mutex
// (what one would write without a reclaimer). Read the ratios of one run, not the nanoseconds.
#include <mmhold/adapt/std_shared_mutex.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/unpin.hpp>
#include <mmhold/machine/host_machine.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <shared_mutex>
#include <vector>

namespace {

using namespace mmhold;
using config = default_config<host_machine>;
using space_type = address_space<config>;
using format = space_type::format;

struct world {
    frame_pool<host_machine> frames{page_count{4096}, frame_bytes::none, pfn{1U << 20U}, pin_statistics::off};
    config::tables tables{page_count{64}};
    config::reclaimer domain{};
    space_type mm{frames, tables, domain};
    cpu<config::reclaimer> me{domain};
    std::shared_mutex mutex{};
    page_span span;
    std::vector<pfn> out;

    explicit world(std::int64_t pages) : out(static_cast<std::size_t>(pages)) {
        auto const count = page_count{static_cast<std::uint64_t>(pages)};
        auto const start = mm.mmap(me, {.pages = count});
        span = *page_span::from(*start, count);
        auto const filled = gup_unlocked(mm, me, span, gup_flag::write, out);
        put_pages(frames, std::span{out}.first(filled.pages));
    }
};

/// The floor: reads each level once, takes the page, looks at the entry again. Unsafe if anybody unmaps.
std::uint64_t walk_unprotected(world& w) {
    auto const& table = w.mm.table();
    std::uint64_t held = 0;
    auto pte_table = pfn{};
    for (auto at = w.span.start(); at < w.span.end(); at = at.plus_pages(1)) {
        if (at == w.span.start() || format::index(at, 0) == 0) {
            pte_table = table.root();
            for (auto level = format::levels - 1; level > 0; --level) {
                pte_table = format::decode(table.read(pte_table, at, level), level).target;
            }
        }
        auto const word = table.read(pte_table, at, 0);
        auto const entry = format::decode(word, 0);
        if (!entry.permits(access::write, {})) break;
        if (!w.frames.try_grab(entry.target, 1, holding::reference, {})) break;
        if (table.read(pte_table, at, 0) != word) break;
        w.out[held++] = entry.target;
    }
    return held;
}

template<class Hold>
void measure(benchmark::State& state, Hold hold) {
    world w{state.range(0)};
    for (auto _ : state) {
        if (hold(w) != w.span.pages()) state.SkipWithError("not all pages were held");
        put_pages(w.frames, w.out);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

void hold_unprotected(benchmark::State& state) { measure(state, walk_unprotected); }
void hold_gup_fast_only(benchmark::State& state) {
    measure(state, [](world& w) { return gup_fast_only(w.mm, w.me, w.span, gup_flag::write, w.out).pages; });
}
void hold_under_std_shared_mutex(benchmark::State& state) {
    measure(state, [](world& w) {
        std::shared_lock const held{w.mutex};
        return walk_unprotected(w);
    });
}
void hold_gup_unlocked(benchmark::State& state) {
    measure(state, [](world& w) { return gup_unlocked(w.mm, w.me, w.span, gup_flag::write, w.out).pages; });
}
void hold_gup_fast_behind_a_writer(benchmark::State& state) {
    // The mm lock is held exclusively all the time: the lockless walk does not notice.
    measure(state, [](world& w) {
        auto const writer = held_exclusive<space_type::lock_type>::acquire(w.mm.lock());
        return gup_fast(w.mm, w.me, w.span, gup_flag::write, w.out).pages;
    });
}

}  // namespace

BENCHMARK(hold_unprotected)->Arg(1)->Arg(16)->Arg(512);
BENCHMARK(hold_gup_fast_only)->Arg(1)->Arg(16)->Arg(512);
BENCHMARK(hold_under_std_shared_mutex)->Arg(1)->Arg(16)->Arg(512);
BENCHMARK(hold_gup_unlocked)->Arg(1)->Arg(16)->Arg(512);
BENCHMARK(hold_gup_fast_behind_a_writer)->Arg(1);
