// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/fault/userfault_notices.hpp>

#include "unit/fault/fault_world.hpp"
#include <memory>
#include <vector>

using namespace mmhold_test;
using mm::errc;
using mm::userfault_event_kind;
using mm::userfault_feature;
using mm::userfault_features;
using userfault = mm::userfault<fault_space>;

namespace {

constexpr userfault_features all_events{
    userfault_feature::event_fork, userfault_feature::event_remap, userfault_feature::event_remove,
    userfault_feature::event_unmap};

/// Four pages whose pager wants to hear of everything, and four whose pager does not.
struct notice_world : fault_world {
    userfault pager;
    userfault deaf{space};
    mm::dispatch<fault_space> faults{space};
    std::vector<std::byte> bytes = std::vector<std::byte>(mm::page_size, std::byte{5});

    explicit notice_world(userfault_features features = all_events) : pager{space, features} {
        map(0, 8);
        REQUIRE(pager.register_range(me, span(0, 4)).has_value());
        REQUIRE(deaf.register_range(me, span(4, 4)).has_value());
    }
    ~notice_world() {
        (void)pager.close(me);
        (void)deaf.close(me);
        space.exit(me);
    }
    errc copy(std::uint64_t n) { return pager.copy(me, span(n, 1), bytes).stop; }
};

}  // namespace

TEST_CASE("munmap: the pager hears of the whole range, and until then nothing is put in place",
          "[fault][userfault]") {
    notice_world world;
    {
        auto const told = mm::munmap_telling(world.me, world.space, world.span(2, 8));
        REQUIRE(told.has_value());
        CHECK(told->size() == 1);
        CHECK_FALSE(told->ready());
        CHECK(world.copy(0) == errc::again);
        CHECK(world.pager.zeropage(world.me, world.span(0, 1)).stop == errc::again);
        auto const event = world.pager.read_event();
        REQUIRE(event.has_value());
        CHECK(event->kind == userfault_event_kind::unmap);
        CHECK(event->range == world.span(2, 8));
        CHECK(told->ready());
        CHECK(world.copy(0) == errc::again);  // its sender has not seen that yet
    }
    CHECK(world.copy(0) == errc::ok);
    CHECK_FALSE(world.deaf.read_event().has_value());
}

TEST_CASE("an operation that fails tells nobody", "[fault][userfault]") {
    notice_world world;
    auto const refused = mm::munmap_telling(world.me, world.space, world.span(0, 0));
    CHECK(refused.error() == errc::invalid_argument);
    CHECK_FALSE(world.pager.read_event().has_value());
    CHECK(world.copy(0) == errc::ok);
}

TEST_CASE("who did not ask is not told", "[fault][userfault]") {
    notice_world world{userfault_features{}};
    auto const told = mm::munmap_telling(world.me, world.space, world.span(0, 8));
    REQUIRE(told.has_value());
    CHECK(told->size() == 0);
    CHECK(told->ready());
}

TEST_CASE("discarding: the pager hears first, part by part", "[fault][userfault]") {
    notice_world world;
    REQUIRE(world.copy(1) == errc::ok);
    auto told = mm::tell_before_removal(world.me, world.space, world.span(1, 6));
    REQUIRE(told.has_value());
    CHECK_FALSE(told->ready());
    CHECK(world.entry(world.page(1)).is_leaf());
    auto const event = world.pager.read_event();
    REQUIRE(event.has_value());
    CHECK(event->kind == userfault_event_kind::remove);
    CHECK(event->range == world.span(1, 3));
    CHECK(told->ready());
    REQUIRE(world.space.dontneed(world.me, world.span(1, 6)).has_value());
}

TEST_CASE("fork: the child has a userfault of its own, which the parent's pager hears of",
          "[fault][userfault]") {
    notice_world world;
    auto const protect =
        mm::userfault_modes{mm::userfault_mode::missing, mm::userfault_mode::write_protect};
    REQUIRE(world.pager.register_range(world.me, world.span(0, 4), protect).has_value());
    REQUIRE(world.copy(0) == errc::ok);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), mm::userfault_protection::on));
    fault_space child{world.frames, world.tables, world.domain, world.nobody, world.flush};
    userfault childs{child, all_events};
    {
        auto const told = mm::fork_telling(world.me, world.space, child, [&](userfault& parents) {
            CHECK(&parents == &world.pager);
            return &childs;
        });
        REQUIRE(told.has_value());
        CHECK(told->size() == 1);
        auto const event = world.pager.read_event();
        REQUIRE(event.has_value());
        CHECK(event->kind == userfault_event_kind::fork);
        CHECK(event->child == &childs);
        CHECK(told->ready());
    }
    CHECK(childs.copy(world.me, world.span(1, 1), world.bytes).complete());
    CHECK(world.entry(world.page(1)).none());
    {
        auto const held = shared_hold::acquire(child.lock());
        auto const served = child.find(world.page(0), held);
        CHECK(served->view(held).source == &childs);
        CHECK(served->view(held).flags.has(mm::vma_flag::userfault_wp));
        CHECK(child.find(world.page(4), held)->view(held).source == nullptr);
    }
    mm::page_entry inherited{};
    (void)child.table().visit(
        world.me, world.span(0, 1),
        [&](mm::virt_addr, mm::page_entry const& entry, unsigned) { inherited = entry; });
    CHECK(inherited.uffd_wp);
    (void)childs.close(world.me);
    child.exit(world.me);
}

TEST_CASE("faults are read before notices, and closing is an answer", "[fault][userfault]") {
    notice_world world;
    auto const told = mm::munmap_telling(world.me, world.space, world.span(3, 1));
    REQUIRE(told.has_value());
    {
        auto done = world.droppable_fault(world.faults, world.page(0), flags::retry);
        auto const ticket = done.outcome.take_ticket();
        CHECK(world.pager.read_event()->kind == userfault_event_kind::fault);
    }
    CHECK_FALSE(told->ready());
    world.pager.stop();
    CHECK(told->ready());
}

TEST_CASE("a remapping is announced under the lock", "[fault][userfault]") {
    notice_world world;
    auto lock = mm::held_exclusive<fault_lock>::acquire(world.space.lock());
    auto const told =
        mm::tell_remapping(lock, world.me, world.space, world.span(0, 2), world.page(40));
    REQUIRE(told.has_value());
    auto const event = world.pager.read_event();
    REQUIRE(event.has_value());
    CHECK(event->kind == userfault_event_kind::remap);
    CHECK(event->range == world.span(0, 2));
    CHECK(event->address == world.page(40));
    CHECK(told->ready());
    auto const unheard =
        mm::tell_remapping(lock, world.me, world.space, world.span(4, 2), world.page(50));
    REQUIRE(unheard.has_value());
    CHECK(unheard->size() == 0);
}
