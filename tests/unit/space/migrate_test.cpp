// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/migrate.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// One page with a 5 in it.
struct migrating : family_world {
    pfn page{};
    explicit migrating(std::uint64_t frame_count = 8) : family_world{frame_count} {
        map(0, 2);
        store(parent, base, 5);
        page = entry(parent, base).target;
    }
    result<pfn> migrate() {
        auto const held = held_shared<lock_type>::acquire(parent.lock());
        return migrate_page(held, me, parent, base.plus(123));
    }
};

}  // namespace

TEST_CASE("a page moves to another frame with its contents and rights") {
    migrating w;
    auto const before = w.entry(w.parent, w.base);
    auto const fresh = w.migrate();
    REQUIRE(fresh);
    CHECK(*fresh != w.page);
    auto expected = before;
    expected.target = *fresh;
    CHECK(w.entry(w.parent, w.base) == expected);
    CHECK(w.load(w.parent, w.base) == 5);
    CHECK(w.frames.exclusive(*fresh));
    CHECK(w.frames.counts(*fresh) == frame_counts{1, 0});
    CHECK(w.frames.map_count(*fresh) == 1);
    CHECK(w.frames.kind(w.page) == frame_kind::free);
    CHECK(w.parent.resident().anonymous == 1);
}

TEST_CASE("what is known about the page moves too") {
    migrating w;
    w.frames.clear_exclusive(w.page);
    w.frames.mark_dirty(w.page);
    w.frames.mark_accessed(w.page);
    auto const fresh = w.migrate();
    REQUIRE(fresh);
    CHECK_FALSE(w.frames.exclusive(*fresh));
    CHECK(w.frames.dirty(*fresh));
    CHECK(w.frames.accessed(*fresh));
}

TEST_CASE("a page that somebody holds stays where it is") {
    migrating w;
    SECTION("pinned") {
        auto const held = w.pin(w.parent, w.base, gup_flag::write);
        CHECK(w.migrate().error() == errc::busy);
        w.frames.unpin(held);
    }
    SECTION("referenced: what is written through the reference would be lost") {
        w.frames.get(w.page);
        CHECK(w.migrate().error() == errc::busy);
        w.frames.put(w.page);
    }
    SECTION("shared with a child") {
        REQUIRE(w.forks());
        CHECK(w.migrate().error() == errc::busy);
        w.child.exit(w.me);
        w.store(w.parent, w.base, 5);
    }
    CHECK(w.entry(w.parent, w.base).target == w.page);
    CHECK(w.entry(w.parent, w.base).writable);
    CHECK(w.frames.exclusive(w.page));
    CHECK(w.frames.statistics().free == 7);
    CHECK(w.migrate().has_value());
}

TEST_CASE("migrate: errors") {
    migrating full{1};
    CHECK(full.migrate().error() == errc::no_memory);
    CHECK(full.load(full.parent, full.base) == 5);
    migrating w;
    auto const other = held_shared<family_world::lock_type>::acquire(w.child.lock());
    CHECK(migrate_page(other, w.me, w.parent, w.base).error() == errc::lock_not_held);
    auto const held = held_shared<family_world::lock_type>::acquire(w.parent.lock());
    auto const nothing = migrate_page(held, w.me, w.parent, family_world::page(1));
    CHECK(nothing.error() == errc::bad_address);
    CHECK(w.frames.statistics().free == 7);
}
