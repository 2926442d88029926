// SPDX-License-Identifier: BSL-1.0
// What page tables cost: one fault's worth of work, ranges, structure, and the lockless descent
// that everything else is built for.
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/paging/host_tables.hpp>
#include <mmhold/paging/page_table.hpp>
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <optional>

namespace {

using namespace mmhold;
using domain_type = hazard_domain<host_machine>;

template<unsigned Levels>
struct bench_table {
    using format = x86_64<Levels>;
    using tables_type = host_tables<format, domain_type>;

    ~bench_table() {
        table.destroy(me);
        (void)domain.reclaim(me.record());
    }
    void map_pages(std::uint64_t pages) {
        for (std::uint64_t i = 0; i < pages; ++i) {
            (void)table.map(me, virt_addr{i * page_size}, leaf(i), 0);
        }
    }
    static page_entry leaf(std::uint64_t frame) {
        return page_entry::leaf_to(pfn{frame}, prot::rw);
    }

    tables_type tables{page_count{4096}};
    domain_type domain;
    cpu<domain_type> me{domain};
    page_table<format, tables_type> table{tables};
};

page_span pages(std::uint64_t count) { return *page_span::from(virt_addr{}, page_count{count}); }

/// A fault on a present table: lock, look, unlock.
template<unsigned Levels>
void lock_leaf(benchmark::State& state) {
    bench_table<Levels> b;
    b.map_pages(1);
    for (auto _ : state) {
        auto const leaf = b.table.lock_leaf(b.me, virt_addr{}, 0, if_absent::fail);
        benchmark::DoNotOptimize(leaf->read());
    }
}

/// Map and unmap one page of a table that stays.
void map_unmap_page(benchmark::State& state) {
    bench_table<4> b;
    b.map_pages(2);
    auto const second = *page_span::from(virt_addr{page_size}, page_count{1});
    for (auto _ : state) {
        (void)b.table.unmap(b.me, second, ignore_leaves{});
        (void)b.table.map(b.me, second.start(), bench_table<4>::leaf(1), 0);
    }
}

/// A range: per page, with one lock per 512.
void protect_range_of(benchmark::State& state) {
    bench_table<4> b;
    auto const count = static_cast<std::uint64_t>(state.range(0));
    b.map_pages(count);
    auto const flip = [](page_entry e) {
        e.writable = !e.writable;
        return e;
    };
    for (auto _ : state) (void)b.table.protect(b.me, pages(count), flip);
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

void visit_range_of(benchmark::State& state) {
    bench_table<4> b;
    auto const count = static_cast<std::uint64_t>(state.range(0));
    b.map_pages(count);
    std::uint64_t frames = 0;
    auto const add = [&](virt_addr, page_entry const& e, unsigned) { frames += e.target.value; };
    for (auto _ : state) (void)b.table.visit(b.me, pages(count), add);
    benchmark::DoNotOptimize(frames);
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// Split a 2 MiB leaf and collapse it again: two tables' worth of words, one synchronize.
void split_collapse(benchmark::State& state) {
    bench_table<4> b;
    (void)b.table.map(b.me, virt_addr{}, bench_table<4>::leaf(512), 1);
    auto const policy = [](auto const& view) { return std::optional{view.entry(0)}; };
    for (auto _ : state) {
        (void)b.table.split(b.me, virt_addr{});
        (void)b.table.collapse(b.me, virt_addr{}, 1, policy, ignore_leaves{});
    }
}

/// The whole branch for one page and back.
void grow_and_free(benchmark::State& state) {
    bench_table<4> b;
    auto const end = task_size_max(48);
    for (auto _ : state) {
        (void)b.table.map(b.me, virt_addr{}, bench_table<4>::leaf(1), 0);
        (void)b.table.unmap(b.me, pages(1), ignore_leaves{});
        (void)b.table.free_tables(b.me, pages(1), virt_addr{}, end);
    }
}

/// Root to PTE without locks. Protected: a section, a slot and a second look per table.
enum class descent_kind { bare, by_slots };

template<unsigned Levels, descent_kind Kind>
void descend(benchmark::State& state) {
    using format = x86_64<Levels>;
    bench_table<Levels> b;
    b.map_pages(1);
    for (auto _ : state) {
        auto const walk = [&](auto&& protect) {
            auto table = b.table.root();
            for (auto level = Levels - 1; level > 0; --level) {
                auto const parent = table;
                auto const word = b.table.read(parent, virt_addr{}, level);
                table = format::decode(word, level).target;
                protect(level - 1, table.value);
                if constexpr (Kind == descent_kind::by_slots) {
                    benchmark::DoNotOptimize(b.table.read(parent, virt_addr{}, level) == word);
                }
            }
            benchmark::DoNotOptimize(b.table.read(table, virt_addr{}, 0));
        };
        if constexpr (Kind == descent_kind::by_slots) {
            irq_section inside{b.me};
            walk([&](unsigned level, std::uint64_t key) { inside.protect(level, key); });
        } else {
            walk([](unsigned, std::uint64_t) {});
        }
    }
}

BENCHMARK(lock_leaf<4>)->Name("paging/lock_leaf/4_levels");
BENCHMARK(lock_leaf<5>)->Name("paging/lock_leaf/5_levels");
BENCHMARK(map_unmap_page)->Name("paging/map_unmap_page");
BENCHMARK(protect_range_of)->Name("paging/protect")->Arg(1)->Arg(512)->Arg(8192);
BENCHMARK(visit_range_of)->Name("paging/visit")->Arg(1)->Arg(512)->Arg(8192);
BENCHMARK(split_collapse)->Name("paging/split_collapse");
BENCHMARK(grow_and_free)->Name("paging/grow_and_free");
BENCHMARK((descend<4, descent_kind::bare>))->Name("paging/descend/4_levels/bare");
BENCHMARK((descend<4, descent_kind::by_slots>))->Name("paging/descend/4_levels/protected");
BENCHMARK((descend<5, descent_kind::by_slots>))->Name("paging/descend/5_levels/protected");

}  // namespace
