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
        auto told = mm::munmap_telling(world.me, world.space, world.span(2, 8));
        REQUIRE(told.has_value());
        CHECK(told->size() == 1);
        CHECK_FALSE(told->ready());
        CHECK(world.copy(0) == errc::again);
        CHECK(world.pager.zeropage(world.me, world.span(0, 1)).stop == errc::again);
        auto const event = world.pager.read_event();
        REQUIRE(event.has_value());
        CHECK(event->kind == userfault_event_kind::unmap);
        CHECK(event->range == world.span(2, 8));
        CHECK(world.copy(0) == errc::again);  // its sender has not seen that yet
        CHECK(told->ready());
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
    auto told = mm::munmap_telling(world.me, world.space, world.span(0, 8));
    REQUIRE(told.has_value());
    CHECK(told->size() == 0);
    CHECK(told->ready());
}

TEST_CASE("discarding: the pager hears first", "[fault][userfault]") {
    notice_world world;
    REQUIRE(world.copy(1) == errc::ok);
    auto const held = shared_hold::acquire(world.space.lock());
    auto const tell = [&](std::uint64_t n) {
        auto const area = world.space.find(world.page(n), held)->view(held);
        return mm::tell_before_removal<fault_space>(held, world.me, area, world.span(n, 2));
    };
    auto told = tell(1);
    REQUIRE(told.has_value());
    CHECK_FALSE(told->ready());
    CHECK(world.entry(world.page(1)).is_leaf());
    auto const event = world.pager.read_event();
    REQUIRE(event.has_value());
    CHECK(event->kind == userfault_event_kind::remove);
    CHECK(event->range == world.span(1, 2));
    CHECK(told->ready());
    auto const unheard = tell(4);
    REQUIRE(unheard.has_value());
    CHECK(unheard->size() == 0);
}

TEST_CASE("pagers are told one after another", "[fault][userfault]") {
    notice_world world;
    userfault second{world.space, all_events};
    REQUIRE(world.deaf.unregister_range(world.me, world.span(4, 4)).has_value());
    REQUIRE(second.register_range(world.me, world.span(4, 4)).has_value());
    {
        auto told = mm::munmap_telling(world.me, world.space, world.span(2, 4));
        REQUIRE(told.has_value());
        CHECK(told->size() == 2);
        CHECK_FALSE(told->ready());
        CHECK_FALSE(second.read_event().has_value());
        CHECK(second.zeropage(world.me, world.span(6, 1)).stop == errc::again);
        CHECK(world.pager.read_event().has_value());
        CHECK_FALSE(told->ready());
        CHECK(world.copy(0) == errc::ok);  // its own notice is done with
        CHECK(second.read_event().has_value());
        CHECK(told->ready());
    }
    (void)second.close(world.me);
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
        auto told = mm::fork_telling(world.me, world.space, child, [&](userfault& parents) {
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
    auto told = mm::munmap_telling(world.me, world.space, world.span(3, 1));
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

TEST_CASE("fork: whose twin nobody hears of is known", "[fault][userfault]") {
    notice_world world;
    fault_space child{world.frames, world.tables, world.domain, world.nobody, world.flush};
    userfault childs{child, all_events};
    {
        auto told =
            mm::fork_telling(world.me, world.space, child, [&](userfault&) { return &childs; });
        REQUIRE(told.has_value());
        std::vector<mm::fault_source*> unheard;
        auto const note = [&](mm::fault_source& one) { unheard.push_back(&one); };
        told->for_each_unheard_child(note);
        CHECK(unheard == std::vector<mm::fault_source*>{&childs});
        unheard.clear();
        SECTION("it is read") {
            CHECK(world.pager.read_event().has_value());
            told->for_each_unheard_child(note);
            CHECK(unheard.empty());
            CHECK(told->ready());
            told->for_each_unheard_child(note);
            CHECK(unheard.empty());
        }
        SECTION("its pager is closed") {
            world.pager.stop();
            CHECK(told->ready());
            told->for_each_unheard_child(note);
            CHECK(unheard.size() == 1);
        }
    }
    (void)childs.close(world.me);
    child.exit(world.me);
}

namespace {

/// What the pager hears, one line for each, until all is said.
std::vector<mm::userfault_event> all_heard(userfault& pager,
                                           mm::userfault_tickets<counting_machine>& told) {
    std::vector<mm::userfault_event> out;
    while (auto const event = pager.read_event()) {
        out.push_back(*event);
        (void)told.ready();
    }
    return out;
}
constexpr mm::mremap_flags to_a_place{mm::mremap_flag::may_move, mm::mremap_flag::fixed};

}  // namespace

TEST_CASE("mremap: the pager hears where its pages are, then that they have left",
          "[fault][userfault]") {
    notice_world world;
    REQUIRE(world.copy(1) == errc::ok);
    {
        auto done = mm::mremap_telling(world.me, world.space, world.span(0, 4), mm::page_count{2},
                                       to_a_place, world.page(40));
        REQUIRE(done.answer.has_value());
        CHECK(world.copy(40) == errc::again);
        auto const heard = all_heard(world.pager, done.tickets);
        REQUIRE(heard.size() == 3);
        CHECK(heard[0].kind == userfault_event_kind::remap);
        CHECK(heard[0].range == world.span(0, 2));
        CHECK(heard[0].address == world.page(40));
        CHECK(heard[1].kind == userfault_event_kind::unmap);
        CHECK(heard[1].range == world.span(2, 2));
        CHECK(heard[2].range == world.span(0, 2));
        CHECK(done.tickets.ready());
    }
    CHECK(world.copy(41) == errc::exists);
    CHECK(world.copy(40) == errc::ok);  // it is served where it is now
}

TEST_CASE("mremap: what was at the fixed place is told of first, and alone if nothing moves",
          "[fault][userfault]") {
    notice_world world;
    {
        auto done = mm::mremap_telling(world.me, world.space, world.span(4, 2), mm::page_count{2},
                                       to_a_place, world.page(1));
        REQUIRE(done.answer.has_value());
        auto const heard = all_heard(world.pager, done.tickets);
        REQUIRE(heard.size() == 1);
        CHECK(heard[0].kind == userfault_event_kind::unmap);
        CHECK(heard[0].range == world.span(1, 2));
    }
    auto const refused = mm::mremap_telling(world.me, world.space, world.span(60, 2),
                                            mm::page_count{2}, to_a_place, world.page(0));
    CHECK(refused.answer.error() == errc::bad_address);
    CHECK(refused.tickets.size() == 0);
}

TEST_CASE("mremap: without event_remap the pages are ordinary ones", "[fault][userfault]") {
    notice_world world{userfault_feature::event_unmap};
    auto done = mm::mremap_telling(world.me, world.space, world.span(0, 2), mm::page_count{2},
                                   to_a_place, world.page(40));
    REQUIRE(done.answer.has_value());
    auto const heard = all_heard(world.pager, done.tickets);
    REQUIRE(heard.size() == 1);
    CHECK(heard[0].kind == userfault_event_kind::unmap);
    auto const held = shared_hold::acquire(world.space.lock());
    CHECK(world.space.find(world.page(40), held)->view(held).source == nullptr);
}

TEST_CASE("mmap: what a fixed place unmaps is told of", "[fault][userfault]") {
    notice_world world;
    mm::mmap_request request{.hint = world.page(2), .pages = mm::page_count{4}};
    request.flags = mm::mmap_flag::fixed;
    auto done = mm::mmap_telling(world.me, world.space, request);
    REQUIRE(done.has_value());
    auto const heard = all_heard(world.pager, done->tickets);
    REQUIRE(heard.size() == 1);
    CHECK(heard[0].kind == userfault_event_kind::unmap);
    CHECK(heard[0].range == world.span(2, 4));
}
