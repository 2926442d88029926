// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/anonymous.hpp>
#include <mmhold/fault/swap_in.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/space/swap_out.hpp>

#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::errc;
using handler = mm::anonymous<fault_space>;

namespace {

/// One page with a 42 in it, swapped out.
struct swapped_world : fault_world {
    mm::memory_swap<counting_machine> disk{mm::page_count{8}, mm::frame_bytes::owned};
    handler memory{space};
    mm::virt_addr at{};

    explicit swapped_world(mm::protection prot = mm::prot::rw, std::uint64_t frame_capacity = 16)
        : fault_world{frame_capacity}, at{map(0, 1, prot)} {
        space.use_swap(disk);
        auto const frame = *frames.allocate(mm::frame_kind::anonymous);
        first_byte(frame) = std::byte{42};
        frames.set_exclusive(frame);
        auto leaf = mm::page_entry::leaf_to(frame, prot);
        leaf.soft_dirty = true;
        install(at, leaf);
        swap_out();
    }
    ~swapped_world() { space.exit(me); }
    void swap_out() {
        auto const held = hold();
        REQUIRE(mm::swap_out_page(held, me, space, at));
        REQUIRE(mm::is_swapped(entry(at)));
        REQUIRE(frames_in_use() == 0);
    }
};

}  // namespace

TEST_CASE("4.4: a read brings the page back, exclusive and read-only", "[fault][swap]") {
    swapped_world world;
    auto const leaf = world.touch(world.memory, world.at, flags::read);
    CHECK(world.first_byte(leaf.target) == std::byte{42});
    CHECK_FALSE(leaf.writable);
    CHECK(leaf.soft_dirty);
    CHECK(world.frames.exclusive(leaf.target));
    CHECK(world.frames.dirty(leaf.target));
    CHECK(world.frames.counts(leaf.target) == mm::frame_counts{1, 0});
    CHECK(world.space.resident().anonymous == 1);
    CHECK(world.disk.in_use() == 0);
}

TEST_CASE("4.4: a write brings it back writable", "[fault][swap]") {
    swapped_world world;
    auto const leaf = world.touch(world.memory, world.at, flags::write);
    CHECK(world.first_byte(leaf.target) == std::byte{42});
    CHECK(leaf.writable);
    CHECK(leaf.dirty);
}

TEST_CASE("4.4: a page that was not exclusive is so only after a write or unshare",
          "[fault][swap]") {
    swapped_world world;
    auto const seen = world.touch(world.memory, world.at, flags::read);
    world.frames.clear_exclusive(seen.target);
    world.swap_out();
    auto const how = GENERATE(flags::read, flags::write, flags::unshare);
    auto const leaf = world.touch(world.memory, world.at, how);
    CHECK(world.frames.exclusive(leaf.target) == (how != flags::read));
    CHECK(leaf.writable == (how == flags::write));
}

TEST_CASE("an unshare fault, and a FORCE write, get an exclusive read-only page", "[fault][swap]") {
    swapped_world world{mm::prot::r};
    auto const how = GENERATE(flags::unshare, flags::write);
    auto const leaf = world.touch(world.memory, world.at, how);
    CHECK_FALSE(leaf.writable);
    CHECK_FALSE(leaf.dirty);
    CHECK(world.frames.exclusive(leaf.target));
}

TEST_CASE("without a frame the page stays swapped", "[fault][swap]") {
    swapped_world world{mm::prot::rw, 1};
    auto const only = *world.frames.allocate(mm::frame_kind::other);
    CHECK(world.fault(world.memory, world.at, flags::read).error() == errc::no_memory);
    CHECK(mm::is_swapped(world.entry(world.at)));
    CHECK(world.disk.in_use() == 1);
    world.frames.put(only);
    CHECK(world.touch(world.memory, world.at, flags::read).is_leaf());
}

TEST_CASE("a page protected by a userfault comes back protected", "[fault][swap]") {
    swapped_world world;
    world.touch(world.memory, world.at, flags::write);
    {
        auto leaf = world.space.table().lock_leaf(world.me, world.at, 0, mm::if_absent::fail);
        auto guarded = leaf->read();
        guarded.uffd_wp = true;
        guarded.writable = false;
        (void)leaf->replace(guarded);
    }
    world.swap_out();
    auto const leaf = world.touch(world.memory, world.at, flags::write);
    CHECK(leaf.uffd_wp);
    CHECK_FALSE(leaf.writable);
}

TEST_CASE("3: a swapped page is not missing: no event", "[fault][swap]") {
    swapped_world world;
    mm::userfault<fault_space> pager{world.space};
    REQUIRE(pager.register_range(world.me, world.span(0, 1)));
    auto const leaf = world.touch(pager, world.at, flags::read);
    CHECK(world.first_byte(leaf.target) == std::byte{42});
    CHECK(pager.counts().raised == 0);
    REQUIRE(pager.close(world.me));
}

TEST_CASE("a swapped entry in a space without a store is a bad address", "[fault][swap]") {
    fault_world world;
    auto const at = world.map(0, 1);
    auto const marker = mm::swapped_entry(mm::page_entry::leaf_to(mm::pfn{1}, mm::prot::r), 0,
                                          mm::exclusivity::shared);
    REQUIRE(world.space.table().map(world.me, at, marker, 0));
    handler memory{world.space};
    CHECK(world.fault(memory, at, flags::read).error() == errc::bad_address);
}
