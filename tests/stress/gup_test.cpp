// SPDX-License-Identifier: BSL-1.0 Lockless pinners against everything that takes pages and tables
// away under them. Frames are poisoned when they are freed, so a page that is held and nevertheless
// freed shows at once; TSan and ASan watch the rest.
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include "support/stress.hpp"
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/space/pinned.hpp>
#include <mmhold/space/unmapped_pages.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

using namespace mmhold;

namespace {

using small = mmhold_test::small_space<>;
using space_type = small::space_type;

constexpr std::uint64_t busy_pages =
    1024;  // two tables of 4 KiB entries where everything changes all the time
constexpr std::uint64_t calm_pages =
    512;  // one behind them, calm enough to be collapsed now and then
constexpr std::uint64_t arena_pages = busy_pages + calm_pages;

/// What all actors share; what each has seen go wrong.
struct arena {
    small host{8192, frame_bytes::owned};
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> fast_pages{0};
    std::atomic<std::uint64_t> slow_pages{0};
    std::atomic<std::uint64_t> poisoned{0};
    std::atomic<std::uint64_t> collapsed{0};
    std::atomic<std::uint64_t> split{0};
    std::atomic<std::uint64_t> refused{0};  // operations that had a legal reason not to happen

    arena() { REQUIRE(host.map(arena_pages)); }

    /// At least the usual time; longer on a machine so busy that some operation has not had its
    /// turn yet.
    void run_until_everything_happened() const {
        auto const patience = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        auto const seen_all = [this] {
            return fast_pages > 0 && slow_pages > 0 && collapsed > 0 && split > 0;
        };
        std::this_thread::sleep_for(mmhold_test::stress_time());
        while (!seen_all() && std::chrono::steady_clock::now() < patience) {
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
    }
};

struct actor {
    arena& in;
    small::cpu_type me{in.host.domain};
    std::minstd_rand dice;

    actor(arena& where, unsigned seed) : in{where}, dice{seed} {}
    std::uint64_t roll(std::uint64_t below) { return dice() % below; }
    page_span somewhere(std::uint64_t most) { return within(arena_pages, most); }
    /// Mostly in the busy part: who changes the layout of the calm one keeps it from being
    /// collapsed.
    page_span somewhere_busy(std::uint64_t most) {
        return within(roll(64) == 0 ? arena_pages : busy_pages, most);
    }
    page_span within(std::uint64_t pages, std::uint64_t most) {
        auto const count = 1 + roll(most);
        return small::span(roll(pages - count), count);
    }
    bool going() const { return !in.stop.load(std::memory_order_relaxed); }
};

/// A held page is not free: nobody may have poisoned it, and whoever holds a pin may rely on its
/// bytes staying.
void look_at(arena& in, std::span<pfn const> pages) {
    for (auto const page : pages) {
        auto const bytes = in.host.frames.bytes(page);
        if (bytes[0] == in.host.frames.poison || bytes[page_size - 1] == in.host.frames.poison)
            ++in.poisoned;
        if (in.host.frames.ref_count(page) == 0) ++in.poisoned;
    }
}

void pin_fast_and_look(actor& a) {
    std::array<pfn, 16> out{};
    while (a.going()) {
        auto const span = a.somewhere(out.size());
        auto const how = a.roll(2) == 0 ? holding::pin : holding::reference;
        auto const flags = a.roll(2) == 0 ? gup_flags{gup_flag::write} : gup_flags{};
        auto const got = how == holding::pin ? pin_fast_only(a.in.host.mm, a.me, span, flags, out)
                                             : gup_fast_only(a.in.host.mm, a.me, span, flags, out);
        auto const held = std::span{out}.first(static_cast<std::size_t>(got.pages));
        look_at(a.in, held);
        a.in.fast_pages += got.pages;
        pinned{a.in.host.frames, held, how}.release();
    }
}

void fault_in(actor& a) {
    std::array<pfn, 64> out{};
    while (a.going()) {
        auto const got =
            pin_fast(a.in.host.mm, a.me, a.somewhere(out.size()), gup_flag::write, out);
        auto const held = std::span{out}.first(static_cast<std::size_t>(got.pages));
        look_at(a.in, held);
        a.in.slow_pages += got.pages;
        pinned{a.in.host.frames, held, holding::pin}.release();
    }
}

void map_and_unmap(actor& a) {
    auto& mm = a.in.host.mm;
    while (a.going()) {
        auto const span = a.somewhere_busy(a.roll(8) == 0 ? 600 : 40);
        if (!mm.munmap(a.me, span)) ++a.in.refused;
        mmap_request const again{
            .hint = span.start(), .pages = {span.pages()}, .flags = mmap_flag::fixed};
        if (!mm.mmap(a.me, again)) ++a.in.refused;
    }
}

void protect_and_discard(actor& a) {
    auto& mm = a.in.host.mm;
    while (a.going()) {
        auto const span = a.somewhere_busy(30);
        (void)mm.mprotect(a.me, span, prot::r);  // holes are legal here
        (void)mm.mprotect(a.me, span, prot::rw);
        (void)mm.dontneed(a.me, a.somewhere_busy(20));
        if (a.roll(16) == 0)
            (void)mm.dontneed(a.me, small::span(0, busy_pages));  // empty tables go, too
    }
}

/// khugepaged: copies 512 small pages that nobody else holds into one folio.
struct copy_into_folio {
    small& host;
    pfn folio;

    std::optional<page_entry> operator()(auto const& view) const {
        auto& frames = host.frames;
        for (unsigned i = 0; i < view.size(); ++i) {
            auto const entry = view.entry(i);
            if (!entry.is_leaf() || entry.special || frames.order_of(entry.target) != 0)
                return std::nullopt;
            auto const counts = frames.look_after_clear(entry.target);
            if (counts.references != 1 || !frames.exclusive(entry.target)) return std::nullopt;
        }
        for (unsigned i = 0; i < view.size(); ++i) {
            std::ranges::copy(frames.bytes(view.entry(i).target),
                              frames.bytes(folio.plus(i)).begin());
            frames.set_exclusive(folio.plus(i));
        }
        auto leaf = page_entry::leaf_to(folio, prot::rw);
        leaf.dirty = true;
        return leaf;
    }
};

void collapse_once(actor& a, virt_addr at) {
    auto& mm = a.in.host.mm;
    auto& frames = a.in.host.frames;
    auto const folio = frames.allocate(frame_kind::anonymous, 9);
    if (!folio) return;
    frames.get(*folio, 511);  // one reference for each page that the leaf will map
    auto const held = held_exclusive<small::lock_type>::acquire(mm.lock());
    auto const area = mm.find(at, held);
    auto const one_vma = area && area->view(held).span.contains(at.plus_pages(511)) &&
                         area->view(held).prot == prot::rw;
    unmapped_pages<space_type> gone{mm, a.me, empty_tables::stay};
    auto const done =
        one_vma ? mm.table().collapse(a.me, at, 1, copy_into_folio{a.in.host, *folio}, gone)
                : result<void>{errc::busy};
    gone.release();
    if (done) {
        mm.note_mapped(page_entry::leaf_to(*folio, prot::rw), 512);
        ++a.in.collapsed;
    } else {
        frames.put(*folio, 512);
    }
}

void collapse_and_split(actor& a) {
    std::array<pfn, 512> out{};
    while (a.going()) {
        auto const at = small::page(busy_pages);
        auto const all = *page_span::from(at, page_count{512});
        auto const filled = gup_unlocked(a.in.host.mm, a.me, all, gup_flag::write, out);
        pinned{a.in.host.frames, std::span{out}.first(static_cast<std::size_t>(filled.pages)),
               holding::reference}
            .release();
        collapse_once(a, at);
        {
            auto const held = held_exclusive<small::lock_type>::acquire(a.in.host.mm.lock());
            if (a.roll(2) == 0 && a.in.host.mm.table().split(a.me, at)) ++a.in.split;
        }
        if (a.roll(4) == 0) (void)a.in.host.mm.dontneed(a.me, all);  // small pages again next time
    }
}

}  // namespace

TEST_CASE("gup_fast against map, unmap, protect, discard, split and collapse", "[stress]") {
    arena in;
    {
        std::vector<std::thread> threads;
        auto const run = [&](auto body) {
            threads.emplace_back([&in, body, seed = static_cast<unsigned>(threads.size() + 1)] {
                actor a{in, seed};
                body(a);
            });
        };
        run(pin_fast_and_look);
        run(pin_fast_and_look);
        run(fault_in);
        run(map_and_unmap);
        run(protect_and_discard);
        run(collapse_and_split);
        in.run_until_everything_happened();
        in.stop = true;
        for (auto& thread : threads) thread.join();
    }
    WARN("fast " << in.fast_pages << ", slow " << in.slow_pages << ", collapsed " << in.collapsed
                 << ", split " << in.split);
    CHECK(in.poisoned == 0);
    CHECK(in.fast_pages > 0);
    CHECK(in.slow_pages > 0);
    CHECK(in.collapsed > 0);
    CHECK(in.split > 0);
    CHECK(in.refused == 0);

    auto& host = in.host;
    auto const statistics = host.frames.statistics();
    CHECK(statistics.pins_acquired == statistics.pins_released);
    host.mm.exit(host.me);
    CHECK(host.frames.statistics().free == statistics.capacity);
    CHECK(host.domain.drain() == 0);
    CHECK(host.tables.in_use() == 0);
    auto const reclaimed = host.domain.statistics();
    CHECK(reclaimed.retired == reclaimed.freed);
}
