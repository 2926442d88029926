// SPDX-License-Identifier: BSL-1.0
// A userfault on shared memory: asked for pages that the object does not have, and only for those
// (gup-semantics §3, first paragraph).
#include "support/catch.hpp"
#include <mmhold/fault/userfault.hpp>
#include <mmhold/space/fork.hpp>

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

TEST_CASE("copy into a private mapping of shared memory: a page of its own", "[fault][userfault]") {
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

// ---- minor mode ---------------------------------------------------------------------------------

namespace {

/// The same in minor mode, with the object's first page there; nothing is mapped.
struct minor_world : shmem_world {
    mm::userfault<fault_space> pager{space};

    explicit minor_world(mm::mmap_flags how = mm::mmap_flag::shared,
                         mm::userfault_modes modes = mm::userfault_mode::minor) {
        show(how);
        REQUIRE(pager.register_range(me, span(0, 8), modes));
        auto const there = object.find_or_add_zeroed(0);
        REQUIRE(there.has_value());
        first_byte(*there) = std::byte{9};
        frames.put(*there);
    }
    ~minor_world() { (void)pager.close(me); }
};

}  // namespace

TEST_CASE("3: a page that the object has, but no entry: the pager is asked in minor mode",
          "[fault][userfault]") {
    minor_world world;
    {
        auto asked =
            world.droppable_fault(world.faults, world.page(0), flags::retry | flags::write);
        CHECK(asked.kind() == fault_kind::retry_lock_dropped);
        auto const ticket = asked.outcome.take_ticket();
        auto const event = world.pager.read_event();
        REQUIRE(event.has_value());
        CHECK(event->flags == mm::userfault_event_flags{mm::userfault_event_flag::minor,
                                                        mm::userfault_event_flag::write});
        CHECK(world.pager.go_on(world.me, world.span(0, 1)).complete());
        CHECK(ticket.ready());
    }
    auto const entry = world.entry(world.page(0));
    CHECK(entry.writable);
    CHECK(world.first_byte(entry.target) == std::byte{9});
    // A page that is nowhere is nobody's business in this mode, and nothing is mapped around.
    world.touch(world.faults, world.page(1), flags::read);
    CHECK(world.entry(world.page(2)).none());
    CHECK(world.pager.counts().raised == 1);
}

TEST_CASE("going on in a private mapping shows the page read-only, and a write copies it",
          "[fault][userfault]") {
    minor_world world{mm::mmap_flags{}};
    CHECK(world.pager.go_on(world.me, world.span(0, 1)).complete());
    auto const shown = world.entry(world.page(0));
    CHECK_FALSE(shown.writable);
    auto const copy = world.touch(world.faults, world.page(0), flags::write);
    CHECK(copy.target != shown.target);
    CHECK(world.first_byte(copy.target) == std::byte{9});
}

TEST_CASE("where there is nothing to go on with", "[fault][userfault]") {
    minor_world world;
    auto const go_on = [&](std::uint64_t n) {
        return world.pager.go_on(world.me, world.span(n, 1)).stop;
    };
    CHECK(go_on(0) == errc::ok);
    CHECK(go_on(0) == errc::exists);
    CHECK(go_on(1) == errc::bad_address);
    CHECK(go_on(4) == errc::invalid_argument);  // behind the end
    world.map(40, 1);
    REQUIRE(world.pager.register_range(world.me, world.span(40, 1)).has_value());
    CHECK(go_on(40) == errc::invalid_argument);  // not shared memory
    auto const protect = world.pager.go_on(world.me, world.span(1, 1), mm::userfault_wake::now,
                                           mm::userfault_protection::on);
    CHECK(protect.stop == errc::invalid_argument);  // not registered for it
}

TEST_CASE("going on can protect the page", "[fault][userfault]") {
    minor_world world{mm::mmap_flag::shared,
                      {mm::userfault_mode::minor, mm::userfault_mode::write_protect}};
    auto const done = world.pager.go_on(world.me, world.span(0, 1), mm::userfault_wake::now,
                                        mm::userfault_protection::on);
    CHECK(done.complete());
    CHECK(world.entry(world.page(0)).uffd_wp);
    CHECK_FALSE(world.entry(world.page(0)).writable);
}

// ---- poisoned pages -----------------------------------------------------------------------------

TEST_CASE("poison in shared memory: this mapping only, and not behind the end",
          "[fault][userfault]") {
    paged_world world;
    CHECK(world.pager.poison(world.me, world.span(1, 1)).complete());
    CHECK(world.fault(world.faults, world.page(1), flags::read).error() == errc::hardware_poison);
    CHECK(world.touch(world.faults, world.page(21), flags::read).is_leaf());
    CHECK(world.pager.poison(world.me, world.span(5, 1)).stop == errc::bad_address);
    REQUIRE(world.object.punch(world.me, {0, 4}).has_value());
    CHECK(mm::is_poisoned(world.entry(world.page(1))));
    REQUIRE(world.object.resize(world.me, 0).has_value());
    CHECK(world.entry(world.page(1)).none());
}

TEST_CASE("a child inherits poison where entries are copied", "[fault][userfault][fork]") {
    for (auto const how : {mm::mmap_flags{mm::mmap_flag::shared}, mm::mmap_flags{}}) {
        paged_world world{how};
        CHECK(world.pager.poison(world.me, world.span(1, 1)).complete());
        fault_space child{world.frames, world.tables, world.domain, world.nobody, world.flush};
        REQUIRE(mm::fork(world.me, world.space, child).has_value());
        auto poisoned = false;
        (void)child.table().visit(world.me, world.span(1, 1),
                                  [&](mm::virt_addr, mm::page_entry const& entry, unsigned) {
                                      poisoned = mm::is_poisoned(entry);
                                  });
        CHECK(poisoned == !how.has(mm::mmap_flag::shared));
        child.exit(world.me);
    }
}
