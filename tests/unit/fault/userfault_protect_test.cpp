// SPDX-License-Identifier: BSL-1.0
// Write protection: what it does to entries, and how a write then comes to the pager.
#include "support/catch.hpp"
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/fault/userfault_protect.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/swap_out.hpp>

#include "unit/fault/file_world.hpp"
#include <vector>

using namespace mmhold_test;
using mm::errc;
using mm::fault_kind;
using mm::userfault_event_flag;
using mm::userfault_feature;
using mm::userfault_mode;
using mm::userfault_modes;
using mm::userfault_protection;
using mm::userfault_wake;

namespace {

constexpr userfault_modes wp{userfault_mode::write_protect};
constexpr userfault_modes missing_wp{userfault_mode::missing, userfault_mode::write_protect};
constexpr auto on = userfault_protection::on;
constexpr auto off = userfault_protection::off;

/// Four pages of private memory in write-protect mode.
struct wp_world : fault_world {
    mm::userfault<fault_space> pager;
    mm::dispatch<fault_space> faults{space};
    mm::virt_addr at;

    explicit wp_world(mm::userfault_features features = {}, userfault_modes modes = wp)
        : pager{space, features}, at{map(0, 4)} {
        REQUIRE(pager.register_range(me, span(0, 4), modes).has_value());
    }
    ~wp_world() {
        (void)pager.close(me);
        (void)space.munmap(me, span(0, 64));
    }
    /// The event that a write raises.
    mm::userfault_event must_ask(mm::virt_addr where) {
        auto done = droppable_fault(faults, where, flags::retry | flags::write | flags::user);
        REQUIRE(done.kind() == fault_kind::retry_lock_dropped);
        auto const ticket = done.outcome.take_ticket();
        REQUIRE_FALSE(ticket.ready());
        auto const event = pager.read_event();
        REQUIRE(event.has_value());
        return *event;
    }
};

/// Shared memory of four pages, the first of which is there, in write-protect mode.
struct shared_wp_world : shmem_world {
    mm::userfault<fault_space> pager{space};

    explicit shared_wp_world(mm::mmap_flags how = mm::mmap_flag::shared) {
        show(how);
        REQUIRE(pager.register_range(me, span(0, 8), wp));
        touch(faults, page(0), flags::write);
    }
    ~shared_wp_world() { (void)pager.close(me); }
};

}  // namespace

TEST_CASE("a protected page is read freely, but a write asks the pager first",
          "[fault][userfault]") {
    wp_world world;
    world.touch(world.faults, world.at, flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 4), on).has_value());
    CHECK(world.entry(world.at).uffd_wp);
    CHECK_FALSE(world.entry(world.at).writable);
    CHECK(world.entry(world.page(1)).none());
    world.touch(world.faults, world.at, flags::read);
    auto const event = world.must_ask(world.at);
    CHECK(event.address == world.at);
    CHECK(event.flags == mm::userfault_event_flags{userfault_event_flag::write,
                                                   userfault_event_flag::write_protect});
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), off).has_value());
    CHECK(world.entry(world.at).writable);  // without another fault: the page is ours alone
    CHECK_FALSE(world.entry(world.at).uffd_wp);
}

TEST_CASE("lifting the protection wakes who waits, unless it is told not to",
          "[fault][userfault]") {
    wp_world world;
    world.touch(world.faults, world.at, flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), on).has_value());
    auto done = world.droppable_fault(world.faults, world.at, flags::retry | flags::write);
    auto const ticket = done.outcome.take_ticket();
    done.lock.reset();
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), off, userfault_wake::later));
    CHECK_FALSE(ticket.ready());
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), off).has_value());
    CHECK(ticket.ready());
}

TEST_CASE("unsharing asks nobody, and who may not wait meets the rows of section 3",
          "[fault][userfault]") {
    wp_world world;
    world.touch(world.faults, world.at, flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), on).has_value());
    world.touch(world.faults, world.at, flags::unshare);
    CHECK(world.entry(world.at).uffd_wp);
    CHECK(world.fault(world.faults, world.at, flags::write).error() == errc::bad_address);
    auto const nowait = world.droppable_fault(world.faults, world.at, flags::nowait | flags::write);
    CHECK(nowait.kind() == fault_kind::retry_lock_kept);
    CHECK(world.pager.counts().raised == 0);
}

TEST_CASE("a write to a page that is shared by copy-on-write asks before it copies",
          "[fault][userfault]") {
    wp_world world;
    world.touch(world.faults, world.at, flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), on).has_value());
    fault_space child{world.frames, world.tables, world.domain, world.nobody, world.flush};
    REQUIRE(mm::fork(world.me, world.space, child).has_value());
    auto const before = world.entry(world.at);
    (void)world.must_ask(world.at);
    CHECK(world.entry(world.at) == before);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), off).has_value());
    CHECK_FALSE(world.entry(world.at).writable);
    CHECK(world.touch(world.faults, world.at, flags::write).target != before.target);
    // The child's userfault is nobody's, and neither is the protection.
    auto const held = shared_hold::acquire(child.lock());
    auto const area = child.find(world.at, held);
    CHECK_FALSE(area->view(held).flags.has_any(mm::all_userfault_flags));
    (void)child.table().visit(
        world.me, world.span(0, 4),
        [](mm::virt_addr, mm::page_entry const& entry, unsigned) { CHECK_FALSE(entry.uffd_wp); });
}

TEST_CASE("anonymous pages to come are protected with wp_unpopulated only", "[fault][userfault]") {
    wp_world plain;
    REQUIRE(plain.pager.writeprotect(plain.me, plain.span(0, 4), on).has_value());
    CHECK(plain.entry(plain.at).none());

    wp_world world{userfault_feature::wp_unpopulated};
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 4), on).has_value());
    CHECK(mm::is_userfault_wp(world.entry(world.at)));
    auto const zeroes = world.touch(world.faults, world.at, flags::read);
    CHECK(zeroes.uffd_wp);
    CHECK(zeroes.special);
    auto const own = world.touch(world.faults, world.page(1), flags::write);
    CHECK(own.uffd_wp);  // the write is not permitted yet: it comes back, and asks
    CHECK_FALSE(own.writable);
    (void)world.must_ask(world.page(1));
    REQUIRE(world.space.dontneed(world.me, world.span(0, 4)).has_value());
    CHECK(world.entry(world.page(1)).none());
    CHECK(world.entry(world.page(2)).none());
}

TEST_CASE("wp_async: a write lifts the protection, and nobody is asked", "[fault][userfault]") {
    wp_world world{userfault_feature::wp_async};
    world.touch(world.faults, world.at, flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 4), on).has_value());
    auto const written = world.touch(world.faults, world.at, flags::write);
    CHECK(written.writable);
    CHECK_FALSE(written.uffd_wp);
    CHECK(mm::is_userfault_wp(world.entry(world.page(1))));
    CHECK(world.pager.counts().raised == 0);
}

TEST_CASE("shared memory stays protected when its page goes and comes back", "[fault][userfault]") {
    shared_wp_world world;
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 2), on).has_value());
    CHECK(world.entry(world.page(0)).uffd_wp);
    CHECK(mm::is_userfault_wp(world.entry(world.page(1))));
    REQUIRE(world.space.dontneed(world.me, world.span(0, 4)).has_value());
    CHECK(mm::is_userfault_wp(world.entry(world.page(0))));
    CHECK(mm::is_userfault_wp(world.entry(world.page(1))));
    CHECK(world.touch(world.faults, world.page(0), flags::read).uffd_wp);
    REQUIRE(world.object.punch(world.me, {0, 4}).has_value());
    CHECK(mm::is_userfault_wp(world.entry(world.page(0))));
    world.touch(world.faults, world.page(0), flags::read);
    REQUIRE(world.object.resize(world.me, 0).has_value());
    CHECK(mm::is_userfault_wp(world.entry(world.page(0))));
    REQUIRE(world.space.munmap(world.me, world.span(0, 8)).has_value());
    CHECK(world.entry(world.page(0)).none());
}

TEST_CASE("a private copy of shared memory inherits the marker", "[fault][userfault]") {
    shared_wp_world world{mm::mmap_flags{}};
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 2), on).has_value());
    auto const copy = world.touch(world.faults, world.page(1), flags::write);
    CHECK(copy.uffd_wp);
    CHECK_FALSE(copy.writable);
    REQUIRE(world.space.dontneed(world.me, world.span(0, 2)).has_value());
    CHECK(mm::is_userfault_wp(world.entry(world.page(1))));
}

TEST_CASE("unregistering and closing take the protection away", "[fault][userfault]") {
    wp_world world{userfault_feature::wp_unpopulated};
    world.touch(world.faults, world.at, flags::write);
    world.touch(world.faults, world.page(2), flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 4), on).has_value());
    REQUIRE(world.pager.unregister_range(world.me, world.span(0, 2)).has_value());
    CHECK(world.entry(world.at).writable);
    CHECK(world.entry(world.page(1)).none());
    CHECK(world.entry(world.page(2)).uffd_wp);
    REQUIRE(world.pager.close(world.me).has_value());
    CHECK(world.entry(world.page(2)).writable);
    CHECK(world.entry(world.page(3)).none());
}

TEST_CASE("unregistering wakes who waits for a missing page, not who waits to write",
          "[fault][userfault]") {
    wp_world world{userfault_feature::wp_unpopulated};
    world.touch(world.faults, world.at, flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), on).has_value());
    auto done =
        world.droppable_fault(world.faults, world.at, flags::retry | flags::write | flags::user);
    auto const ticket = done.outcome.take_ticket();
    REQUIRE_FALSE(ticket.ready());
    REQUIRE(world.pager.unregister_range(world.me, world.span(0, 4)).has_value());
    CHECK_FALSE(ticket.ready());
    CHECK(world.pager.wake(world.span(0, 1)).value_or(0) == 1);
    CHECK(ticket.ready());
}

TEST_CASE("registered again without write-protect mode, marks mean nothing", "[fault][userfault]") {
    wp_world world{userfault_feature::wp_unpopulated};
    world.touch(world.faults, world.at, flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 4), on).has_value());
    REQUIRE(world.pager.register_range(world.me, world.span(0, 4)).has_value());
    auto const written = world.touch(world.faults, world.at, flags::write);
    CHECK(written.uffd_wp);
    CHECK(written.writable);
    world.fault(world.faults, world.page(1), flags::read);  // the marker goes ...
    CHECK(world.entry(world.page(1)).none());
    auto const asked = world.droppable_fault(world.faults, world.page(1), flags::retry);
    CHECK(asked.kind() == fault_kind::retry_lock_dropped);  // ... then the page is missing
}

TEST_CASE("which ranges can be protected", "[fault][userfault]") {
    wp_world world;
    REQUIRE(world.pager.register_range(world.me, world.span(2, 2)).has_value());
    auto const protect = [&](std::uint64_t first, std::uint64_t count) {
        return world.pager.writeprotect(world.me, world.span(first, count), on).error();
    };
    world.touch(world.faults, world.at, flags::write);
    CHECK(protect(0, 0) == errc::invalid_argument);
    CHECK(protect(0, 2) == errc::ok);
    CHECK(protect(2, 1) == errc::bad_address);  // missing mode only
    CHECK(protect(8, 1) == errc::bad_address);  // nothing there
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), off).has_value());
    CHECK(protect(0, 4) == errc::bad_address);
    CHECK(world.entry(world.at).uffd_wp);  // what came first is done
    auto const quiet =
        world.pager.writeprotect(world.me, world.span(0, 1), on, userfault_wake::later);
    CHECK(quiet.error() == errc::invalid_argument);
}

TEST_CASE("copy can protect what it puts in place, where that was registered",
          "[fault][userfault]") {
    std::vector<std::byte> const bytes(mm::page_size, std::byte{5});
    wp_world world{{}, missing_wp};
    auto const put = [&](std::uint64_t n) {
        return world.pager.copy(world.me, world.span(n, 1), bytes, userfault_wake::now, on);
    };
    CHECK(put(0).complete());
    CHECK(world.entry(world.at).uffd_wp);
    CHECK_FALSE(world.entry(world.at).writable);
    REQUIRE(world.pager.register_range(world.me, world.span(1, 1)).has_value());
    CHECK(put(1).stop == errc::invalid_argument);
}

TEST_CASE("copy overwrites the marker, the zero page does not", "[fault][userfault]") {
    std::vector<std::byte> const bytes(mm::page_size, std::byte{5});
    wp_world world{userfault_feature::wp_unpopulated, missing_wp};
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 4), on).has_value());
    CHECK(world.pager.copy(world.me, world.span(0, 1), bytes).complete());
    CHECK(world.entry(world.at).writable);
    CHECK(world.pager.zeropage(world.me, world.span(1, 1)).stop == errc::exists);
    CHECK(world.pager.poison(world.me, world.span(1, 1)).stop == errc::exists);
}

TEST_CASE("mprotect leaves protected pages read-only", "[fault][userfault]") {
    wp_world world;
    world.touch(world.faults, world.at, flags::write);
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), on).has_value());
    REQUIRE(world.space.mprotect(world.me, world.span(0, 4), mm::prot::r).has_value());
    REQUIRE(world.space.mprotect(world.me, world.span(0, 4), mm::prot::rw).has_value());
    CHECK(world.entry(world.at).uffd_wp);
    CHECK_FALSE(world.entry(world.at).writable);
}

TEST_CASE("protection of a page that is on its way is handed on", "[fault][userfault]") {
    wp_world world;
    world.touch(world.faults, world.at, flags::write);
    auto const taken = mm::taken_page<fault_space>::take(world.space, world.me, world.at);
    REQUIRE(taken.has_value());
    REQUIRE(world.pager.writeprotect(world.me, world.span(0, 1), on).has_value());
    CHECK(mm::is_moving(world.entry(world.at)));
    taken->put_back(world.space, world.me);
    CHECK(world.entry(world.at).uffd_wp);
    CHECK_FALSE(world.entry(world.at).writable);
}
