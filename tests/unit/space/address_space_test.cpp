// SPDX-License-Identifier: BSL-1.0
#include "small_world.hpp"

#include <mmhold/lock/null_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/observe/ring_buffer.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

using namespace mmhold;
using namespace mmhold_test;

namespace {

using machine = checked_host_machine;
using config = default_config<machine>;
using world = small_world<config>;
using space_type = address_space<config>;
using lock_type = config::lock;

constexpr auto megabyte = std::uint64_t{1} << 20U;
constexpr virt_addr low{1024 * megabyte};  // 1 GiB: the start of a table on every level but the top

static_assert(!std::is_copy_constructible_v<space_type>);
static_assert(!std::is_move_constructible_v<space_type>);

constexpr bool works_in_constant_evaluation() {
    using parts = default_config<constexpr_machine>;
    frame_pool<constexpr_machine> frames{page_count{4}};
    parts::tables tables{page_count{12}};
    parts::reclaimer domain;
    auto good = true;
    {
        cpu me{domain};
        address_space<parts> space{frames, tables, domain};
        auto const at = space.mmap(me, {.pages = page_count{4}});
        if (!at) return false;
        auto const page = *frames.allocate(frame_kind::anonymous);
        auto const entry = page_entry::leaf_to(page, prot::rw);
        good = space.table().map(me, *at, entry, 0).has_value();
        space.note_mapped(entry, 1);
        auto const first = *page_span::from(*at, page_count{1});
        good = good && space.mprotect(me, first, prot::r).has_value();
        {
            auto const held = held_shared<parts::lock>::acquire(space.lock());
            auto const found = space.find(*at, held);
            good = good && found && found->view(held).prot == prot::r;
            good = good && space.vma_count(held) == 2 && space.resident().anonymous == 1;
        }
        good = good && space.dontneed(me, first).has_value() && space.resident().total() == 0;
        good = good && space.munmap(me, *page_span::from(*at, page_count{4})).has_value();
        space.exit(me);
        good = good && !space.valid() && frames.statistics().free == 4;
    }
    domain.drain();
    return good && tables.in_use() == 0;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("mmap answers where, and a lookup finds it") {
    world w;
    auto const at = w.map(4);
    auto const held = held_shared<lock_type>::acquire(w.space->lock());
    auto const found = w.space->find(at.plus(5000), held);
    REQUIRE(found);
    CHECK(found->view(held).span == pages_at(at, 4));
    CHECK_FALSE(w.space->find(at.plus_pages(4), held));
    CHECK_FALSE(w.space->find(virt_addr{~std::uint64_t{0}}, held));
    CHECK(w.space->vma_count(held) == 1);
}

TEST_CASE("mmap(2): errors change nothing") {
    world w;
    auto const at = w.map(4);
    w.touch(at);
    auto const mmap = [&](mmap_request const& request) {
        return w.space->mmap(*w.me, request).error();
    };
    auto const one = page_count{1};
    CHECK(mmap({.pages = page_count{0}}) == errc::invalid_argument);
    CHECK(mmap({.pages = page_count{megabyte * megabyte}}) == errc::no_memory);
    CHECK(mmap({.hint = at.plus(1), .pages = one, .flags = mmap_flag::fixed})
          == errc::invalid_argument);
    CHECK(mmap({.hint = at.plus_pages(3), .pages = one, .flags = mmap_flag::fixed_noreplace})
          == errc::exists);
    CHECK(mmap({.hint = w.space->limits().end, .pages = one, .flags = mmap_flag::fixed})
          == errc::no_memory);
    CHECK(mmap({.pages = page_count{2},
                .kind = vma_kind::file,
                .file = 1,
                .file_page = ~std::uint64_t{0} - 1})
          == errc::overflow);
    CHECK(w.mappings().size() == 1);
    CHECK(w.present(at));
}

TEST_CASE("mmap: a fixed mapping replaces what was there, pages and all") {
    world w;
    w.map_at(low, 10);
    auto const kept = w.touch(low);
    auto const gone = w.touch(low.plus_pages(5));
    w.map_at(low.plus_pages(4), 2, prot::r);
    auto const areas = w.mappings();
    REQUIRE(areas.size() == 3);
    CHECK(areas[0].span == pages_at(low, 4));
    CHECK(areas[1].span == pages_at(low.plus_pages(4), 2));
    CHECK(areas[1].prot == prot::r);
    CHECK(areas[2].span == pages_at(low.plus_pages(6), 4));
    CHECK(w.frames.ref_count(kept) == 1);
    CHECK(w.frames.ref_count(gone) == 0);
    CHECK_FALSE(w.present(low.plus_pages(5)));
}

TEST_CASE("mmap(2): too many mappings") {
    layout_limits limits;
    limits.max_map_count = 3;
    world w{64, 64, limits};
    for (std::uint64_t i = 0; i < 4; ++i) w.map_at(low.plus_pages(2 * i), 1);
    CHECK(w.space->mmap(*w.me, {.pages = page_count{1}}).error() == errc::no_memory);
    CHECK(w.space->munmap(*w.me, pages_at(low, 1)));
    CHECK(w.space->mmap(*w.me, {.pages = page_count{1}}));
}

TEST_CASE("munmap splits, drops pages, and frees tables nobody else needs") {
    world w;
    w.map_at(low, 512);
    std::vector<pfn> pages;
    for (std::uint64_t i = 0; i < 8; ++i) pages.push_back(w.touch(low.plus_pages(i)));
    auto const tables = w.tables.in_use();
    CHECK(w.space->resident().anonymous == 8);
    REQUIRE(w.space->munmap(*w.me, pages_at(low.plus_pages(2), 3)));
    CHECK(w.space->resident().anonymous == 5);
    auto const areas = w.mappings();
    REQUIRE(areas.size() == 2);
    CHECK(areas[0].span == pages_at(low, 2));
    CHECK(areas[1].span == pages_at(low.plus_pages(5), 507));
    for (std::size_t i = 0; i < 8; ++i) {
        CHECK(w.frames.ref_count(pages[i]) == (i >= 2 && i < 5 ? 0U : 1U));
    }
    w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() == tables);
    REQUIRE(w.space->munmap(*w.me, pages_at(low, 512)));
    CHECK(w.mappings().empty());
    CHECK(w.space->resident().total() == 0);
    CHECK(w.frames.statistics().free == 64);
    w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() == 1);
}

TEST_CASE("munmap keeps tables that a neighbour needs") {
    world w;
    w.map_at(low, 1);
    w.map_at(low.plus_pages(10), 1);
    w.touch(low);
    auto const page = w.touch(low.plus_pages(10));
    REQUIRE(w.space->munmap(*w.me, pages_at(low, 1)));
    CHECK(w.entry(low.plus_pages(10))->target == page);
}

TEST_CASE("munmap(2): errors") {
    world w;
    auto const at = w.map(4);
    auto const munmap = [&](page_span span) { return w.space->munmap(*w.me, span); };
    CHECK(munmap(pages_at(at, 0)).error() == errc::invalid_argument);
    CHECK(munmap(pages_at(w.space->limits().end, 1)).error() == errc::invalid_argument);
    auto const kernel = virt_addr{~std::uint64_t{0} - 16 * page_size + 1};
    CHECK(munmap(pages_at(kernel, 4)).error() == errc::invalid_argument);
    CHECK(munmap(pages_at(at.plus_pages(4), 10)));
    CHECK(munmap(pages_at(low, 1000)));
    CHECK(w.mappings().size() == 1);
}

TEST_CASE("munmap: a large leaf across an end is split, without memory for that nothing changes") {
    small_world<config> w{2048, 5};  // a root, two tables on the way, one for the other mapping
    w.map_at(low, 1024);
    auto const folio = w.touch(low, prot::rw, 1);
    w.touch(low.plus_pages(512));
    REQUIRE(w.tables.in_use() == 4);
    SECTION("with memory") {
        REQUIRE(w.space->munmap(*w.me, pages_at(low.plus_pages(100), 412)));
        CHECK(w.frames.ref_count(folio) == 100);
        CHECK(w.frames.map_count(folio) == 100);
        CHECK(w.present(low.plus_pages(99)));
        CHECK_FALSE(w.present(low.plus_pages(100)));
        CHECK(w.space->resident().anonymous == 101);
    }
    SECTION("without") {
        w.map_at(virt_addr{2 * low.value}, 1);
        auto const last = w.tables.allocate(0);
        REQUIRE(last);
        CHECK(w.space->munmap(*w.me, pages_at(low.plus_pages(100), 412)).error()
              == errc::no_memory);
        CHECK(w.mappings().size() == 2);
        CHECK(w.frames.ref_count(folio) == 512);
        w.tables.release(*last);
    }
}

TEST_CASE("6.2 row 14: translations are forgotten before pages are released") {
    small_world<watched_config> w;
    w.map_at(low, 4);
    w.touch(low);
    w.touch(low.plus_pages(3));
    REQUIRE(w.space->munmap(*w.me, pages_at(low, 4)));
    REQUIRE_FALSE(w.flush.spans.empty());
    CHECK(w.flush.spans.front() == pages_at(low, 4));
    w.flush.spans.clear();
    w.map_at(low, 4);
    REQUIRE(w.space->dontneed(*w.me, pages_at(low, 4)));
    CHECK(w.flush.spans.empty());
}

TEST_CASE("mprotect splits, and joins again") {
    world w;
    w.map_at(low, 10);
    for (std::uint64_t i = 0; i < 10; ++i) w.touch(low.plus_pages(i));
    auto const middle = pages_at(low.plus_pages(3), 4);
    REQUIRE(w.space->mprotect(*w.me, middle, prot::r));
    REQUIRE(w.mappings().size() == 3);
    CHECK(w.mappings()[1].span == middle);
    CHECK(w.entry(low.plus_pages(2))->writable);
    CHECK_FALSE(w.entry(low.plus_pages(3))->writable);
    CHECK(w.present(low.plus_pages(3)));
    REQUIRE(w.space->mprotect(*w.me, middle, prot::none));
    CHECK_FALSE(w.present(low.plus_pages(3)));
    CHECK(w.entry(low.plus_pages(3))->protnone);
    REQUIRE(w.space->mprotect(*w.me, middle, prot::rw));
    CHECK(w.mappings().size() == 1);
    CHECK(w.entry(low.plus_pages(3))->writable);
    CHECK(w.space->resident().anonymous == 10);
}

TEST_CASE("mprotect over several mappings joins them") {
    world w;
    w.map_at(low, 2, prot::r);
    w.map_at(low.plus_pages(2), 2, prot::rw);
    w.map_at(low.plus_pages(4), 2, prot::rwx);
    REQUIRE(w.space->mprotect(*w.me, pages_at(low.plus_pages(1), 4), prot::rx));
    REQUIRE(w.mappings().size() == 3);
    CHECK(w.mappings()[1].span == pages_at(low.plus_pages(1), 4));
    CHECK(w.mappings()[2].prot == prot::rwx);
}

TEST_CASE("mprotect(2): errors leave the mappings below changed, as Linux does") {
    world w;
    w.map_at(low, 2);
    w.map_at(low.plus_pages(3), 2);
    auto const mprotect = [&](page_span span, protection wanted) {
        return w.space->mprotect(*w.me, span, wanted);
    };
    CHECK(mprotect(pages_at(low, 0), prot::r));
    CHECK(mprotect(pages_at(low.plus_pages(2), 2), prot::r).error() == errc::no_memory);
    CHECK(w.mappings()[1].prot == prot::rw);
    CHECK(mprotect(pages_at(low, 5), prot::r).error() == errc::no_memory);
    CHECK(w.mappings()[0].prot == prot::r);
    CHECK(w.mappings()[1].prot == prot::rw);
    CHECK(mprotect(pages_at(w.space->limits().end, 1), prot::r).error() == errc::no_memory);
    auto const key = w.space->mprotect(*w.me, pages_at(low, 1), prot::r, std::uint8_t{16});
    CHECK(key.error() == errc::invalid_argument);
    REQUIRE(w.space->mmap(*w.me, {.hint = low.plus_pages(2),
                                  .pages = page_count{1},
                                  .prot = prot::r,
                                  .flags = mmap_flag::fixed,
                                  .may = prot::r}));
    CHECK(mprotect(pages_at(low, 5), prot::rwx).error() == errc::access_denied);
    CHECK(w.mappings()[0].prot == prot::rwx);
    CHECK(w.mappings()[2].prot == prot::rw);
}

TEST_CASE("pkey_mprotect writes the key into mapping and entry, mprotect keeps it") {
    world w;
    auto const at = w.map(2);
    w.touch(at);
    REQUIRE(w.space->mprotect(*w.me, pages_at(at, 1), prot::rw, std::uint8_t{7}));
    CHECK(w.mappings()[0].pkey == 7);
    CHECK(w.entry(at)->pkey == 7);
    REQUIRE(w.space->mprotect(*w.me, pages_at(at, 2), prot::r));
    CHECK(w.mappings()[0].pkey == 7);
    CHECK(w.mappings()[1].pkey == 0);
}

TEST_CASE("a fault source is given to mappings, which are split and joined as needed") {
    struct anything : fault_source {
        anything() : fault_source{source_kind::custom} {}
    } source;
    world w;
    w.map_at(low, 10);
    w.map_at(low.plus_pages(12), 4);
    REQUIRE(w.space->set_source(*w.me, pages_at(low.plus_pages(8), 6), &source));
    auto const areas = w.mappings();
    REQUIRE(areas.size() == 4);
    CHECK(areas[0].source == nullptr);
    CHECK(areas[1].span == pages_at(low.plus_pages(8), 2));
    CHECK(areas[1].source == &source);
    CHECK(areas[2].span == pages_at(low.plus_pages(12), 2));
    CHECK(areas[2].source == &source);
    CHECK(areas[3].source == nullptr);
    REQUIRE(w.space->set_source(*w.me, pages_at(low, 100), nullptr));
    CHECK(w.mappings().size() == 2);
    CHECK(w.space->set_source(*w.me, pages_at(low, 0), nullptr).error()
          == errc::invalid_argument);
    CHECK(w.space->set_source(*w.me, pages_at(w.space->limits().end, 1), nullptr).error()
          == errc::invalid_argument);
}

TEST_CASE("dontneed drops pages and keeps mappings, empty tables go") {
    world w{2048};
    w.map_at(low, 2048);
    auto const alone = w.tables.in_use();
    auto const page = w.touch(low.plus_pages(5));
    w.touch(low.plus_pages(512), prot::rw, 1);
    w.touch(low.plus_pages(1100));
    CHECK(w.space->resident().anonymous == 514);
    REQUIRE(w.space->dontneed(*w.me, pages_at(low.plus_pages(5), 1)));
    CHECK(w.frames.ref_count(page) == 0);
    w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() == alone + 4);
    REQUIRE(w.space->dontneed(*w.me, pages_at(low, 2048)));
    CHECK(w.frames.statistics().free == 2048);
    CHECK(w.mappings().size() == 1);
    w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() == alone + 3);  // the table that was empty before stays: nothing was there
}

TEST_CASE("madvise(2): a hole is an error after everything else is done") {
    world w;
    w.map_at(low, 2);
    w.map_at(low.plus_pages(4), 2);
    w.touch(low);
    w.touch(low.plus_pages(5));
    CHECK(w.space->dontneed(*w.me, pages_at(low, 6)).error() == errc::no_memory);
    CHECK(w.frames.statistics().free == 64);
    CHECK(w.space->dontneed(*w.me, pages_at(low, 7)).error() == errc::no_memory);
    CHECK(w.space->dontneed(*w.me, pages_at(low.plus_pages(2), 1)).error() == errc::no_memory);
    CHECK(w.space->dontneed(*w.me, pages_at(low, 0)));
    CHECK(w.space->dontneed(*w.me, pages_at(w.space->limits().end, 9)).error() == errc::no_memory);
}

TEST_CASE("madvise(2): a mapping whose pages must stay is an error at once") {
    world w;
    w.map_at(low, 1);
    REQUIRE(w.space->mmap(*w.me, {.hint = low.plus_pages(1),
                                  .pages = page_count{1},
                                  .flags = mmap_flag::fixed,
                                  .properties = vma_flag::locked}));
    w.map_at(low.plus_pages(2), 1);
    for (std::uint64_t i = 0; i < 3; ++i) w.touch(low.plus_pages(i));
    CHECK(w.space->dontneed(*w.me, pages_at(low, 3)).error() == errc::invalid_argument);
    CHECK_FALSE(w.present(low));
    CHECK(w.present(low.plus_pages(1)));
    CHECK(w.present(low.plus_pages(2)));
}

TEST_CASE("a pinned page outlives its mapping") {
    world w;
    auto const at = w.map(1);
    auto const page = w.touch(at);
    REQUIRE(w.frames.try_grab(page, 1, holding::pin));
    REQUIRE(w.space->munmap(*w.me, pages_at(at, 1)));
    CHECK(w.frames.pin_count(page) == 1);
    CHECK(w.frames.kind(page) == frame_kind::anonymous);
    w.frames.unpin(page);
    CHECK(w.frames.statistics().free == 64);
}

TEST_CASE("6.1 exit: everything goes, and the space answers no_memory from then on") {
    world w;
    w.map(10);
    auto const at = w.map(10, prot::r);
    w.touch(at);
    w.space->exit(*w.me);
    CHECK_FALSE(w.space->valid());
    CHECK(w.frames.statistics().free == 64);
    CHECK(w.space->resident().total() == 0);
    CHECK(w.mappings().empty());
    w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() == 0);
    w.space->exit(*w.me);
    CHECK(w.space->mmap(*w.me, {.pages = page_count{1}}).error() == errc::no_memory);
    CHECK(w.space->munmap(*w.me, pages_at(at, 1)).error() == errc::no_memory);
}

TEST_CASE("the destructor does what exit does") {
    world w;
    auto const at = w.map(10);
    w.touch(at);
    w.space.reset();
    CHECK(w.frames.statistics().free == 64);
    w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() == 0);
}

TEST_CASE("a space without memory for its root is not valid") {
    frame_pool<machine> frames{page_count{4}};
    config::tables tables{page_count{0}};
    config::reclaimer domain;
    cpu me{domain};
    space_type space{frames, tables, domain};
    CHECK_FALSE(space.valid());
    CHECK(space.mmap(me, {.pages = page_count{1}}).error() == errc::no_memory);
    CHECK(space.dontneed(me, pages_at(low, 1)).error() == errc::no_memory);
    space.exit(me);
}

TEST_CASE("a witness of another lock, or of none, is not accepted") {
    world w;
    lock_type other;
    auto foreign = held_exclusive<lock_type>::acquire(other);
    auto const span = pages_at(low, 1);
    auto const all_refuse = [&](held_exclusive<lock_type> const& held) {
        mmap_request const request{.pages = page_count{1}};
        CHECK(w.space->mmap_locked(held, *w.me, request).error() == errc::lock_not_held);
        CHECK(w.space->munmap_locked(held, *w.me, span).error() == errc::lock_not_held);
        CHECK(w.space->mprotect_locked(held, *w.me, span, prot::r).error() == errc::lock_not_held);
        CHECK(w.space->dontneed_locked(held, *w.me, span).error() == errc::lock_not_held);
    };
    all_refuse(foreign);
    auto own = held_exclusive<lock_type>::acquire(w.space->lock());
    auto const gone = own.give_up();
    CHECK(gone.of(w.space->lock()));
    all_refuse(own);
}

TEST_CASE("several changes under one hold") {
    world w;
    auto const held = held_exclusive<lock_type>::acquire(w.space->lock());
    auto const at = *w.space->mmap_locked(held, *w.me, {.pages = page_count{4}});
    CHECK(w.space->mprotect_locked(held, *w.me, pages_at(at, 2), prot::none));
    CHECK(w.space->dontneed_locked(held, *w.me, pages_at(at, 4)));
    CHECK(w.space->munmap_locked(held, *w.me, pages_at(at.plus_pages(1), 2)));
    CHECK(w.space->vma_count(held) == 2);
    w.space->exit_locked(held, *w.me);
    CHECK(w.space->vma_count(held) == 0);
}

TEST_CASE("a fatal signal ends the wait for the lock, and nothing has changed") {
    world w;
    auto const held = held_shared<lock_type>::acquire(w.space->lock());
    w.me->current().kill();
    CHECK(w.space->mmap(*w.me, {.pages = page_count{1}}).error() == errc::interrupted);
    CHECK(w.space->munmap(*w.me, pages_at(low, 1)).error() == errc::interrupted);
    CHECK(w.space->mprotect(*w.me, pages_at(low, 1), prot::r).error() == errc::interrupted);
}

TEST_CASE("a lock that cannot be waited for is tried once") {
    struct timid_lock {
        bool try_lock_shared() { return !taken && ++readers > 0; }
        void unlock_shared() { --readers; }
        bool try_lock() { return !std::exchange(taken, true); }
        void unlock() { taken = false; }
        bool taken = false;
        int readers = 0;
    };
    struct try_config : config {
        using lock = timid_lock;
    };
    small_world<try_config> w;
    auto const at = w.map(2);
    w.touch(at);
    {
        auto const held = held_exclusive<timid_lock>::try_acquire(w.space->lock());
        CHECK(w.space->mmap(*w.me, {.pages = page_count{1}}).error() == errc::again);
        CHECK(w.space->munmap(*w.me, pages_at(at, 1)).error() == errc::again);
        CHECK(w.space->mprotect(*w.me, pages_at(at, 1), prot::r).error() == errc::again);
        CHECK(w.space->dontneed(*w.me, pages_at(at, 1)).error() == errc::again);
    }
    CHECK(w.space->dontneed(*w.me, pages_at(at, 1)));
    CHECK(w.space->munmap(*w.me, pages_at(at, 1)));
}

TEST_CASE("mappings and unmappings are reported") {
    struct observed_config : config {
        using observer = ring_buffer<machine>;
    };
    frame_pool<machine> frames{page_count{4}};
    config::tables tables{page_count{16}};
    config::reclaimer domain;
    ring_buffer<machine> events{16};
    no_flush flush;
    {
        cpu me{domain};
        address_space<observed_config> space{frames, tables, domain, events, flush};
        auto const at = *space.mmap(me, {.pages = page_count{3}});
        REQUIRE(space.munmap(me, pages_at(at, 2)));
        REQUIRE(space.munmap(me, pages_at(at, 2)));
        std::vector<event> seen;
        events.for_each([&](event const& one) { seen.push_back(one); });
        REQUIRE(seen.size() == 2);
        CHECK(seen[0].kind == event_kind::mapped);
        CHECK(seen[0].subject == at.value);
        CHECK(seen[0].value == 3);
        CHECK(seen[0].actor == me.id());
        CHECK(seen[1].kind == event_kind::unmapped);
        CHECK(seen[1].value == 2);
    }
    domain.drain();
}

TEST_CASE("5.1 item 2: the mark that something was pinned") {
    world w;
    CHECK_FALSE(w.space->has_pinned());
    w.space->set_has_pinned();
    w.space->set_has_pinned();
    CHECK(w.space->has_pinned());
    CHECK_FALSE(w.space->write_protect_seq().read_begin().writing());
}

TEST_CASE("two spaces share frames and tables, not mappings") {
    world w;
    {
        space_type other{w.frames, w.tables, w.domain};
        auto const at = w.map(2);
        CHECK(*other.mmap(*w.me, {.pages = page_count{2}}) == at);
        w.touch(at);
        REQUIRE(other.munmap(*w.me, pages_at(at, 2)));
        CHECK(w.present(at));
    }
    CHECK(w.frames.statistics().free == 63);
}

TEST_CASE("5-level tables reach above 47 bits") {
    struct five : config {
        using format = x86_64<5>;
        using tables = host_tables<format, reclaimer>;
    };
    small_world<five> w{64, 64, layout_limits::of(57)};
    auto const high = virt_addr{std::uint64_t{1} << 55U};
    w.map_at(high, 4);
    auto const page = w.touch(high);
    CHECK(w.entry(high)->target == page);
    REQUIRE(w.space->munmap(*w.me, pages_at(high, 4)));
    w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() == 1);
}

TEST_CASE("threads that map, touch, protect, discard and unmap leave nothing behind") {
    world w{512, 512};
    std::atomic<int> failures{0};
    auto const work = [&](std::uint64_t who) {
        cpu me{w.domain};
        auto const at = virt_addr{low.value * (who + 1)};
        for (int round = 0; round < 300; ++round) {
            mmap_request const request{.hint = at, .pages = page_count{16}, .flags = mmap_flag::fixed};
            if (!w.space->mmap(me, request)) ++failures;
            for (std::uint64_t i = 0; i < 16; i += 3) {
                auto const page = w.frames.allocate(frame_kind::anonymous);
                if (!page) continue;
                auto const held = held_shared<lock_type>::acquire(w.space->lock());
                auto const entry = page_entry::leaf_to(*page, prot::rw);
                auto leaf = w.space->table().lock_leaf(me, at.plus_pages(i), 0, if_absent::create);
                if (!leaf) continue;
                (void)leaf->replace(entry);
                w.space->note_mapped(entry, 1);
            }
            if (!w.space->mprotect(me, pages_at(at.plus_pages(2), 9), prot::r)) ++failures;
            if (!w.space->dontneed(me, pages_at(at.plus_pages(5), 6))) ++failures;
            if (round % 2 == 0 && !w.space->munmap(me, pages_at(at, 16))) ++failures;
        }
        if (!w.space->munmap(me, pages_at(at, 16))) ++failures;
    };
    std::thread first{work, 0};
    std::thread second{work, 1};
    first.join();
    second.join();
    CHECK(failures == 0);
    CHECK(w.frames.statistics().free == 512);
    CHECK(w.space->resident().total() == 0);
    w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() <= 1 + 3);
}

TEST_CASE("unmap_all: the space is as good as new") {
    world w;
    auto const at = w.map_at(low, 3);
    w.map_at(low.plus(megabyte * 512), 600);
    w.touch(at);
    w.touch(low.plus(megabyte * 512).plus_pages(599));
    {
        auto const held = held_exclusive<lock_type>::acquire(w.space->lock());
        w.space->unmap_all_locked(held, *w.me);
        CHECK(w.space->vma_count(held) == 0);
    }
    w.domain.drain();
    CHECK(w.space->valid());
    CHECK(w.space->resident().total() == 0);
    CHECK(w.frames.statistics().free == 64);
    CHECK(w.tables.in_use() == 1);
    CHECK(w.map_at(low, 3) == low);
}
