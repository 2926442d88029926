// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/lazy_free.hpp>
#include <mmhold/space/swap_out.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// Four private pages, written to: page n holds n + 1. No swap store, unless a test has one.
struct lazy : family_world {
    explicit lazy(mmap_request how = {}) {
        map(0, 4, how);
        for (std::uint64_t n = 0; n < 4; ++n) store(parent, page(n), static_cast<int>(n + 1));
    }
    errc advise(std::uint64_t first, std::uint64_t count) {
        return lazy_free(me, parent, span(first, count)).error();
    }
    /// How many pages reclaim takes.
    std::uint64_t reclaim(space_type& space, std::uint64_t first, std::uint64_t count) {
        return page_out(me, space, span(first, count)).value_or(99);
    }
    /// A store of the program: by the entry, if it permits it.
    void hardware_store(space_type& space, virt_addr at, int value) {
        auto entry = space.table().lock_leaf(me, at, 0, if_absent::fail);
        REQUIRE(entry);
        REQUIRE(entry->read().permits(access::write, {}));
        entry->touch(access::write);
        frames.bytes(entry->read().target).front() = static_cast<std::byte>(value);
    }
};

}  // namespace

TEST_CASE("lazy free: the contents stay until reclaim comes") {
    lazy w;
    CHECK(w.advise(0, 2) == errc::ok);
    CHECK_FALSE(w.entry(w.parent, w.page(0)).dirty);
    CHECK_FALSE(w.entry(w.parent, w.page(0)).accessed);
    CHECK(w.entry(w.parent, w.page(0)).writable);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    auto const page = w.entry(w.parent, w.page(0)).target;
    CHECK(w.reclaim(w.parent, 0, 4) == 2);
    CHECK(w.frames.kind(page) == frame_kind::free);
    CHECK(w.load(w.parent, w.page(0)) == 0);
    CHECK(w.load(w.parent, w.page(2)) == 3);
    CHECK(w.parent.resident().anonymous == 2);
}

TEST_CASE("lazy free: a write takes the page back, without a fault") {
    lazy w;
    REQUIRE(w.advise(0, 1) == errc::ok);
    w.hardware_store(w.parent, w.page(0), 9);
    CHECK(w.reclaim(w.parent, 0, 1) == 0);
    CHECK(w.reclaim(w.parent, 0, 1) == 0);
    CHECK(w.load(w.parent, w.page(0)) == 9);
    REQUIRE(w.advise(0, 1) == errc::ok);
    CHECK(w.reclaim(w.parent, 0, 1) == 1);
}

TEST_CASE("lazy free: so does a write through somebody else's hold, and holding keeps it") {
    lazy w;
    REQUIRE(w.advise(0, 2) == errc::ok);
    auto const held = w.pin(w.parent, w.page(0), gup_flag::write);
    CHECK(w.reclaim(w.parent, 0, 1) == 0);
    w.frames.mark_dirty(held);
    w.frames.unpin(held);
    CHECK(w.reclaim(w.parent, 0, 1) == 0);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    auto const page = w.entry(w.parent, w.page(1)).target;
    w.frames.get(page);
    CHECK(w.reclaim(w.parent, 1, 1) == 0);
    w.frames.put(page);
    CHECK(w.reclaim(w.parent, 1, 1) == 1);
    // What was written before the advice is forgotten with the rest.
    w.frames.mark_dirty(w.entry(w.parent, w.page(2)).target);
    REQUIRE(w.advise(2, 1) == errc::ok);
    CHECK(w.reclaim(w.parent, 2, 1) == 1);
}

TEST_CASE("lazy free: pages of several processes stay until they are one's alone") {
    lazy w;
    REQUIRE(w.forks());
    REQUIRE(w.advise(0, 1) == errc::ok);
    CHECK(w.reclaim(w.parent, 0, 1) == 0);
    CHECK(w.load(w.child, w.page(0)) == 1);
    w.child.exit(w.me);
    CHECK(w.reclaim(w.parent, 0, 1) == 1);
    lazy before;
    REQUIRE(before.advise(0, 1) == errc::ok);
    REQUIRE(before.forks());
    before.parent.exit(before.me);
    CHECK(before.reclaim(before.child, 0, 1) == 1);
    CHECK(before.load(before.child, before.page(0)) == 0);
}

TEST_CASE("lazy free: what somebody else's page has written is not ours to forget") {
    lazy w;
    REQUIRE(w.forks());
    auto const page = w.entry(w.parent, w.page(0)).target;
    w.frames.mark_dirty(page);
    REQUIRE(w.advise(0, 1) == errc::ok);
    CHECK_FALSE(w.frames.attributes(page).has(frame_attribute::lazily_free));
    CHECK(w.frames.dirty(page));
}

TEST_CASE("lazy free: swapped pages are zero at once, their slots free") {
    memory_swap<lazy::machine> disk{page_count{8}, frame_bytes::owned};
    {
        lazy w;
        for (auto* space : {&w.parent, &w.child, &w.grandchild}) space->use_swap(disk);
        CHECK(w.reclaim(w.parent, 0, 2) == 2);
        CHECK(disk.in_use() == 2);
        REQUIRE(w.advise(0, 4) == errc::ok);
        CHECK(disk.in_use() == 0);
        CHECK(w.load(w.parent, w.page(0)) == 0);
        CHECK(w.load(w.parent, w.page(2)) == 3);
        // A lazily free page needs no slot.
        CHECK(w.reclaim(w.parent, 2, 1) == 1);
        CHECK(disk.in_use() == 0);
    }
}

TEST_CASE("lazy free: whose pages cannot be, and holes") {
    lazy w;
    w.map(4, 1, {.flags = mmap_flag::shared});
    w.map(5, 1, {.properties = vma_flag::locked});
    CHECK(w.advise(3, 2) == errc::invalid_argument);
    CHECK(w.reclaim(w.parent, 3, 1) == 1);
    CHECK(w.advise(5, 1) == errc::invalid_argument);
    REQUIRE(w.parent.munmap(w.me, w.span(1, 1)));
    CHECK(w.advise(0, 3) == errc::no_memory);
    CHECK(w.reclaim(w.parent, 2, 1) == 1);
    CHECK(w.advise(0, 0) == errc::ok);
}

TEST_CASE("lazy free: pages of droppable mappings go even if they are dirty") {
    lazy w{{.properties = vma_flag::droppable}};
    CHECK(w.reclaim(w.parent, 0, 3) == 3);
    CHECK(w.load(w.parent, w.page(0)) == 0);
    CHECK(w.load(w.parent, w.page(3)) == 4);
}

TEST_CASE("lazy free: the zero page and markers stay what they are") {
    lazy w;
    w.map(8, 3);
    CHECK(w.load(w.parent, w.page(8)) == 0);
    w.frames.get(w.frames.zero_page());
    w.frames.put(w.frames.zero_page());
    REQUIRE(w.parent.table().map(w.me, w.page(9), guard_entry(), 0));
    auto const poisoned = page_entry::marker_for(static_cast<std::uint8_t>(page_marker::poisoned), 0);
    REQUIRE(w.parent.table().map(w.me, w.page(10), poisoned, 0));
    REQUIRE(w.advise(8, 3) == errc::ok);
    CHECK(w.entry(w.parent, w.page(8)).special);
    CHECK(is_guard(w.entry(w.parent, w.page(9))));
    CHECK(w.entry(w.parent, w.page(10)).none());
    CHECK(w.reclaim(w.parent, 8, 3) == 0);
}
