// SPDX-License-Identifier: BSL-1.0
// Physical memory and layouts: what a hold of a page costs, what a fault's frame costs, how lookups
// grow with the number of mappings, and what mmap, mprotect and munmap do per call and per page.
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/frame_pool.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

using namespace mmhold;

namespace {

using machine = host_machine;
using pool = frame_pool<machine>;
using config = default_config<machine>;

/// A frame for a fault and back: the pool's lock is taken twice.
void allocate_and_put(benchmark::State& state) {
    pool frames{page_count{4096}};
    auto const order = static_cast<unsigned>(state.range(0));
    for (auto _ : state) {
        auto const page = frames.allocate(frame_kind::anonymous, order);
        frames.put(*page);
    }
}

/// One page held and given back: a reference or a pin, with and without the pin counters.
void grab_and_release(benchmark::State& state, holding how, pin_statistics counting) {
    pool frames{page_count{64}, frame_bytes::none, pfn{1U << 20U}, counting};
    auto const page = *frames.allocate(frame_kind::anonymous);
    for (auto _ : state) {
        benchmark::DoNotOptimize(frames.try_grab(page, 1, how));
        how == holding::pin ? frames.unpin(page) : frames.put(page);
    }
}
void reference(benchmark::State& state) {
    grab_and_release(state, holding::reference, pin_statistics::kept);
}
void pin(benchmark::State& state) { grab_and_release(state, holding::pin, pin_statistics::kept); }
void pin_uncounted(benchmark::State& state) {
    grab_and_release(state, holding::pin, pin_statistics::off);
}

/// 512 pages of one folio in one operation.
void pin_folio(benchmark::State& state) {
    pool frames{page_count{1024}};
    auto const folio = *frames.allocate(frame_kind::anonymous, 9);
    for (auto _ : state) {
        benchmark::DoNotOptimize(frames.try_grab(folio, 512, holding::pin));
        frames.unpin(folio, 512);
    }
}

/// Two threads that pin different pages of one pool: do they meet?
std::unique_ptr<pool> common_pool;
std::vector<pfn> common_pages;
void set_up_common_pool(benchmark::State const&) {
    common_pool = std::make_unique<pool>(page_count{64});
    common_pages.clear();
    for (int i = 0; i < 64; ++i) common_pages.push_back(*common_pool->allocate(frame_kind::other));
}
void pin_apart(benchmark::State& state) {
    // Three frames apart: neither the frames' words nor their counters share a cache line.
    auto const page = common_pages[static_cast<std::size_t>(state.thread_index()) * 3];
    for (auto _ : state) {
        benchmark::DoNotOptimize(common_pool->try_grab(page, 1, holding::pin));
        common_pool->unpin(page);
    }
}

void create_pool(benchmark::State& state) {
    for (auto _ : state) {
        pool frames{page_count{static_cast<std::uint64_t>(state.range(0))}};
        benchmark::DoNotOptimize(frames.valid());
    }
}

/// A process with so many mappings, every other page of a range.
struct process {
    explicit process(std::uint64_t mappings) {
        for (std::uint64_t i = 0; i < mappings; ++i) map(base.plus_pages(2 * i), 1);
    }
    ~process() {
        me.reset();
        space.reset();
        domain.drain();
    }
    void map(virt_addr at, std::uint64_t pages) {
        (void)space->mmap(*me, {.hint = at, .pages = page_count{pages}, .flags = mmap_flag::fixed});
    }
    void populate(virt_addr at, std::uint64_t pages) {
        for (std::uint64_t i = 0; i < pages; ++i) {
            auto const entry =
                page_entry::leaf_to(*frames.allocate(frame_kind::anonymous), prot::rw);
            (void)space->table().map(*me, at.plus_pages(i), entry, 0);
            space->note_mapped(entry, 1);
        }
    }

    static constexpr virt_addr base{std::uint64_t{1} << 32U};
    frame_pool<machine> frames{page_count{4096}};
    config::tables tables{page_count{4096}};
    config::reclaimer domain{};
    std::optional<address_space<config>> space{std::in_place, frames, tables, domain};
    std::optional<cpu<config::reclaimer>> me{domain};
};

void find_vma(benchmark::State& state) {
    auto const mappings = static_cast<std::uint64_t>(state.range(0));
    process p{mappings};
    auto const held = held_shared<config::lock>::acquire(p.space->lock());
    std::uint64_t next = 0;
    for (auto _ : state) {
        next = (next + 7919) % mappings;
        auto const found = p.space->find(process::base.plus_pages(2 * next), held);
        benchmark::DoNotOptimize(found->view(held).prot);
    }
}

/// A new mapping beside so many others, and away again.
void mmap_and_munmap(benchmark::State& state) {
    process p{static_cast<std::uint64_t>(state.range(0))};
    for (auto _ : state) {
        auto const at = *p.space->mmap(*p.me, {.pages = page_count{4}});
        (void)p.space->munmap(*p.me, *page_span::from(at, page_count{4}));
    }
}

void mprotect_there_and_back(benchmark::State& state) {
    auto const pages = static_cast<std::uint64_t>(state.range(0));
    process p{0};
    p.map(process::base, pages);
    p.populate(process::base, pages);
    auto const span = *page_span::from(process::base, page_count{pages});
    for (auto _ : state) {
        (void)p.space->mprotect(*p.me, span, prot::r);
        (void)p.space->mprotect(*p.me, span, prot::rw);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0) * 2);
}

void populate_and_discard(benchmark::State& state) {
    auto const pages = static_cast<std::uint64_t>(state.range(0));
    process p{0};
    p.map(process::base, pages);
    auto const span = *page_span::from(process::base, page_count{pages});
    for (auto _ : state) {
        p.populate(process::base, pages);
        (void)p.space->dontneed(*p.me, span);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

}  // namespace

BENCHMARK(allocate_and_put)->Arg(0)->Arg(9);
BENCHMARK(reference);
BENCHMARK(pin);
BENCHMARK(pin_uncounted);
BENCHMARK(pin_folio);
BENCHMARK(pin_apart)->Setup(set_up_common_pool)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(create_pool)->Arg(1'000'000)->Unit(benchmark::kMillisecond);
BENCHMARK(find_vma)->Arg(16)->Arg(256)->Arg(4096)->Arg(65000);
BENCHMARK(mmap_and_munmap)->Arg(0)->Arg(256)->Arg(4096);
BENCHMARK(mprotect_there_and_back)->Arg(1)->Arg(512);
BENCHMARK(populate_and_discard)->Arg(1)->Arg(512);
