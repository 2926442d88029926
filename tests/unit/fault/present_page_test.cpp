// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/anonymous.hpp>
#include <mmhold/fault/present_page.hpp>

#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::errc;
using present = mm::present_page<fault_space>;

namespace {

/// Asks present_page about a fault; nothing: nothing is mapped.
std::optional<errc> ask(fault_world& world, mm::virt_addr at, mm::fault_flags how) {
    auto const lock = world.hold();
    auto const keep = authority::keep(lock);
    auto const site = mm::locate_fault(world.space, {at, how}, keep, world.me);
    REQUIRE(site.has_value());
    auto const answer = present{world.space}.answer(*site, world.me);
    return answer ? std::optional{answer->error()} : std::nullopt;
}

void change_entry(fault_world& world, mm::virt_addr at, auto change) {
    auto entry = world.space.table().lock_leaf(world.me, at, 0, mm::if_absent::fail);
    REQUIRE(entry.has_value());
    auto leaf = entry->read();
    change(leaf);
    (void)entry->replace(leaf);
}

}  // namespace

TEST_CASE("nothing mapped is for somebody else to answer", "[fault][present]") {
    fault_world world;
    auto const at = world.map(0, 2);
    CHECK_FALSE(ask(world, at, flags::read));
    mm::anonymous<fault_space> memory{world.space};
    world.touch(memory, at, flags::write);
    CHECK(ask(world, at, flags::read) == errc::ok);
    CHECK_FALSE(ask(world, at.plus_pages(1), flags::write));  // a table is there, an entry is not
}

TEST_CASE("missing means: no table, no leaf, no marker", "[fault][present]") {
    fault_world world;
    auto const at = world.map(0, 2);
    present const pages{world.space};
    CHECK(pages.is_missing(world.me, at));
    REQUIRE(world.space.table().map(world.me, at, mm::page_entry::marker_for(3, 4), 0).has_value());
    CHECK_FALSE(pages.is_missing(world.me, at));
    CHECK(pages.is_missing(world.me, at.plus_pages(1)));
    CHECK_FALSE(pages.is_missing(world.me, {~std::uint64_t{0}}));  // cannot be looked at
}

TEST_CASE("a guard is SIGSEGV for a program, any other marker SIGBUS", "[fault][present]") {
    fault_world world;
    auto const at = world.map(0, 2);
    auto const strange = mm::page_entry::marker_for(3, 4);
    REQUIRE(world.space.table().map(world.me, at, mm::guard_entry(), 0).has_value());
    REQUIRE(world.space.table().map(world.me, at.plus_pages(1), strange, 0).has_value());
    mm::anonymous<fault_space> memory{world.space};
    auto const lock = world.hold();
    auto keep = authority::keep(lock);
    auto const guarded = memory.handle({at, flags::read}, keep, world.me);
    CHECK(guarded.error() == errc::bad_address);
    CHECK(guarded.signal() == mm::fatal_signal::segmentation);
    auto const other = memory.handle({at.plus_pages(1), flags::read}, keep, world.me);
    CHECK(other.error() == errc::bad_address);
    CHECK(other.signal() == mm::fatal_signal::bus_error);
    mm::page_answer const done{errc::ok};
    CHECK(done.has_value());
    CHECK_FALSE(mm::page_answer::forbidden());
}

TEST_CASE("a marker is its owner's business", "[fault][present][bad-input]") {
    fault_world world;
    auto const at = world.map(0, 1);
    auto const marker = mm::page_entry::marker_for(3, 4);
    REQUIRE(world.space.table().map(world.me, at, marker, 0).has_value());
    CHECK(ask(world, at, flags::read) == errc::bad_address);
    CHECK(ask(world, at, flags::write) == errc::bad_address);
    CHECK(world.entry(at) == marker);
}

TEST_CASE("2.1: a fault that comes late marks the page as used and changes nothing else",
          "[fault][present]") {
    fault_world world;
    mm::anonymous<fault_space> memory{world.space};
    auto const at = world.map(0, 1);
    auto const fresh = world.touch(memory, at, flags::write);
    change_entry(world, at, [](mm::page_entry& leaf) { leaf.accessed = leaf.dirty = false; });
    CHECK(ask(world, at, flags::read) == errc::ok);
    CHECK(world.entry(at).accessed);
    CHECK_FALSE(world.entry(at).dirty);
    CHECK(ask(world, at, flags::write) == errc::ok);
    CHECK(world.entry(at) == fresh);
    CHECK(ask(world, at, flags::unshare) == errc::ok);  // writable: nothing to unshare
    CHECK(world.entry(at) == fresh);
}

TEST_CASE("a NUMA hint is taken away", "[fault][present]") {
    fault_world world;
    mm::anonymous<fault_space> memory{world.space};
    auto const at = world.map(0, 1);
    auto const fresh = world.touch(memory, at, flags::write);
    change_entry(world, at, [](mm::page_entry& leaf) {
        leaf.protnone = true;
        leaf.user = false;
    });
    CHECK_FALSE(world.entry(at).present());
    CHECK(ask(world, at, flags::read) == errc::ok);
    CHECK(world.entry(at) == fresh);
}

TEST_CASE("a NUMA hint on a page that must be copied: both in one fault", "[fault][present]") {
    fault_world world;
    mm::anonymous<fault_space> memory{world.space};
    auto const at = world.map(0, 1);
    world.touch(memory, at, flags::read);
    change_entry(world, at, [](mm::page_entry& leaf) {
        leaf.protnone = true;
        leaf.user = false;
    });
    CHECK(ask(world, at, flags::write) == errc::ok);
    CHECK(world.entry(at).writable);
    CHECK(world.entry(at).present());
}

TEST_CASE("PROT_NONE in a vma without rights stays", "[fault][present]") {
    fault_world world;
    mm::anonymous<fault_space> memory{world.space};
    auto const at = world.map(0, 1);
    world.touch(memory, at, flags::write);
    REQUIRE(world.space.mprotect(world.me, world.span(0, 1), mm::prot::none).has_value());
    auto const before = world.entry(at);
    CHECK(before.protnone);
    CHECK(ask(world, at, flags::read) == errc::ok);
    CHECK(world.entry(at) == before);
}
