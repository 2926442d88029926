// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/install.hpp>

#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::errc;
using mm::install_for;

namespace {

mm::vma area_of(mm::protection prot, mm::vma_flags flags = {}) {
    mm::vma area;
    area.prot = prot;
    area.flags = flags;
    area.pkey = 4;
    return area;
}

}  // namespace

TEST_CASE("the entry of a fresh page has the vma's rights, the right to write comes with the write",
          "[fault][install]") {
    auto const reading = mm::leaf_for(area_of(mm::prot::rw), mm::pfn{9}, install_for::reading);
    CHECK(reading.target == mm::pfn{9});
    CHECK(reading.is_leaf());
    CHECK(reading.user);
    CHECK(reading.accessed);
    CHECK_FALSE(reading.writable);
    CHECK_FALSE(reading.dirty);
    CHECK(reading.no_execute);
    CHECK(reading.pkey == 4);
    auto const writing = mm::leaf_for(area_of(mm::prot::rwx), mm::pfn{9}, install_for::writing);
    CHECK(writing.writable);
    CHECK(writing.dirty);
    CHECK(writing.soft_dirty);
    CHECK_FALSE(writing.no_execute);
    auto const forced = mm::leaf_for(area_of(mm::prot::r), mm::pfn{9}, install_for::writing);
    CHECK_FALSE(forced.writable);
    CHECK(forced.dirty);
    auto const shared = area_of(mm::prot::rw, mm::vma_flag::shared);
    CHECK(mm::leaf_for(shared, mm::pfn{9}, install_for::reading).writable);
    CHECK(mm::leaf_for(area_of(mm::prot::none), mm::pfn{9}, install_for::reading).protnone);
}

TEST_CASE(
    "the zero page's entry is special and read-only even where sharing would let it be written",
    "[fault][install]") {
    auto const leaf = mm::zero_leaf_for(area_of(mm::prot::rw, mm::vma_flag::shared), mm::pfn{1});
    CHECK(leaf.special);
    CHECK_FALSE(leaf.writable);
}

TEST_CASE("a page is installed once, who comes second gives its frame back", "[fault][install]") {
    fault_world world;
    auto const at = world.map(0, 1);
    auto const area = area_of(mm::prot::rw);
    auto const install = [&] {
        auto const page = mm::allocate_page_for(world.space, area);
        REQUIRE(page.has_value());
        auto const leaf = mm::leaf_for(area, *page, install_for::writing);
        return mm::install_page(world.space, world.me, at, leaf).error();
    };
    CHECK(install() == errc::ok);
    auto const first = world.entry(at);
    CHECK(install() == errc::exists);
    CHECK(world.entry(at) == first);
    CHECK(world.frames_in_use() == 1);
    CHECK(world.frames.map_count(first.target) == 1);
    CHECK(world.space.resident().anonymous == 1);
}

TEST_CASE("a marker and a larger leaf are in the way too", "[fault][install]") {
    fault_world world{1100};
    auto const at = world.map(0, 1024);
    REQUIRE(world.space.table().map(world.me, at, mm::page_entry::marker_for(1, 2), 0).has_value());
    auto const zero = mm::zero_leaf_for(area_of(mm::prot::rw), world.frames.zero_page());
    CHECK(mm::install_leaf(world.space, world.me, at, zero).error() == errc::exists);
    auto const folio = world.frames.allocate(mm::frame_kind::anonymous, 9);
    REQUIRE(folio.has_value());
    world.frames.get(*folio, 511);
    auto const large = mm::page_entry::leaf_to(*folio, mm::prot::rw);
    auto const above = at.plus_pages(512);
    REQUIRE(world.space.table().map(world.me, above, large, 1).has_value());
    world.space.note_mapped(large, 512);
    CHECK(mm::install_leaf(world.space, world.me, above.plus_pages(3), zero).error() ==
          errc::exists);
}

TEST_CASE("no memory for a table: the frame goes back", "[fault][install][no-memory]") {
    fault_world world{4, 2};
    auto const at = world.map(0, 1);
    auto const area = area_of(mm::prot::rw);
    auto const page = mm::allocate_page_for(world.space, area);
    REQUIRE(page.has_value());
    auto const leaf = mm::leaf_for(area, *page, install_for::writing);
    CHECK(mm::install_page(world.space, world.me, at, leaf).error() == errc::no_memory);
    CHECK(world.frames_in_use() == 0);
    CHECK(world.space.resident().total() == 0);
}

TEST_CASE("frames by mapping: exclusive and anonymous, or shared memory", "[fault][install]") {
    fault_world world{2};
    auto const own = mm::allocate_page_for(world.space, area_of(mm::prot::rw));
    REQUIRE(own.has_value());
    CHECK(world.frames.kind(*own) == mm::frame_kind::anonymous);
    CHECK(world.frames.exclusive(*own));
    auto const common =
        mm::allocate_page_for(world.space, area_of(mm::prot::rw, mm::vma_flag::shared));
    REQUIRE(common.has_value());
    CHECK(world.frames.kind(*common) == mm::frame_kind::page_cache);
    CHECK(world.frames.attributes(*common).has(mm::frame_attribute::shmem));
    CHECK(mm::allocate_page_for(world.space, area_of(mm::prot::rw)).error() == errc::no_memory);
    world.frames.put(*own);
    world.frames.put(*common);
}

TEST_CASE("frames of secret memory say so, for the lockless walk sees no vma", "[fault][install]") {
    fault_world world{1};
    auto const area = area_of(mm::prot::rw, {mm::vma_flag::shared, mm::vma_flag::secret});
    auto const page = mm::allocate_page_for(world.space, area);
    REQUIRE(page.has_value());
    CHECK(world.frames.attributes(*page).has(mm::frame_attribute::secret));
    world.frames.put(*page);
}
