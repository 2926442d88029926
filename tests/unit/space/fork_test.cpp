// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/page_source.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/swap_out.hpp>

#include "family_world.hpp"
#include <cstdint>

using namespace mmhold;
using namespace mmhold_test;

namespace {

using world = family_world;
using space_type = world::space_type;

constexpr bool works_in_constant_evaluation() {
    using parts = default_config<constexpr_machine>;
    frame_pool<constexpr_machine> frames{page_count{4}};
    parts::tables tables{page_count{24}};
    parts::reclaimer domain;
    auto good = true;
    {
        cpu me{domain};
        address_space<parts> parent{frames, tables, domain};
        address_space<parts> child{frames, tables, domain};
        auto const at = parent.mmap(me, {.pages = page_count{2}});
        if (!at) return false;
        auto const page = *frames.allocate(frame_kind::anonymous);
        frames.set_exclusive(page);
        auto const entry = page_entry::leaf_to(page, prot::rw);
        good = parent.table().map(me, *at, entry, 0).has_value();
        parent.note_mapped(entry, 1);
        good = good && fork(me, parent, child).has_value();
        good = good && frames.ref_count(page) == 2 && frames.map_count(page) == 2;
        good = good && !frames.exclusive(page) && child.resident().anonymous == 1;
        parent.exit(me);
        child.exit(me);
        good = good && frames.statistics().free == 4;
    }
    domain.drain();
    return good && tables.in_use() == 0;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("fork: the child has the parent's mappings and contents") {
    world w;
    w.map(0, 4, {.pkey = 3, .name = vma_name{"buffer"}});
    w.map(10, 2, {.prot = prot::r});
    w.store(w.parent, w.page(1), 7);
    REQUIRE(w.forks());
    CHECK(w.mappings(w.child) == w.mappings(w.parent));
    CHECK(w.load(w.child, w.page(1)) == 7);
    CHECK(w.child.resident().anonymous == 1);
    CHECK(w.touch(w.child, w.page(0), access::write) == errc::ok);
    CHECK(w.touch(w.child, w.page(10), access::write) == errc::bad_address);
    CHECK(w.touch(w.child, w.page(5), access::read) == errc::bad_address);
}

TEST_CASE("fork: a page is shared until one of them writes") {
    world w;
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    auto const page = w.entry(w.parent, w.page(0)).target;
    REQUIRE(w.forks());
    CHECK(w.frames.counts(page) == frame_counts{2, 0});
    CHECK(w.frames.map_count(page) == 2);
    CHECK_FALSE(w.frames.exclusive(page));
    for (auto* space : {&w.parent, &w.child}) {
        CHECK(w.entry(*space, w.page(0)).target == page);
        CHECK_FALSE(w.entry(*space, w.page(0)).writable);
        CHECK(w.entry(*space, w.page(0)).dirty);
    }
    w.store(w.parent, w.page(0), 2);
    CHECK(w.load(w.child, w.page(0)) == 1);
    CHECK(w.entry(w.parent, w.page(0)).target != page);
    w.store(w.child, w.page(0), 3);  // the last one: no copy
    CHECK(w.entry(w.child, w.page(0)).target == page);
    CHECK(w.frames.exclusive(page));
    CHECK(w.load(w.parent, w.page(0)) == 2);
}

TEST_CASE("fork: what changed in the parent is flushed, the child's needs none") {
    world w;
    w.map(0, 600);
    w.store(w.parent, w.page(1), 1);
    w.store(w.parent, w.page(599), 1);
    CHECK(w.load(w.parent, w.page(300)) == 0);  // the zero page: cannot be written anyway
    w.flush.spans.clear();
    REQUIRE(w.forks());
    REQUIRE(w.flush.spans.size() == 1);
    CHECK(w.flush.spans[0] == w.span(1, 599));
    CHECK(w.childs_flush.spans.empty());
    CHECK(w.entry(w.child, w.page(300)).special);
    CHECK(w.child.resident().anonymous == 2);
}

TEST_CASE("fork, 6.2 #8: a pinned page stays the parent's, the child gets a copy at once") {
    world w;
    w.map(0, 2);
    w.store(w.parent, w.page(0), 1);
    w.store(w.parent, w.page(1), 5);
    auto const held = w.pin(w.parent, w.page(0), gup_flag::write);
    REQUIRE(w.forks());
    CHECK(w.entry(w.parent, w.page(0)).target == held);
    CHECK(w.entry(w.parent, w.page(0)).writable);
    CHECK(w.frames.exclusive(held));
    CHECK(w.frames.map_count(held) == 1);
    auto const copy = w.entry(w.child, w.page(0));
    CHECK(copy.target != held);
    CHECK(copy.writable);
    CHECK(w.frames.exclusive(copy.target));
    CHECK(w.frames.counts(copy.target) == frame_counts{1, 0});
    CHECK(w.entry(w.child, w.page(1)).target == w.entry(w.parent, w.page(1)).target);
    w.store(w.parent, w.page(0), 2);  // what a device sees
    CHECK(w.frames.bytes(held).front() == std::byte{2});
    CHECK(w.load(w.child, w.page(0)) == 1);
    CHECK(w.parent.has_pinned());
    CHECK_FALSE(w.child.has_pinned());
    w.frames.unpin(held);
}

TEST_CASE("fork: a page that is pinned for reading only is copied as well") {
    world w;
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 1), prot::r));
    auto const held = w.pin(w.parent, w.page(0), {});
    REQUIRE(w.forks());
    CHECK(w.frames.exclusive(held));
    CHECK(w.entry(w.child, w.page(0)).target != held);
    CHECK_FALSE(w.entry(w.child, w.page(0)).writable);
    w.frames.unpin(held);
}

TEST_CASE("fork: 1024 references are no pin in a space that has never pinned") {
    world w;
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    auto const page = w.entry(w.parent, w.page(0)).target;
    w.frames.get(page, 2000);
    REQUIRE(w.frames.maybe_pinned(page));
    REQUIRE(w.forks());
    CHECK(w.entry(w.child, w.page(0)).target == page);
    w.frames.put(page, 2000);
}

TEST_CASE("fork: a page that was pinned and is not any more is shared") {
    world w;
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    auto const page = w.pin(w.parent, w.page(0), gup_flag::write);
    w.frames.unpin(page);
    REQUIRE(w.forks());
    CHECK(w.entry(w.child, w.page(0)).target == page);
    CHECK_FALSE(w.frames.exclusive(page));
}

TEST_CASE("fork: pages of shared mappings are shared for ever") {
    world w;
    w.map(0, 2, {.flags = mmap_flag::shared});
    w.store(w.parent, w.page(0), 1);
    REQUIRE(w.forks());
    CHECK(w.entry(w.parent, w.page(0)).writable);
    CHECK(w.entry(w.child, w.page(0)).none());  // its object shows it, as soon as it is wanted
    w.store(w.child, w.page(0), 9);
    CHECK(w.load(w.parent, w.page(0)) == 9);
}

TEST_CASE("fork: of an object's private mapping only the copies are copied") {
    world w;
    page_cache<space_type> object{w.frames, object_kind::shmem, 4 * page_size};
    auto const map = [&](std::uint64_t at, mmap_flags how) {
        auto const asked = object.request(0, page_count{2}, prot::rw, how);
        w.map(at, 2, asked);
    };
    map(0, mmap_flag::shared);
    map(4, {});
    w.store(w.parent, w.page(0), 1);
    w.store(w.parent, w.page(1), 2);
    CHECK(w.load(w.parent, w.page(4)) == 1);
    w.store(w.parent, w.page(5), 3);  // a copy
    REQUIRE(w.forks());
    CHECK(w.entry(w.child, w.page(0)).none());
    CHECK(w.entry(w.child, w.page(4)).none());
    CHECK(w.entry(w.child, w.page(5)).target == w.entry(w.parent, w.page(5)).target);
    CHECK(w.load(w.child, w.page(5)) == 3);
    w.store(w.child, w.page(0), 7);
    CHECK(w.load(w.parent, w.page(0)) == 7);
    CHECK(w.load(w.parent, w.page(4)) == 7);
    w.store(w.parent, w.page(5), 4);
    CHECK(w.load(w.child, w.page(5)) == 3);
    CHECK(w.load(w.parent, w.page(1)) == 2);
    w.child.exit(w.me);
    w.parent.exit(w.me);
}

TEST_CASE("fork: shared memory without an object is shared as far as it is present") {
    world w;
    page_source<space_type> driver{w.parent};
    w.map(0, 2, {.flags = mmap_flag::shared, .source = &driver});
    auto const page = *w.frames.allocate(frame_kind::other);
    auto const leaf = page_entry::leaf_to(page, prot::rw);
    REQUIRE(w.parent.table().map(w.me, w.page(0), leaf, 0));
    w.parent.note_mapped(leaf, 1);
    REQUIRE(w.forks());
    CHECK(w.entry(w.parent, w.page(0)).writable);
    CHECK(w.entry(w.child, w.page(0)).writable);
    CHECK_FALSE(w.entry(w.child, w.page(0)).dirty);
    CHECK(w.frames.ref_count(page) == 2);
}

TEST_CASE("fork(2): MADV_DONTFORK, MADV_WIPEONFORK, and locked memory") {
    world w;
    w.map(0, 1, {.properties = vma_flag::dont_fork});
    w.map(1, 1, {.properties = vma_flag::wipe_on_fork});
    w.map(2, 1, {.properties = vma_flag::locked});
    for (auto n : {0U, 1U, 2U}) w.store(w.parent, w.page(n), 4);
    REQUIRE(w.forks());
    CHECK(w.touch(w.child, w.page(0), access::read) == errc::bad_address);
    CHECK(w.load(w.child, w.page(1)) == 0);
    CHECK(w.load(w.child, w.page(2)) == 4);
    REQUIRE(w.mappings(w.child).size() == 2);
    CHECK(w.mappings(w.child)[1].flags == vma_flags{});
    CHECK(w.entry(w.parent, w.page(0)).writable);
    CHECK(w.entry(w.parent, w.page(1)).writable);
}

TEST_CASE("fork: what has become alike in the child stays two mappings") {
    world w;
    w.map(0, 2);
    REQUIRE(w.parent.set_locked(w.me, w.span(0, 1), mark_locked::yes));
    REQUIRE(w.forks());
    auto const childs = w.mappings(w.child);
    REQUIRE(childs.size() == 2);
    CHECK(mergeable(childs[0], childs[1]));
}

TEST_CASE("fork: who inherits pages is not joined with what never had any") {
    world w;
    w.map(0, 1);
    w.map(2, 1);
    w.map(4, 1, {.properties = vma_flag::wipe_on_fork});
    w.store(w.parent, w.page(0), 1);
    w.store(w.parent, w.page(4), 1);
    REQUIRE(w.forks());
    auto const maps_at = [&w](auto& space, std::uint64_t first, vma_flags how = {}) {
        REQUIRE(space.mmap(w.me, {.hint = w.page(first),
                                  .pages = page_count{1},
                                  .flags = mmap_flag::fixed,
                                  .properties = how}));
    };
    maps_at(w.child, 1);
    maps_at(w.child, 5, vma_flag::wipe_on_fork);
    CHECK(w.mappings(w.child).size() == 3);
    CHECK(w.mappings(w.child)[1].span == w.span(1, 2));
    CHECK(w.mappings(w.child)[2].span == w.span(4, 2));
    maps_at(w.parent, 1);
    CHECK(w.mappings(w.parent)[0].span == w.span(0, 3));
}

TEST_CASE("fork: PROT_NONE pages are shared too, and come back with mprotect") {
    world w;
    w.map(0, 1);
    w.store(w.parent, w.page(0), 6);
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 1), prot::none));
    REQUIRE(w.forks());
    auto const page = w.entry(w.parent, w.page(0)).target;
    CHECK(w.entry(w.child, w.page(0)).protnone);
    for (auto* space : {&w.parent, &w.child}) {
        REQUIRE(space->mprotect(w.me, w.span(0, 1), prot::rw));
        CHECK_FALSE(w.entry(*space, w.page(0)).writable);  // 9.1 #2
    }
    w.store(w.child, w.page(0), 7);
    CHECK(w.load(w.parent, w.page(0)) == 6);
    CHECK(w.entry(w.parent, w.page(0)).target == page);
}

TEST_CASE("fork: a large leaf is shared whole, and split where it is pinned") {
    world w{2048};
    w.map(0, 512);
    auto const page = *w.frames.allocate(frame_kind::anonymous, 9);
    for (std::uint64_t i = 0; i < 512; ++i) w.frames.set_exclusive(page.plus(i));
    w.frames.get(page, 511);
    auto const leaf = page_entry::leaf_to(page, prot::rw);
    REQUIRE(w.parent.table().map(w.me, w.base, leaf, 1));
    w.parent.note_mapped(leaf, 512);
    SECTION("shared") {
        REQUIRE(w.forks());
        CHECK(w.frames.ref_count(page) == 1024);
        CHECK(w.frames.map_count(page) == 1024);
        CHECK(w.child.resident().anonymous == 512);
        CHECK_FALSE(w.frames.exclusive(page.plus(511)));
        CHECK_FALSE(w.entry(w.parent, w.page(5)).writable);
        w.store(w.child, w.page(5), 1);  // splits, copies one page
        CHECK(w.load(w.parent, w.page(5)) == 0);
        CHECK(w.entry(w.child, w.page(6)).target == page.plus(6));
    }
    SECTION("pinned") {
        auto const held = w.pin(w.parent, w.page(5), gup_flag::write);
        CHECK(held == page.plus(5));
        REQUIRE(w.forks());
        CHECK(w.frames.counts(page) == frame_counts{513, 1});
        CHECK(w.frames.exclusive(held));
        CHECK(w.entry(w.parent, w.page(5)).writable);
        CHECK(w.frames.map_count(page) == 512);
        CHECK(w.child.resident().anonymous == 512);
        w.frames.unpin(held);
    }
    SECTION("the vma ends inside it") {
        REQUIRE(w.parent.mprotect(w.me, w.span(256, 256), prot::rw, 1));
        REQUIRE(w.forks());
        CHECK(w.frames.map_count(page) == 1024);
    }
}

TEST_CASE("fork: a process and its children form generations") {
    world w;
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    REQUIRE(w.forks());
    REQUIRE(fork(w.me, w.child, w.grandchild));
    auto const page = w.entry(w.parent, w.page(0)).target;
    CHECK(w.frames.map_count(page) == 3);
    w.child.exit(w.me);
    w.store(w.grandchild, w.page(0), 3);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    w.store(w.parent, w.page(0), 2);
    CHECK(w.entry(w.parent, w.page(0)).target == page);
}

TEST_CASE("fork: without memory for tables the child is empty and the parent unharmed") {
    for (std::uint64_t tables = 5; tables < 14; ++tables) {
        world w{16, tables};
        w.map(0, 1);
        w.map(512, 2);
        if (w.touch(w.parent, w.page(0), access::write) != errc::ok) continue;
        if (w.touch(w.parent, w.page(512), access::write) != errc::ok) continue;
        w.byte_at(w.parent, w.page(0)) = std::byte{1};
        auto const forked = w.forks();
        INFO(tables << " tables");
        CHECK(forked.has_value() == (tables >= 11));
        if (forked) continue;
        CHECK(forked.error() == errc::no_memory);
        CHECK(w.child.valid());
        CHECK(w.mappings(w.child).empty());
        CHECK(w.child.resident().total() == 0);
        CHECK(w.load(w.parent, w.page(0)) == 1);
        auto const page = w.entry(w.parent, w.page(0)).target;
        CHECK(w.frames.counts(page) == frame_counts{1, 0});
        w.store(w.parent, w.page(0), 2);
        CHECK(w.entry(w.parent, w.page(0)).target == page);  // taken back, not copied
        CHECK_FALSE(w.parent.write_protect_seq().read_begin().writing());
    }
}

TEST_CASE("fork: without a frame for the early copy the child is empty, and fork works later") {
    world w{2};
    w.map(0, 2);
    w.store(w.parent, w.page(0), 1);
    w.store(w.parent, w.page(1), 2);
    auto const held = w.pin(w.parent, w.page(1), gup_flag::write);
    REQUIRE(w.forks().error() == errc::no_memory);
    CHECK(w.mappings(w.child).empty());
    CHECK(w.frames.counts(held) == frame_counts{1025, 1});
    CHECK(w.frames.exclusive(held));
    w.frames.unpin(held);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    REQUIRE(w.forks());
    CHECK(w.load(w.child, w.page(1)) == 2);
}

TEST_CASE("fork: sources serve the child too, but a userfault serves one space only") {
    world w;
    userfault<space_type> pager{w.parent};
    page_source<space_type> disk{w.parent};
    w.map(0, 1);
    w.map(1, 1, {.source = &disk});
    REQUIRE(pager.register_range(w.me, w.span(0, 1)));
    REQUIRE(w.forks());
    auto const areas = w.mappings(w.child);
    REQUIRE(areas.size() == 2);
    CHECK(areas[0].source == nullptr);
    CHECK(areas[1].source == &disk);
    CHECK(w.load(w.child, w.page(0)) == 0);
    REQUIRE(pager.close(w.me));
}

TEST_CASE("fork: an heir gives the child a userfault of its own") {
    world w;
    userfault<space_type> pager{w.parent};
    userfault<space_type> childs{w.child};
    w.map(0, 1);
    REQUIRE(pager.register_range(w.me, w.span(0, 1)));
    auto const heir = [&](vma const& area) -> fault_source* {
        CHECK(area.source == &pager);
        return &childs;
    };
    REQUIRE(fork(w.me, w.parent, w.child, heir));
    REQUIRE(w.mappings(w.child).size() == 1);
    CHECK(w.mappings(w.child)[0].source == &childs);
    REQUIRE(pager.close(w.me));
    REQUIRE(childs.close(w.me));
}

TEST_CASE("fork: the userfault write protection goes with the userfault") {
    world w;
    userfault<space_type> childs{w.child};
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    {
        auto leaf = w.parent.table().lock_leaf(w.me, w.page(0), 0, if_absent::fail);
        auto guarded = leaf->read();
        guarded.uffd_wp = true;
        guarded.writable = false;
        (void)leaf->replace(guarded);
    }
    REQUIRE(w.forks());
    CHECK_FALSE(w.entry(w.child, w.page(0)).uffd_wp);
    CHECK(w.entry(w.parent, w.page(0)).uffd_wp);
    REQUIRE(w.parent.set_source(w.me, w.span(0, 1), &childs));
    REQUIRE(fork(w.me, w.parent, w.grandchild, [](vma const& area) { return area.source; }));
    CHECK(w.entry(w.grandchild, w.page(0)).uffd_wp);
    for (auto* space : {&w.parent, &w.grandchild}) {
        REQUIRE(space->set_source(w.me, w.span(0, 1), nullptr));
    }
}

TEST_CASE("fork: markers that count nothing are copied") {
    world w;
    w.map(0, 1);
    auto const marker = page_entry::marker_for(20, 77);
    REQUIRE(w.parent.table().map(w.me, w.page(0), marker, 0));
    REQUIRE(w.forks());
    CHECK(w.entry(w.child, w.page(0)) == marker);
    CHECK(w.child.resident().total() == 0);
}

TEST_CASE("fork: what cannot be a child is refused, and nothing happens") {
    world w;
    w.map(0, 1);
    CHECK(fork(w.me, w.parent, w.parent).error() == errc::invalid_argument);
    CHECK(fork(w.me, w.grandchild, w.parent).error() == errc::invalid_argument);
    world other;
    CHECK(fork(w.me, w.parent, other.parent).error() == errc::invalid_argument);
    auto parents = held_exclusive<world::lock_type>::acquire(w.parent.lock());
    auto childs = held_exclusive<world::lock_type>::acquire(w.child.lock());
    auto const wrong = fork_locked(childs, parents, w.me, w.parent, w.child);
    CHECK(wrong.error() == errc::lock_not_held);
    REQUIRE(fork_locked(parents, childs, w.me, w.parent, w.child));
    w.child.exit_locked(childs, w.me);
    CHECK(fork_locked(parents, childs, w.me, w.parent, w.child).error() == errc::no_memory);
}

TEST_CASE("fork: the child's limits are kept") {
    world w;
    w.map(0, 1);
    w.map(5, 1);
    w.map(7, 1);  // Linux admits one more than the limit
    layout_limits limits;
    limits.max_map_count = 1;
    space_type small{w.frames, w.tables, w.domain, w.nobody, w.childs_flush, limits};
    CHECK(fork(w.me, w.parent, small).error() == errc::no_memory);
    CHECK(w.mappings(small).empty());
    small.exit(w.me);
}

TEST_CASE("9.1 #9 to #14: a page pinned for reading is the page its owner writes to") {
    world w;
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    enum class history { shared, shared_before, exclusive };
    auto const past = GENERATE(history::shared, history::shared_before, history::exclusive);
    auto const lockless = GENERATE(0, 1);
    if (past != history::exclusive) REQUIRE(w.forks());
    if (past == history::shared_before) w.child.exit(w.me);
    if (past == history::exclusive) {
        REQUIRE(w.parent.mprotect(w.me, w.span(0, 1), prot::r));
    }
    std::array<pfn, 1> out{};
    auto const got = lockless != 0 ? pin_fast(w.parent, w.me, w.span(0, 1), {}, out)
                                   : pin_unlocked(w.parent, w.me, w.span(0, 1), {}, out);
    REQUIRE(got.pages == 1);
    CHECK(w.frames.exclusive(out[0]));
    if (past == history::exclusive) {
        REQUIRE(w.parent.mprotect(w.me, w.span(0, 1), prot::rw));
    }
    w.store(w.parent, w.page(0), 2);
    CHECK(w.entry(w.parent, w.page(0)).target == out[0]);
    CHECK(w.frames.bytes(out[0]).front() == std::byte{2});
    if (past == history::shared) CHECK(w.load(w.child, w.page(0)) == 1);
    w.frames.unpin(out[0]);
}

TEST_CASE("9.1 #1: what is shared and swapped out stays apart when it is read back") {
    world w;
    memory_swap<world::machine> disk{page_count{4}, frame_bytes::owned};
    w.parent.use_swap(disk);
    w.child.use_swap(disk);
    w.map(0, 1);
    w.store(w.parent, w.page(0), 1);
    REQUIRE(page_out(w.me, w.parent, w.span(0, 1)).value_or(0) == 1);
    REQUIRE(w.forks());
    CHECK(is_swapped(w.entry(w.child, w.page(0))));
    w.store(w.parent, w.page(0), 2);
    w.store(w.child, w.page(0), 3);
    CHECK(w.load(w.parent, w.page(0)) == 2);
    CHECK(w.load(w.child, w.page(0)) == 3);
    CHECK(disk.in_use() == 0);
    w.parent.exit(w.me);
    w.child.exit(w.me);
}
