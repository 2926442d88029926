// SPDX-License-Identifier: BSL-1.0
//
// What protection costs a reader: a five-level walk (a root and four tables) that ends with reading
// one, 16 or 512 leaves, under nothing, under an irq_section with four hazards, and under
// std::shared_mutex. Each subject runs in turn with the unprotected walk of the same words, so the
// counters compare like with like whatever the machine does meanwhile:
//   ns             one call of the subject (tenth percentiles: other programs may run, too)
//   over_bare_ns   its difference to the unprotected walk
//   over_bare      its ratio to the unprotected walk
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <vector>

using namespace mmhold;

namespace {

using membarrier_host = basic_host_machine<asymmetric_fence::membarrier>;
using locked_host = basic_host_machine<asymmetric_fence::locked>;

constexpr unsigned tables_below_root = 4;
constexpr std::size_t entries = 512;

using word = host_machine::atomic<std::uint64_t>;

struct table {
    std::array<word, entries> entry{};
};

/// A root and four tables below each other; the last one is full of leaves.
class tree {
public:
    tree() {
        for (unsigned level = 0; level < tables_below_root; ++level) {
            tables_[level].entry[7].store(reinterpret_cast<std::uint64_t>(&tables_[level + 1]),
                                          relaxed);
        }
        for (std::size_t index = 0; index < entries; ++index) leaves().store_leaf(index);
    }
    word const& root() const { return tables_[0].entry[7]; }

private:
    struct last_table {
        table& last;
        void store_leaf(std::size_t index) const { last.entry[index].store(index + 1, relaxed); }
    };
    last_table leaves() { return {tables_[tables_below_root]}; }

    std::array<table, tables_below_root + 1> tables_{};
};

table const& table_at(std::uint64_t entry) { return *reinterpret_cast<table const*>(entry); }

std::uint64_t read_leaves(table const& last, std::size_t pages) {
    std::uint64_t sum = 0;
    for (std::size_t index = 0; index < pages; ++index) {
        sum += last.entry[index].load(acquire("bench.leaf"));
    }
    return sum;
}

/// The walk without any protection.
[[gnu::noinline]] std::uint64_t bare_walk(tree const& of, std::size_t pages) {
    auto const* at = &of.root();
    for (unsigned level = tables_below_root - 1; level > 0; --level) {
        at = &table_at(at->load(acquire("bench.bare"))).entry[7];
    }
    return read_leaves(table_at(at->load(acquire("bench.bare_last"))), pages);
}

struct bare {
    explicit bare(tree const& of) : of_{of} {}
    std::uint64_t operator()(std::size_t pages) { return bare_walk(of_, pages); }

private:
    tree const& of_;
};

template<class M>
struct in_section {
    using domain_type = hazard_domain<M>;
    explicit in_section(tree const& of) : of_{of} {}
    [[gnu::noinline]] std::uint64_t operator()(std::size_t pages) {
        irq_section inside{me_};
        auto const* at = &of_.root();
        for (unsigned level = tables_below_root; level-- > 0;) {
            auto const seen = at->load(acquire("bench.look"));
            inside.protect(level, seen);
            if (at->load(acquire("bench.look_again")) != seen) return 0;
            if (level == 0) return read_leaves(table_at(seen), pages);
            at = &table_at(seen).entry[7];
        }
        return 0;
    }

private:
    tree const& of_;
    domain_type domain_{};
    cpu<domain_type> me_{domain_};
};

struct under_shared_mutex {
    explicit under_shared_mutex(tree const& of) : of_{of} {}
    [[gnu::noinline]] std::uint64_t operator()(std::size_t pages) {
        std::shared_lock hold{mutex_};
        return bare_walk(of_, pages);
    }

private:
    tree const& of_;
    std::shared_mutex mutex_;
};

/// The tenth percentile: what it costs when nobody else is in the way.
double undisturbed(std::vector<double>& values) {
    auto const early = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 10);
    std::nth_element(values.begin(), early, values.end());
    return *early;
}

/// Runs the subject and the unprotected walk in turns of `calls`, and reports both.
template<class Subject>
void walk_benchmark(benchmark::State& state) {
    constexpr int calls = 256;
    auto const pages = static_cast<std::size_t>(state.range(0));
    auto const of = std::make_unique<tree>();
    bare reference{*of};
    Subject subject{*of};
    auto const time = [&](auto& walk) {
        auto const start = std::chrono::steady_clock::now();
        for (int call = 0; call < calls; ++call) benchmark::DoNotOptimize(walk(pages));
        std::chrono::duration<double> const taken = std::chrono::steady_clock::now() - start;
        return taken.count() / calls * 1e9;
    };
    std::vector<double> bare_times;
    std::vector<double> subject_times;
    for (auto _ : state) {
        bare_times.push_back(time(reference));
        subject_times.push_back(time(subject));
    }
    auto const bare_ns = undisturbed(bare_times);
    auto const subject_ns = undisturbed(subject_times);
    state.counters["ns"] = subject_ns;
    state.counters["over_bare_ns"] = subject_ns - bare_ns;
    state.counters["over_bare"] = subject_ns / bare_ns;
}

/// The remover's side: one unlink, retire and its share of the scan.
template<class M>
void retire_benchmark(benchmark::State& state) {
    struct object : retired_object {
        static void nothing(retired_object&) noexcept {}
    };
    auto const objects = std::make_unique<std::array<object, hazard_domain<M>::batch>>();
    hazard_domain<M> domain;
    cpu me{domain};
    std::uint64_t key = 0;
    for (auto _ : state) {
        auto& next = (*objects)[key % objects->size()];
        next.key = ++key;
        next.free = object::nothing;
        domain.retire(me.record(), next);
    }
    state.SetItemsProcessed(state.iterations());
}

#define MMHOLD_WALK_BENCHMARK(subject) \
    BENCHMARK_TEMPLATE(walk_benchmark, subject)->Arg(1)->Arg(16)->Arg(512)

MMHOLD_WALK_BENCHMARK(bare)->Name("reclaim/walk/bare/pages");
MMHOLD_WALK_BENCHMARK(in_section<membarrier_host>)->Name("reclaim/walk/section_membarrier/pages");
MMHOLD_WALK_BENCHMARK(in_section<host_machine>)->Name("reclaim/walk/section_automatic/pages");
MMHOLD_WALK_BENCHMARK(in_section<locked_host>)->Name("reclaim/walk/section_locked/pages");
MMHOLD_WALK_BENCHMARK(under_shared_mutex)->Name("reclaim/walk/std_shared_mutex/pages");
BENCHMARK_TEMPLATE(retire_benchmark, membarrier_host)->Name("reclaim/retire/membarrier");
BENCHMARK_TEMPLATE(retire_benchmark, locked_host)->Name("reclaim/retire/locked");

}  // namespace
