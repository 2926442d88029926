// SPDX-License-Identifier: BSL-1.0
#include <mmhold/space/object_link.hpp>

#include "unit/space/object_world.hpp"

using namespace mmhold_test;
using link_type = object_link<object_world::space_type>;

namespace {

mmap_request shared_memory(std::uint64_t pages) {
    return {.hint = object_world::at(0),
            .pages = page_count{pages},
            .prot = prot::rw,
            .flags = {mmap_flag::fixed, mmap_flag::shared}};
}

}  // namespace

TEST_CASE("private memory needs no object", "[space]") {
    object_world world;
    auto request = shared_memory(2);
    request.flags = mmap_flag::fixed;
    auto link = link_type::make(world.one, request);
    REQUIRE(link.has_value());
    CHECK(link->object() == nullptr);
    link->connect(world.one, object_world::span(0, 2), 0);  // nobody to tell
    link->abandon();
}

TEST_CASE("shared memory gets an object as long as the mapping, or none if it is abandoned",
          "[space]") {
    object_world world;
    auto const free_before = world.frames.statistics().free;
    auto link = link_type::make(world.one, shared_memory(3));
    REQUIRE(link.has_value());
    REQUIRE(link->object() != nullptr);
    auto& object = static_cast<object_world::cache&>(*link->object());
    CHECK(object.kind() == object_kind::shmem);
    CHECK(object.owner() == object_owner::mappings);
    CHECK(object.find_or_add_zeroed(2).has_value());
    CHECK(object.find_or_add_zeroed(3).error() == errc::bad_address);  // behind its end
    world.frames.put(*object.find(2), 2);
    link->abandon();
    CHECK(world.frames.statistics().free == free_before);
}

TEST_CASE("an object of the caller's is named, and stays when its mapping is abandoned",
          "[space]") {
    object_world world;
    auto request = world.object.request(0, page_count{2}, prot::rw, mmap_flag::shared);
    auto link = link_type::make(world.one, request);
    REQUIRE(link.has_value());
    CHECK(link->object() == &world.object);
    link->abandon();
    world.map(world.one, 0, 0, 2);
    (void)world.touch(world.one, 0, 0);
    CHECK(world.mapped(world.one, 0));
}
