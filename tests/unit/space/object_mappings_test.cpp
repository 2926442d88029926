// SPDX-License-Identifier: BSL-1.0
#include <mmhold/space/object_mappings.hpp>

#include "unit/space/object_world.hpp"

using namespace mmhold_test;
using mappings = object_mappings<object_world::space_type>;
using stretch = mapping_stretch<object_world::space_type>;

namespace {

stretch memory() {
    stretch one;
    one.fill();
    return one;
}

/// Pages 0 to 7 of the object at pages 0 to 7 of the first space, all present; the list is the
/// test's own.
struct listed_world : object_world {
    mappings list{};
    listed_world() {
        map(one, 0, 0, 8);
        for (std::uint64_t page = 0; page < 8; ++page) touch(one, page, page);
        list.add(one, span(0, 8), 0, memory());
    }
    ~listed_world() {
        stretch spare = memory();
        list.cut(one, span(0, 64), spare);
        list.cut(two, span(0, 64), spare);
    }
    std::vector<std::uint64_t> present() {
        std::vector<std::uint64_t> pages;
        for (std::uint64_t page = 0; page < 8; ++page) {
            if (mapped(one, page)) pages.push_back(page);
        }
        return pages;
    }
    void release_all() { list.unmap(me, page_range::from(0), private_copies::go); }
};

}  // namespace

TEST_CASE("a range of pages", "[space]") {
    CHECK(page_range{2, 4}.contains(2));
    CHECK_FALSE(page_range{2, 4}.contains(4));
    CHECK(page_range::from(3).contains(~std::uint64_t{0} - 1));
}

TEST_CASE("memory for a stretch is got before, and given back unused", "[space]") {
    stretch none;
    CHECK(none.empty());
    none.fill();
    CHECK_FALSE(none.empty());
    stretch const taken{std::move(none)};
    CHECK_FALSE(taken.empty());
}

TEST_CASE("unmap takes the pages of the range, wherever they are", "[space]") {
    listed_world world;
    world.list.unmap(world.me, {2, 4}, private_copies::go);
    CHECK(world.present() == std::vector<std::uint64_t>{0, 1, 4, 5, 6, 7});
    CHECK(world.flush.spans == std::vector{world.span(2, 2)});
    world.list.unmap(world.me, page_range::from(6), private_copies::stay);
    CHECK(world.present() == std::vector<std::uint64_t>{0, 1, 4, 5});
}

TEST_CASE("cut: what a space has unmapped is not walked any more", "[space]") {
    listed_world world;
    auto spare = memory();
    world.list.cut(world.one, world.span(3, 2), spare);  // the middle: two stretches are left
    CHECK(spare.empty());
    spare.fill();
    world.list.cut(world.one, world.span(0, 1), spare);
    world.list.cut(world.one, world.span(7, 1), spare);
    world.list.cut(world.two, world.span(0, 8), spare);  // somebody else's
    CHECK_FALSE(spare.empty());
    world.list.unmap(world.me, page_range::from(0), private_copies::go);
    CHECK(world.present() == std::vector<std::uint64_t>{0, 3, 4, 7});
    world.list.cut(world.one, world.span(1, 2), spare);
    world.list.cut(world.one, world.span(5, 2), spare);
    CHECK(world.list.empty());
}

TEST_CASE("a stretch knows which page it begins with", "[space]") {
    listed_world world;
    auto spare = memory();
    world.list.cut(world.one, world.span(0, 3), spare);
    world.list.unmap(world.me, {3, 4}, private_copies::go);
    CHECK(world.present() == std::vector<std::uint64_t>{0, 1, 2, 4, 5, 6, 7});
}

TEST_CASE("private copies stay, or go", "[space]") {
    listed_world world;
    auto const copy = *world.frames.allocate(frame_kind::anonymous);
    world.map(world.two, 0, 0, 1, {});
    auto const leaf = page_entry::leaf_to(copy, prot::rw);
    REQUIRE(world.two.table().map(world.me, world.at(0), leaf, 0));
    world.two.note_mapped(leaf, 1);
    world.list.add(world.two, world.span(0, 1), 0, memory());
    world.list.unmap(world.me, page_range::from(0), private_copies::stay);
    CHECK(world.present().empty());
    CHECK(world.mapped(world.two, 0));
    world.list.unmap(world.me, page_range::from(0), private_copies::go);
    CHECK_FALSE(world.mapped(world.two, 0));
    CHECK(world.frames.ref_count(copy) == 0);
}

TEST_CASE("write_protect: clean and read-only, flushed, and nothing done twice",
          "[space]") {
    listed_world world;
    auto dirty = world.entry(world.one, 1);
    dirty.dirty = true;
    (void)world.one.table().lock_leaf(world.me, world.at(1), 0, if_absent::fail)->replace(dirty);
    world.list.write_protect(world.me, {1, 2});
    auto const after = world.entry(world.one, 1);
    CHECK_FALSE(after.writable);
    CHECK_FALSE(after.dirty);
    CHECK(after.target == dirty.target);
    CHECK(world.entry(world.one, 0).writable);
    CHECK(world.flush.spans == std::vector{world.span(1, 1)});
    world.list.write_protect(world.me, {1, 2});
    CHECK(world.flush.spans.size() == 1);
}

TEST_CASE("more pages than the sink has room for", "[space]") {
    object_world world{object_kind::shmem, 150};
    world.map(world.one, 0, 0, 150);
    for (std::uint64_t page = 0; page < 150; ++page) world.touch(world.one, page, page);
    REQUIRE(world.object.punch(world.me, {0, 149}));
    CHECK(world.object.cached_pages() == 1);
    CHECK_FALSE(world.mapped(world.one, 148));
    CHECK(world.mapped(world.one, 149));
    CHECK(world.one.resident().shared == 1);
}
