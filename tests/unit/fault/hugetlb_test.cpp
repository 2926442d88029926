// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/hugetlb.hpp>
#include <mmhold/space/hugetlb_object.hpp>
#include <mmhold/space/remove.hpp>

#include "unit/space/family_world.hpp"
#include <array>
#include <optional>

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// A family whose parent maps two pages of hugetlb from a pool of four.
struct hugetlb_world : family_world {
    using object_type = hugetlb_object<space_type>;
    hugetlb_pool<machine> pool;
    std::optional<object_type> object{};

    explicit hugetlb_world(mmap_flags how = {}, hugetlb_reserve promised = hugetlb_reserve::all,
                           std::uint64_t folios = 4)
        : family_world{folios * 512 + 8}, pool{frames, folios} {
        object.emplace(pool, 2U, promised);
        mmap_request request;
        request.hint = base;
        request.flags = how.with(mmap_flag::fixed);
        request.pages = page_count{1024};
        REQUIRE(map_hugetlb(me, parent, *object, request).has_value());
    }
    ~hugetlb_world() {
        for (auto* space : {&parent, &child, &grandchild}) space->exit(me);
        object.reset();
        CHECK(pool.statistics().free == pool.statistics().total);
    }
    page_entry leaf(std::uint64_t n) { return entry(parent, page(n)); }
    errc reads(std::uint64_t n) { return touch(parent, page(n), access::read); }
    errc writes(std::uint64_t n) { return touch(parent, page(n), access::write); }
};

}  // namespace

TEST_CASE("hugetlb has no zero page, and a private page waits for its first write", "[hugetlb]") {
    hugetlb_world w;
    CHECK_FALSE(w.has_family(w.parent, w.page(0)));
    CHECK(w.reads(5) == errc::ok);
    CHECK(w.has_family(w.parent, w.page(0)));
    auto const page = w.leaf(0).target;
    CHECK(w.frames.order_of(page) == 9);
    CHECK(w.frames.exclusive(page.plus(511)));
    CHECK_FALSE(w.leaf(0).writable);
    CHECK(w.writes(7) == errc::ok);
    CHECK(w.leaf(0).target == page);
    CHECK(w.leaf(0).writable);
    CHECK(w.parent.resident().total() == 0);
    CHECK(w.frames.map_count(page) == 512);
    CHECK(w.pool.statistics() == hugetlb_statistics{4, 3, 1});
    CHECK(w.parent.dontneed(w.me, w.span(0, 700)).has_value());
    CHECK(w.leaf(0).none());
    CHECK(w.pool.statistics() == hugetlb_statistics{4, 4, 2});  // promised once more
}

TEST_CASE("a page of hugetlb is shared by fork and copied whole by the next write", "[hugetlb]") {
    hugetlb_world w;
    w.store(w.parent, w.page(0), 11);
    auto const page = w.leaf(0).target;
    REQUIRE(w.forks());
    CHECK(w.load(w.child, w.page(0)) == 11);
    w.store(w.child, w.page(0), 5);
    CHECK(w.entry(w.child, w.page(0)).target != page);
    CHECK(w.frames.order_of(w.entry(w.child, w.page(0)).target) == 9);
    CHECK(w.writes(0) == errc::ok);  // the parent is left alone with it
    CHECK(w.leaf(0).target == page);
    CHECK(w.load(w.parent, w.page(0)) == 11);
}

TEST_CASE("a pinned page of hugetlb is copied whole for the child", "[hugetlb]") {
    hugetlb_world w;
    w.store(w.parent, w.page(0), 11);
    auto const held = w.pin(w.parent, w.page(0), gup_flag::write);
    REQUIRE(w.forks());
    CHECK(w.leaf(0).writable);
    CHECK(w.leaf(0).target == held);
    auto const copy = w.entry(w.child, w.page(0));
    CHECK(copy.target != held);
    CHECK(w.frames.attributes(copy.target).has(frame_attribute::hugetlb));
    CHECK(w.load(w.child, w.page(0)) == 11);
    w.frames.unpin(held);
}

TEST_CASE("no page left: SIGBUS, but not for who was promised one", "[hugetlb]") {
    hugetlb_world w{{}, hugetlb_reserve::all, 2};
    CHECK(w.writes(0) == errc::ok);
    REQUIRE(w.forks());
    CHECK(w.touch(w.child, w.page(0), access::read) == errc::ok);
    CHECK(w.touch(w.child, w.page(0), access::write) == errc::bad_address);
    CHECK(w.touch(w.child, w.page(512), access::read) == errc::bad_address);
    CHECK(w.writes(512) == errc::ok);
}

TEST_CASE("no page left: the owner of the promise takes its page from the child", "[hugetlb]") {
    hugetlb_world w{{}, hugetlb_reserve::all, 3};
    std::optional<hugetlb_world::object_type> hoard{std::in_place, w.pool, 1U};
    w.store(w.parent, w.page(0), 7);
    w.store(w.parent, w.page(512), 8);
    REQUIRE(w.forks());
    auto const page = w.leaf(0).target;
    w.store(w.parent, w.page(0), 9);
    CHECK(w.leaf(0).target == page);
    CHECK(w.leaf(0).writable);
    CHECK(w.entry(w.child, w.page(0)).none());
    CHECK(w.load(w.child, w.page(512)) == 8);  // this one it still has
    CHECK(w.touch(w.child, w.page(512), access::write) == errc::bad_address);
    hoard.reset();
    // Zeroes would be taken for what was lost: no page any more, though there is one.
    CHECK(w.touch(w.child, w.page(0), access::read) == errc::bad_address);
    REQUIRE(fork(w.me, w.child, w.grandchild));
    CHECK(w.touch(w.grandchild, w.page(0), access::read) == errc::ok);  // a mapping of its own
}

TEST_CASE("the owner's copy takes what nobody was promised, and keeps the promise", "[hugetlb]") {
    hugetlb_world w{{}, hugetlb_reserve::all, 3};
    CHECK(w.writes(0) == errc::ok);
    REQUIRE(w.forks());
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 2, 1});
    CHECK(w.writes(0) == errc::ok);
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 1, 1});
    CHECK(w.touch(w.child, w.page(0), access::write) == errc::ok);  // alone with the old one
    w.child.exit(w.me);
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 2, 1});
    CHECK(w.writes(512) == errc::ok);
}

TEST_CASE("hugetlb behind the end is SIGBUS, and what grows back is zero", "[hugetlb]") {
    for (auto const how : {mmap_flags{}, mmap_flags{mmap_flag::shared}}) {
        hugetlb_world w{how};
        w.store(w.parent, w.page(0), 7);
        w.store(w.parent, w.page(512), 8);
        CHECK(w.object->resize(w.me, hugetlb_bytes));
        CHECK(w.leaf(0).is_leaf());
        CHECK(w.leaf(512).none());
        CHECK(w.reads(512) == errc::bad_address);
        CHECK(w.writes(512) == errc::bad_address);
        CHECK(w.object->resize(w.me, 2 * hugetlb_bytes));
        CHECK(w.load(w.parent, w.page(512)) == 0);
        CHECK(w.load(w.parent, w.page(0)) == 7);
    }
}

TEST_CASE("a hole in hugetlb takes private copies as well", "[hugetlb]") {
    hugetlb_world w;
    w.store(w.parent, w.page(0), 7);
    CHECK(w.object->punch(w.me, 0, hugetlb_bytes - 1));
    CHECK(w.load(w.parent, w.page(0)) == 7);
    CHECK(w.object->punch(w.me, 0, hugetlb_bytes));
    CHECK(w.leaf(0).none());
    CHECK(w.load(w.parent, w.page(0)) == 0);
}

TEST_CASE("MADV_REMOVE of shared hugetlb punches, whatever mprotect has taken away", "[hugetlb]") {
    hugetlb_world w{mmap_flag::shared};
    w.store(w.parent, w.page(0), 7);
    w.store(w.parent, w.page(512), 8);
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 512), prot::r));
    CHECK(remove_pages(w.me, w.parent, w.span(0, 512)));
    CHECK(w.leaf(0).none());
    CHECK(w.load(w.parent, w.page(0)) == 0);
    CHECK(remove_pages(w.me, w.parent, w.span(513, 511)));
    CHECK(w.load(w.parent, w.page(512)) == 8);
    hugetlb_world own;
    CHECK(remove_pages(own.me, own.parent, own.span(0, 512)).error() == errc::access_denied);
}

TEST_CASE("without a reservation the pool decides at the first touch", "[hugetlb]") {
    hugetlb_world w{{}, hugetlb_reserve::none, 1};
    CHECK(w.writes(0) == errc::ok);
    CHECK(w.writes(512) == errc::bad_address);
    CHECK(w.parent.dontneed(w.me, w.span(0, 512)).has_value());
    CHECK(w.writes(512) == errc::ok);
}

TEST_CASE("shared hugetlb is one object: writable at once, kept when it is discarded",
          "[hugetlb]") {
    hugetlb_world w{mmap_flag::shared};
    CHECK(w.reads(0) == errc::ok);
    CHECK(w.leaf(0).writable);
    w.store(w.parent, w.page(0), 3);
    REQUIRE(w.forks());
    CHECK(w.entry(w.child, w.page(0)).none());  // the child faults
    CHECK(w.load(w.child, w.page(0)) == 3);
    w.store(w.child, w.page(0), 4);
    CHECK(w.load(w.parent, w.page(0)) == 4);
    CHECK(w.parent.dontneed(w.me, w.span(0, 1024)).has_value());
    CHECK(w.load(w.parent, w.page(0)) == 4);
}

TEST_CASE("gup: all of a page of hugetlb at once, long-term for writing as well if it is shared",
          "[hugetlb]") {
    for (auto const how : {mmap_flags{}, mmap_flags{mmap_flag::shared}}) {
        hugetlb_world w{how};
        std::vector<pfn> pages(600);
        gup_flags const wanted{gup_flag::write, gup_flag::longterm};
        CHECK(pin_fast(w.parent, w.me, w.span(0, 600), wanted, pages).pages == 600);
        CHECK(w.frames.pin_count(pages[0]) == 512);
        CHECK(w.frames.pin_count(pages[512]) == 88);
        CHECK(pages[511] == pages[0].plus(511));
        CHECK(pin_fast(w.parent, w.me, w.span(0, 512), wanted, pages).pages == 512);
        w.frames.unpin(pages[0], 1024);
        w.frames.unpin(pages[512], 88);
    }
}

TEST_CASE("FORCE writes read-only private hugetlb, and leaves it read-only", "[hugetlb]") {
    hugetlb_world w;
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 1024), prot::r).has_value());
    std::array<pfn, 1> page{};
    gup_flags const force{gup_flag::write, gup_flag::force};
    CHECK(gup_unlocked(w.parent, w.me, w.span(0, 1), force, page).complete());
    CHECK_FALSE(w.leaf(0).writable);
    w.frames.put(page[0]);
    CHECK(w.writes(0) == errc::bad_address);
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 1024), prot::rw).has_value());
    CHECK_FALSE(w.leaf(0).writable);  // measured: it faults once more
    CHECK(w.writes(0) == errc::ok);
    CHECK(w.leaf(0).writable);
}
