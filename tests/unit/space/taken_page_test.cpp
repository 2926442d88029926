// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/taken_page.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

using taken = taken_page<family_world::space_type>;

/// One page with a 5 in it.
struct taking : family_world {
    pfn page{};
    page_entry before{};
    taking() {
        map(0, 2);
        store(parent, family_world::page(0), 5);
        before = entry(parent, family_world::page(0));
        page = before.target;
        flush.spans.clear();
    }
    result<taken> take(std::uint64_t n = 0) {
        return taken::take(parent, me, family_world::page(n));
    }
    page_entry now() { return entry(parent, family_world::page(0)); }
};

}  // namespace

TEST_CASE("a taken page stands in the table as moving, shared, and unmapped") {
    taking w;
    auto const got = w.take();
    REQUIRE(got);
    CHECK(got->page() == w.page);
    CHECK(got->leaf() == w.before);
    CHECK(got->was_exclusive());
    CHECK(w.now() == moving_entry(w.before));
    CHECK_FALSE(w.frames.exclusive(w.page));
    CHECK(w.frames.map_count(w.page) == 0);
    CHECK(w.frames.ref_count(w.page) == 1);
    CHECK(w.parent.resident().total() == 0);
    REQUIRE(w.flush.spans.size() == 1);
    CHECK(w.flush.spans[0] == w.span(0, 1));
    got->put_back(w.parent, w.me);
}

TEST_CASE("put back, everything is as it was") {
    taking w;
    auto const got = w.take();
    REQUIRE(got);
    got->put_back(w.parent, w.me);
    CHECK(w.now() == w.before);
    CHECK(w.frames.exclusive(w.page));
    CHECK(w.frames.map_count(w.page) == 1);
    CHECK(w.frames.ref_count(w.page) == 1);
    CHECK(w.parent.resident().anonymous == 1);
    w.frames.await_moved(w.page);
}

TEST_CASE("a page that was not exclusive is not exclusive afterwards") {
    taking w;
    w.frames.clear_exclusive(w.page);
    auto const got = w.take();
    REQUIRE(got);
    CHECK_FALSE(got->was_exclusive());
    got->put_back(w.parent, w.me);
    CHECK_FALSE(w.frames.exclusive(w.page));
}

TEST_CASE("6.2 #12: a pinned page stays: busy, and the old entry") {
    taking w;
    auto const held = w.pin(w.parent, family_world::page(0), gup_flag::write);
    CHECK(w.take().error() == errc::busy);
    CHECK(w.now() == w.before);
    CHECK(w.frames.exclusive(held));
    CHECK(w.frames.map_count(held) == 1);
    CHECK(w.flush.spans.size() == 1);  // it was away for a moment
    w.frames.unpin(held);
    auto const free_now = w.take();
    REQUIRE(free_now);
    free_now->put_back(w.parent, w.me);
}

TEST_CASE("what cannot be taken is refused without a flush") {
    taking w;
    CHECK(w.take(1).error() == errc::bad_address);     // nothing there
    CHECK(w.take(5000).error() == errc::bad_address);  // not even a table
    CHECK(w.load(w.parent, family_world::page(1)) == 0);
    CHECK(w.take(1).error() == errc::not_supported);  // the zero page
    REQUIRE(w.forks());
    CHECK(w.take().error() == errc::busy);  // two mappings
    w.map(10, 1, {.flags = mmap_flag::shared});
    w.store(w.parent, family_world::page(10), 1);
    CHECK(w.take(10).error() == errc::not_supported);  // shared memory
    CHECK(w.childs_flush.spans.empty());
}

TEST_CASE("a page of a large folio is taken alone, unless somebody holds the folio") {
    family_world w{2048};
    w.map(0, 512);
    auto const folio = *w.frames.allocate(frame_kind::anonymous, 9);
    w.frames.get(folio, 511);
    auto const leaf = page_entry::leaf_to(folio, prot::rw);
    REQUIRE(w.parent.table().map(w.me, w.base, leaf, 1));
    w.parent.note_mapped(leaf, 512);
    REQUIRE(w.frames.try_grab(folio, 1, holding::reference));
    CHECK(taken::take(w.parent, w.me, w.page(3)).error() == errc::busy);
    w.frames.put(folio);
    auto const got = taken::take(w.parent, w.me, w.page(3));
    REQUIRE(got);
    CHECK(got->page() == folio.plus(3));
    CHECK(w.frames.map_count(folio.plus(3)) == 0);
    CHECK(w.frames.map_count(folio.plus(4)) == 1);
    CHECK(w.parent.resident().anonymous == 511);
    got->put_back(w.parent, w.me);
    CHECK(w.parent.resident().anonymous == 512);
}

TEST_CASE("a page discarded while it was taken goes with its taker") {
    taking w;
    auto const got = w.take();
    REQUIRE(got);
    REQUIRE(w.parent.dontneed(w.me, w.span(0, 1)));
    SECTION("put back") {
        w.store(w.parent, family_world::page(0), 8);
        got->put_back(w.parent, w.me);
        CHECK(w.load(w.parent, family_world::page(0)) == 8);
    }
    SECTION("replaced") {
        auto const fresh = *w.frames.allocate(frame_kind::anonymous);
        CHECK_FALSE(got->replace(w.parent, w.me, page_entry::leaf_to(fresh, prot::rw)));
        CHECK(w.now().none());
        w.frames.put(fresh);
        w.frames.put(w.page);
    }
}
