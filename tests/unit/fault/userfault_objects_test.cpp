// SPDX-License-Identifier: BSL-1.0
// A userfault on shared memory: asked for pages that the object does not have, and only for those
// (gup-semantics §3, first paragraph).
#include <mmhold/fault/userfault.hpp>
#include <mmhold/space/fork.hpp>

#include "support/catch.hpp"
#include "unit/fault/file_world.hpp"

#include <vector>

using namespace mmhold_test;
using mm::errc;
using mm::fault_kind;

namespace {

/// Shared memory of four pages, mapped at page 0 with a pager and at page 20 without; both reach
/// over its end.
struct paged_world : shmem_world {
    mm::userfault<fault_space> pager{space};

    explicit paged_world(mm::mmap_flags how = mm::mmap_flag::shared) {
        show(how);
        auto second = object.request(0, mm::page_count{8}, mm::prot::rw, mm::mmap_flag::shared);
        second.hint = page(20);
        map(second);
        REQUIRE(pager.register_range(me, span(0, 8)));
    }
    ~paged_world() { (void)pager.close(me); }

    static std::vector<std::byte> filled(unsigned with) {
        return std::vector<std::byte>(mm::page_size, std::byte(with));
    }
};

}  // namespace

TEST_CASE("3: shared memory is missing where the object has no page", "[fault][userfault]") {
    paged_world world;
    auto asked = world.droppable_fault(world.faults, world.page(0), flags::retry);
    CHECK(asked.kind() == fault_kind::retry_lock_dropped);
    CHECK(world.pager.read_event().has_value());
    auto const ticket = asked.outcome.take_ticket();
    // Another mapping brings the page in: the next fault finds it, and asks nobody.
    auto const there = world.touch(world.faults, world.page(20), flags::write);
    CHECK(world.touch(world.faults, world.page(0), flags::read).target == there.target);
    CHECK_FALSE(world.pager.read_event().has_value());
}

TEST_CASE("3: behind the end nobody is asked", "[fault][userfault]") {
    paged_world world;
    auto const done = world.droppable_fault(world.faults, world.page(4), flags::retry);
    CHECK(done.error() == errc::bad_address);
    CHECK_FALSE(world.pager.read_event().has_value());
}

TEST_CASE("copy into shared memory: the page is the object's", "[fault][userfault]") {
    paged_world world;
    CHECK(world.pager.copy(world.me, world.span(1, 1), paged_world::filled(5)).complete());
    auto const leaf = world.entry(world.page(1));
    CHECK(leaf.writable);
    CHECK(world.frames.ref_count(leaf.target) == 2);
    auto const seen = world.touch(world.faults, world.page(21), flags::read);
    CHECK(seen.target == leaf.target);
    CHECK(world.first_byte(seen.target) == std::byte{5});
    // There is one already, mapped here or only there.
    CHECK(world.pager.copy(world.me, world.span(1, 1), paged_world::filled(6)).stop ==
          errc::exists);
    world.touch(world.faults, world.page(22), flags::write);
    CHECK(world.pager.copy(world.me, world.span(2, 1), paged_world::filled(6)).stop ==
          errc::exists);
    CHECK(world.pager.zeropage(world.me, world.span(3, 2)) ==
          mm::userfault_filled{1, errc::bad_address});  // the second lies behind the end
    CHECK(world.object.cached_pages() == 3);
}

TEST_CASE("copy into a private mapping of shared memory: a page of its own",
          "[fault][userfault]") {
    paged_world world{mm::mmap_flags{}};
    CHECK(world.pager.copy(world.me, world.span(0, 1), paged_world::filled(5)).complete());
    auto const leaf = world.entry(world.page(0));
    CHECK(world.frames.kind(leaf.target) == mm::frame_kind::anonymous);
    CHECK(world.object.cached_pages() == 0);
    CHECK(world.pager.copy(world.me, world.span(4, 1), paged_world::filled(5)).stop ==
          errc::bad_address);
}

TEST_CASE("fork: shared memory is one object, whoever brings a page in", "[fault][file_backed]") {
    fault_world world;
    mm::dispatch<fault_space> faults{world.space};
    world.map(0, 4, mm::prot::rw, mm::mmap_flag::shared);
    auto const before = world.touch(faults, world.page(0), flags::write);
    fault_space child{world.frames, world.tables, world.domain, world.nobody, world.flush};
    REQUIRE(mm::fork(world.me, world.space, child));
    auto const after = world.touch(faults, world.page(1), flags::write);
    auto const in_child = [&](std::uint64_t n) {
        mm::dispatch<fault_space> childs{child};
        auto const held = shared_hold::acquire(child.lock());
        auto keep = authority::keep(held);
        CHECK(childs.handle({world.page(n), flags::write}, keep, world.me).error() == errc::ok);
        auto const leaf = child.table().lock_leaf(world.me, world.page(n), 0, mm::if_absent::fail);
        return leaf ? leaf->read().target : mm::pfn{};
    };
    CHECK(in_child(0) == before.target);
    CHECK(in_child(1) == after.target);
    world.space.exit(world.me);
    CHECK(world.frames_in_use() == 2);  // the child keeps the object
    child.exit(world.me);
    CHECK(world.frames_in_use() == 0);
}
