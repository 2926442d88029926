// SPDX-License-Identifier: BSL-1.0
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/fault/userfault_move.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/swap_out.hpp>

#include "support/catch.hpp"
#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::errc;
using mm::userfault_filled;
using mm::userfault_holes;
using mm::userfault_wake;

namespace {

/// Four missing pages at 0, four of plain memory at 8, the first two of which are there.
struct move_world : fault_world {
    mm::userfault<fault_space> pager{space};
    mm::dispatch<fault_space> faults{space};

    mm::memory_swap<counting_machine> disk{mm::page_count{8}, mm::frame_bytes::owned};

    move_world() {
        space.use_swap(disk);
        map(0, 4);
        map(8, 4);
        REQUIRE(pager.register_range(me, span(0, 4)).has_value());
        for (std::uint64_t n = 8; n < 10; ++n) {
            first_byte(touch(faults, page(n), flags::write).target) = static_cast<std::byte>(n);
        }
    }
    ~move_world() {
        (void)pager.close(me);
        space.exit(me);
    }
    userfault_filled move(std::uint64_t to, std::uint64_t from, std::uint64_t count = 1,
                          userfault_holes holes = userfault_holes::refused) {
        return pager.move(me, page(to), span(from, count), userfault_wake::now, holes);
    }
};

}  // namespace

TEST_CASE("a page moves: the same frame elsewhere, and nothing where it was",
          "[fault][userfault]") {
    move_world world;
    auto const before = world.entry(world.page(8));
    CHECK(world.move(1, 8, 2) == userfault_filled{2, errc::ok});
    auto const after = world.entry(world.page(1));
    CHECK(after.target == before.target);
    CHECK(after.writable);
    CHECK(world.frames.exclusive(after.target));
    CHECK(world.entry(world.page(8)).none());
    CHECK(world.first_byte(world.entry(world.page(2)).target) == std::byte{9});
}

TEST_CASE("a move wakes who waits at its destination", "[fault][userfault]") {
    move_world world;
    auto done = world.droppable_fault(world.faults, world.page(0), flags::retry);
    auto const ticket = done.outcome.take_ticket();
    done.lock.reset();
    CHECK(world.move(0, 8).complete());
    CHECK(ticket.ready());
}

TEST_CASE("a move ends where something is, or nothing", "[fault][userfault]") {
    move_world world;
    CHECK(world.move(0, 9, 2) == userfault_filled{1, errc::not_supported});
    CHECK(world.move(0, 8) == userfault_filled{0, errc::exists});
    CHECK(world.move(1, 9, 2, userfault_holes::allowed).complete());
    CHECK(world.entry(world.page(1)).none());
    CHECK(world.pager.poison(world.me, world.span(3, 1)).complete());
    CHECK(world.move(3, 8).stop == errc::exists);
    CHECK(world.move(1, 3).stop == errc::bad_address);
}

TEST_CASE("the zero page and a swapped page move", "[fault][userfault]") {
    move_world world;
    world.touch(world.faults, world.page(10), flags::read);
    CHECK(world.move(0, 10).complete());
    CHECK(world.entry(world.page(0)).special);
    CHECK(world.entry(world.page(10)).none());
    {
        auto const held = world.hold();
        REQUIRE(mm::swap_out_page(held, world.me, world.space, world.page(9)).has_value());
    }
    CHECK(world.move(1, 9).complete());
    CHECK(mm::is_swapped(world.entry(world.page(1))));
    CHECK(world.entry(world.page(9)).none());
    auto const back = world.touch(world.faults, world.page(1), flags::read);
    CHECK(world.first_byte(back.target) == std::byte{9});
    CHECK(world.disk.in_use() == 0);
}

TEST_CASE("a page that others may have is busy, and so is a pinned one", "[fault][userfault]") {
    move_world world;
    auto const pinned = world.entry(world.page(9)).target;
    REQUIRE(world.frames.try_grab(pinned, 1, mm::holding::pin));
    CHECK(world.move(0, 9).stop == errc::busy);
    CHECK(world.entry(world.page(9)).writable);
    world.frames.unpin(pinned);
    world.frames.get(pinned);  // a plain reference does not matter
    CHECK(world.move(0, 9).complete());
    world.frames.put(pinned);

    fault_space child{world.frames, world.tables, world.domain, world.nobody, world.flush};
    child.use_swap(world.disk);
    REQUIRE(mm::fork(world.me, world.space, child).has_value());
    CHECK(world.move(1, 8).stop == errc::busy);
    child.exit(world.me);
    CHECK(world.move(1, 8).stop == errc::busy);  // until somebody has written
    world.touch(world.faults, world.page(8), flags::write);
    CHECK(world.move(1, 8).complete());
}

TEST_CASE("which mappings pages move between", "[fault][userfault]") {
    move_world world;
    world.map(16, 2, mm::prot::rw, mm::mmap_flag::shared);
    world.touch(world.faults, world.page(16), flags::write);
    CHECK(world.move(0, 16).stop == errc::invalid_argument);
    CHECK(world.move(9, 8).stop == errc::invalid_argument);   // not registered
    CHECK(world.move(3, 8, 2).stop == errc::invalid_argument);  // over its end
    CHECK(world.move(0, 11, 2).stop == errc::invalid_argument);
    CHECK(world.move(0, 32).stop == errc::not_supported);
    CHECK(world.move(32, 8).stop == errc::not_supported);
    CHECK(world.move(0, 8, 0).stop == errc::invalid_argument);
    REQUIRE(world.space.mprotect(world.me, world.span(8, 1), mm::prot::r).has_value());
    CHECK(world.move(0, 8).stop == errc::invalid_argument);
    REQUIRE(world.space.mprotect(world.me, world.span(0, 1), mm::prot::r).has_value());
    CHECK(world.move(0, 8).stop == errc::invalid_argument);  // alike, but not writable
}

TEST_CASE("write protection does not move", "[fault][userfault]") {
    move_world world;
    auto const span = world.span(8, 2);
    REQUIRE(world.pager.register_range(world.me, span, mm::userfault_mode::write_protect));
    REQUIRE(world.pager.writeprotect(world.me, span, mm::userfault_protection::on).has_value());
    CHECK(world.move(0, 8).complete());
    CHECK_FALSE(world.entry(world.page(0)).uffd_wp);
    CHECK(world.entry(world.page(0)).writable);
}
