// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/swap_out.hpp>

#include "family_world.hpp"
#include "object_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// A family with a swap store, and some pages that have their number as content.
struct swapping : family_world {
    memory_swap<machine> disk;
    explicit swapping(std::uint64_t slots = 64, std::uint64_t pages = 4, mmap_request how = {})
        : disk{page_count{slots}, frame_bytes::owned} {
        for (auto* space : {&parent, &child, &grandchild}) space->use_swap(disk);
        map(0, pages, how);
        for (std::uint64_t n = 0; n < pages; ++n) store(parent, page(n), static_cast<int>(n + 1));
    }
    ~swapping() {
        for (auto* space : {&parent, &child, &grandchild}) space->exit(me);
        CHECK(disk.in_use() == 0);
    }
    result<std::uint64_t> out(std::uint64_t first, std::uint64_t count) {
        return page_out(me, parent, span(first, count));
    }
};

}  // namespace

TEST_CASE("a swapped page has no frame, and is read back as it was") {
    swapping w;
    auto const page = w.entry(w.parent, w.page(1)).target;
    CHECK(w.out(1, 1).value_or(99) == 1);
    CHECK(is_swapped(w.entry(w.parent, w.page(1))));
    CHECK(w.frames.kind(page) == frame_kind::free);
    CHECK(w.parent.resident().anonymous == 3);
    CHECK(w.disk.in_use() == 1);
    CHECK(w.load(w.parent, w.page(1)) == 2);
    CHECK(w.disk.in_use() == 0);
    CHECK(w.parent.resident().anonymous == 4);
    auto const leaf = w.entry(w.parent, w.page(1));
    CHECK(w.frames.exclusive(leaf.target));
    CHECK_FALSE(leaf.writable);
}

TEST_CASE("8.5: MADV_PAGEOUT leaves a pinned page where it is") {
    swapping w;
    auto const held = w.pin(w.parent, w.page(1), gup_flag::write);
    CHECK(w.out(0, 4).value_or(99) == 3);
    CHECK(w.entry(w.parent, w.page(1)).target == held);
    CHECK(w.entry(w.parent, w.page(1)).writable);
    CHECK(w.frames.exclusive(held));
    w.frames.unpin(held);
    CHECK(w.out(0, 4).value_or(99) == 1);
}

TEST_CASE("MADV_PAGEOUT leaves referenced and shared pages, and the zero page") {
    swapping w;
    w.map(4, 1);
    CHECK(w.load(w.parent, w.page(4)) == 0);
    auto const page = w.entry(w.parent, w.page(0)).target;
    w.frames.get(page);
    CHECK(w.out(0, 5).value_or(99) == 3);
    w.frames.put(page);
    REQUIRE(w.forks());
    CHECK(w.out(0, 5).value_or(99) == 0);
}

TEST_CASE("MADV_PAGEOUT: shared memory that nobody has written to is forgotten") {
    object_world w;
    w.map(w.one, 0, 0, 4);
    for (std::uint64_t n = 0; n < 4; ++n) w.touch(w.one, n, n);
    auto const written = *w.object.find(1);
    w.frames.mark_dirty(written);
    w.frames.put(written);
    auto const held = *w.object.find(2);
    w.map(w.two, 3, 3, 1);
    w.touch(w.two, 3, 3);
    CHECK(page_out(w.me, w.one, w.span(0, 4)).value_or(99) == 3);
    auto const is_cached = [&](std::uint64_t n) {
        auto const page = w.object.find(n);
        if (page) w.frames.put(*page);
        return page.has_value();
    };
    CHECK_FALSE(is_cached(0));
    CHECK(is_cached(1));  // written to
    CHECK(is_cached(2));  // held
    CHECK(is_cached(3));  // mapped elsewhere
    CHECK_FALSE(w.mapped(w.one, 2));
    CHECK(w.mapped(w.one, 3));
    w.frames.put(held);
}

TEST_CASE("a full store ends paging out, which is no error") {
    swapping w{3, 40};
    CHECK(w.out(0, 40).value_or(99) == 3);
    CHECK(w.disk.in_use() == 3);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    CHECK(w.load(w.parent, w.page(39)) == 40);
    CHECK(w.frames.statistics().free == 64 - 38);
}

TEST_CASE("more pages than are looked at at once") {
    swapping w{64, 50};
    CHECK(w.out(0, 50).value_or(99) == 50);
    CHECK(w.frames.statistics().free == 64);
    for (std::uint64_t n = 0; n < 50; ++n) {
        CHECK(w.load(w.parent, w.page(n)) == static_cast<int>(n + 1));
    }
}

TEST_CASE("a swapped page gives its slot back with its entry") {
    swapping w;
    REQUIRE(w.out(0, 4).value_or(99) == 4);
    REQUIRE(w.parent.dontneed(w.me, w.span(0, 1)));
    CHECK(w.disk.in_use() == 3);
    CHECK(w.load(w.parent, w.page(0)) == 0);
    REQUIRE(w.parent.munmap(w.me, w.span(1, 1)));
    CHECK(w.disk.in_use() == 2);
    w.parent.exit(w.me);
    CHECK(w.disk.in_use() == 0);
}

TEST_CASE("mprotect leaves swapped pages alone, and they come back with the vma's rights") {
    swapping w;
    REQUIRE(w.out(0, 1).value_or(99) == 1);
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 1), prot::r));
    CHECK(is_swapped(w.entry(w.parent, w.page(0))));
    CHECK(w.touch(w.parent, w.page(0), access::write) == errc::bad_address);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 1), prot::rw));
    CHECK(w.entry(w.parent, w.page(0)).writable);  // its own page: no fault needed
}

TEST_CASE("fork shares slots, and each reads a page of its own") {
    swapping w;
    REQUIRE(w.out(0, 2).value_or(99) == 2);
    REQUIRE(w.forks());
    CHECK(w.disk.in_use() == 2);
    for (auto* space : {&w.parent, &w.child}) {
        CHECK(is_marker_of(w.entry(*space, w.page(0)), page_marker::swapped));
    }
    CHECK(w.disk.ref_count(slot_of(w.entry(w.child, w.page(0)))) == 2);
    w.store(w.child, w.page(0), 9);
    CHECK(w.load(w.parent, w.page(0)) == 1);
    CHECK(w.disk.in_use() == 1);
    w.parent.exit(w.me);
    CHECK(w.load(w.child, w.page(1)) == 2);
    CHECK(w.disk.in_use() == 0);
}

TEST_CASE("fork needs one store for both") {
    swapping w;
    memory_swap<family_world::machine> other{page_count{1}};
    w.child.use_swap(other);
    CHECK(w.forks().error() == errc::invalid_argument);
    w.child.use_swap(w.disk);
}

TEST_CASE("MADV_PAGEOUT: errors") {
    swapping w{64, 2};
    w.map(3, 1);
    w.map(4, 1, {.properties = vma_flag::locked});
    w.store(w.parent, w.page(3), 1);
    CHECK(w.out(0, 4).error() == errc::no_memory);  // a hole; the rest is done
    CHECK(w.disk.in_use() == 3);
    CHECK(w.out(0, 0).value_or(99) == 0);
    CHECK(w.out(4, 1).error() == errc::invalid_argument);
    family_world diskless;
    diskless.map(0, 1);
    diskless.store(diskless.parent, diskless.page(0), 1);
    CHECK(page_out(diskless.me, diskless.parent, diskless.span(0, 1)).value_or(99) == 0);
    CHECK(diskless.load(diskless.parent, diskless.page(0)) == 1);
    auto const other = held_shared<family_world::lock_type>::acquire(w.child.lock());
    CHECK(swap_out_page(other, w.me, w.parent, w.base).error() == errc::lock_not_held);
    CHECK(page_out_locked(other, w.me, w.parent, w.span(0, 1)).error() == errc::lock_not_held);
}
