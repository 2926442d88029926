// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/fault_around.hpp>
#include <mmhold/gup/over_space.hpp>

#include "unit/fault/file_world.hpp"

using namespace mmhold_test;

namespace {

/// A read of page `number` that reaches behind the end of the file finds nothing, but looks around.
void read_behind_the_end(disk_file_world& world, mm::virt_addr at) {
    auto const outcome = world.fault(world.faults, at, flags::read);
    CHECK(outcome.kind() == mm::fault_kind::failed);
}

}  // namespace

TEST_CASE("the last page of a file alone is not mapped around where no table is yet",
          "[fault][fault_around]") {
    disk_file_world world;
    auto const at = world.show(mm::mmap_flag::shared);
    world.preload(3);
    read_behind_the_end(world, at.plus_pages(5));
    CHECK(world.entry(at.plus_pages(3)).none());
    CHECK(world.frames.ref_count(*world.object.find(3)) == 2);  // the cache's and ours
    world.frames.put(*world.object.find(3), 2);
}

TEST_CASE("it is mapped beside others, and where a table is", "[fault][fault_around]") {
    SECTION("with another cached page in front") {
        disk_file_world world;
        auto const at = world.show(mm::mmap_flag::shared);
        world.preload(2);
        world.preload(3);
        read_behind_the_end(world, at.plus_pages(5));
        CHECK(world.entry(at.plus_pages(2)).is_leaf());
        CHECK(world.entry(at.plus_pages(3)).is_leaf());
    }
    SECTION("in a table that has something else") {
        disk_file_world world;
        auto const at = world.show(mm::mmap_flag::shared);
        world.preload(3);
        world.map({.hint = world.page(20), .pages = mm::page_count{1}});
        world.touch(world.faults, world.page(20), flags::write);
        read_behind_the_end(world, at.plus_pages(5));
        CHECK(world.entry(at.plus_pages(3)).is_leaf());
    }
}

TEST_CASE("shared memory's last page is mapped around all the same", "[fault][fault_around]") {
    shmem_world world;
    auto const at = world.show(mm::mmap_flag::shared);
    auto const page = world.object.find_or_add_zeroed(3);
    REQUIRE(page.has_value());
    world.frames.put(*page);
    auto const outcome = world.fault(world.faults, at.plus_pages(5), flags::read);
    CHECK(outcome.kind() == mm::fault_kind::failed);
    CHECK(world.entry(at.plus_pages(3)).is_leaf());
}
