// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/anonymous.hpp>

#include "unit/fault/fault_world.hpp"
#include <thread>
#include <vector>

using namespace mmhold_test;
using mm::errc;
using mm::fault_kind;
using handler = mm::anonymous<fault_space>;

TEST_CASE("a read finds the zero page, counted by nobody", "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 4);
    auto const leaf = world.touch(memory, at.plus(5), flags::read);
    CHECK(leaf.target == world.frames.zero_page());
    CHECK(leaf.special);
    CHECK_FALSE(leaf.writable);
    CHECK_FALSE(leaf.dirty);
    CHECK(leaf.permits(mm::access::read, {}));
    CHECK(world.frames_in_use() == 0);
    CHECK(world.space.resident().total() == 0);
    CHECK(world.entry(at.plus_pages(1)).none());
}

TEST_CASE("a write gets a zeroed, exclusive, dirty page of its own", "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 4);
    auto const leaf = world.touch(memory, at, flags::write);
    CHECK(leaf.writable);
    CHECK(leaf.dirty);
    CHECK(leaf.soft_dirty);
    CHECK_FALSE(leaf.special);
    CHECK(world.frames.kind(leaf.target) == mm::frame_kind::anonymous);
    CHECK(world.frames.exclusive(leaf.target));
    CHECK(world.frames.ref_count(leaf.target) == 1);
    CHECK(world.frames.map_count(leaf.target) == 1);
    CHECK(world.all_zero(leaf.target));
    CHECK(world.space.resident().anonymous == 1);
}

TEST_CASE("a write founds a family, which outlives the page, a read does not",
          "[fault][anonymous]") {
    fault_world world;
    mm::anonymous<fault_space> fresh{world.space};
    auto const at = world.map(0, 4);
    world.touch(fresh, at, flags::read);
    CHECK_FALSE(world.has_family(at));
    world.touch(fresh, at.plus_pages(1), flags::write);
    REQUIRE(world.space.dontneed(world.me, world.span(0, 4)));
    CHECK(world.has_family(at));
    auto const zeroes = world.map(8, 1);
    world.touch(fresh, zeroes, flags::read);
    world.touch(fresh, zeroes, flags::write);
    CHECK(world.has_family(zeroes));
    auto const shared = world.map(16, 1, mm::prot::rw, mm::mmap_flag::shared);
    world.touch(fresh, shared, flags::write);
    CHECK_FALSE(world.has_family(shared));
}

TEST_CASE("the page goes back to the pool when it is unmapped", "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 4);
    for (std::uint64_t n = 0; n < 4; ++n) world.touch(memory, at.plus_pages(n), flags::write);
    CHECK(world.frames_in_use() == 4);
    REQUIRE(world.space.munmap(world.me, world.span(0, 4)).has_value());
    CHECK(world.frames_in_use() == 0);
    CHECK(world.space.resident().total() == 0);
}

TEST_CASE("the entry carries the vma's rights and key", "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    mm::mmap_request request;
    request.hint = world.page(0);
    request.pages = {1};
    request.prot = mm::prot::rwx;
    request.pkey = 3;
    auto const executable = world.map(request);
    CHECK_FALSE(world.touch(memory, executable, flags::write).no_execute);
    CHECK(world.entry(executable).pkey == 3);
    auto const data = world.map(1, 1);
    CHECK(world.touch(memory, data, flags::read).no_execute);
    auto const write_only = world.map(2, 1, mm::prot::w);
    CHECK_FALSE(world.touch(memory, write_only, flags::read).writable);
    CHECK(world.entry(write_only).present());
}

TEST_CASE("2.1 item 6: a write that the mapping can never permit is SIGSEGV",
          "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    mm::mmap_request request;
    request.hint = world.page(0);
    request.pages = {1};
    request.prot = mm::prot::r;
    request.may = mm::prot::r;
    auto const never = world.map(request);
    CHECK(world.fault(memory, never, flags::write).error() == errc::bad_address);
    auto const shared = world.map(1, 1, mm::prot::r, mm::mmap_flag::shared);
    CHECK(world.fault(memory, shared, flags::write).error() == errc::bad_address);
    CHECK(world.entry(never).none());
    CHECK(world.entry(shared).none());
    CHECK(world.fault(memory, never, flags::read).kind() == fault_kind::installed);
}

TEST_CASE("2.1 item 6: flags that contradict each other are SIGSEGV", "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 1);
    using mm::fault_flag;
    CHECK(world.fault(memory, at, flags::write | flags::unshare).error() == errc::bad_address);
    CHECK(world.fault(memory, at, fault_flag::retry_nowait).error() == errc::bad_address);
    CHECK(world.fault(memory, at, flags::nowait.with(fault_flag::vma_lock)).error() ==
          errc::bad_address);
    CHECK(world.entry(at).none());
}

TEST_CASE("2.1 item 6: unshare where nothing is shared by copying is a plain read",
          "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const shared = world.map(0, 1, mm::prot::rw, mm::mmap_flag::shared);
    CHECK(world.touch(memory, shared, flags::unshare).writable);
    auto const again = world.touch(memory, shared, flags::unshare);
    CHECK(world.frames.ref_count(again.target) == 1);
}

TEST_CASE("2.1: nothing the caller could permit makes anonymous memory drop the lock",
          "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 2);
    auto const done = world.droppable_fault(memory, at, flags::retry | flags::write);
    CHECK(done.kind() == fault_kind::installed);
    CHECK(done.holding());
    auto const nowait = world.droppable_fault(memory, at.plus_pages(1), flags::nowait);
    CHECK(nowait.kind() == fault_kind::installed);
    CHECK(nowait.holding());
}

TEST_CASE(
    "2.1 item 6: a protection key that forbids the access is SIGSEGV, except for remote callers",
    "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    mm::mmap_request request;
    request.hint = world.page(0);
    request.pages = {2};
    request.pkey = 5;
    auto const at = world.map(request);
    world.me.set_key_rights(mm::protection_key_rights{}.with(5, 2));
    CHECK(world.fault(memory, at, flags::write).error() == errc::bad_address);
    CHECK(world.fault(memory, at, flags::read).kind() == fault_kind::installed);
    world.me.set_key_rights(mm::protection_key_rights{}.with(5, 1));
    CHECK(world.fault(memory, at, flags::read).error() == errc::bad_address);
    CHECK(world.fault(memory, at, mm::fault_flag::instruction).kind() == fault_kind::installed);
    CHECK(world.fault(memory, at, flags::write.with(mm::fault_flag::remote)).kind() ==
          fault_kind::installed);
}

TEST_CASE("4.1: a FORCE write into a read-only private mapping keeps the entry read-only",
          "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 2, mm::prot::r);
    auto const fresh = world.touch(memory, at, flags::write);
    CHECK_FALSE(fresh.writable);
    CHECK_FALSE(fresh.dirty);  // nothing there before: as do_anonymous_page leaves it
    CHECK(world.frames.exclusive(fresh.target));
    world.touch(memory, at.plus_pages(1), flags::read);
    auto const copied = world.touch(memory, at.plus_pages(1), flags::write);
    CHECK_FALSE(copied.writable);
    CHECK(copied.dirty);  // copied from the zero page: as wp_page_copy leaves it
    CHECK(world.frames.exclusive(copied.target));
}

TEST_CASE("4.1: a FORCE read of a PROT_NONE mapping leaves a page the hardware may not use",
          "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 2, mm::prot::none);
    auto const leaf = world.touch(memory, at, flags::read);
    CHECK(leaf.protnone);
    CHECK_FALSE(leaf.present());
    CHECK(leaf.target == world.frames.zero_page());
    CHECK(world.touch(memory, at, flags::read).protnone);  // again: nothing changes
    auto const written = world.touch(memory, at.plus_pages(1), flags::write);
    CHECK(written.protnone);
    CHECK(world.frames.exclusive(written.target));
}

TEST_CASE("shared anonymous memory gets a page of its own even for a read", "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 2, mm::prot::rw, mm::mmap_flag::shared);
    auto const leaf = world.touch(memory, at, flags::read);
    CHECK(leaf.target != world.frames.zero_page());
    CHECK(leaf.writable);
    CHECK_FALSE(leaf.dirty);
    CHECK(world.frames.kind(leaf.target) == mm::frame_kind::page_cache);
    CHECK(world.frames.attributes(leaf.target).has(mm::frame_attribute::shmem));
    CHECK(world.space.resident().shared == 1);
    CHECK(world.touch(memory, at.plus_pages(1), flags::write).dirty);
}

TEST_CASE("6.2 race 20: the loser of two faults on one page gives its frame back",
          "[fault][anonymous]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 1);
    world.touch(memory, at, flags::write);
    auto const before = world.entry(at);
    {
        auto const held = world.hold();
        auto const area = world.space.find(at, held);
        auto const page = mm::allocate_page_for(world.space, area->view(held));
        REQUIRE(page.has_value());
        auto const leaf = mm::leaf_for(area->view(held), *page, mm::install_for::writing);
        CHECK(mm::install_page(world.space, world.me, at, leaf).error() == errc::exists);
    }
    CHECK(world.entry(at) == before);
    CHECK(world.frames_in_use() == 1);
}

TEST_CASE("6.2 race 20: many threads fault on the same pages, each page is installed once",
          "[fault][anonymous][threads]") {
    constexpr std::uint64_t pages = 64;
    fault_world world;
    auto const at = world.map(0, pages);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            fault_cpu me{world.domain};
            handler memory{world.space};
            for (std::uint64_t n = 0; n < pages; ++n) {
                auto lock = world.hold();
                auto keep = authority::keep(lock);
                auto const done = memory.handle({at.plus_pages(n), flags::write}, keep, me);
                if (done.kind() != fault_kind::installed) std::abort();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(world.frames_in_use() == pages);
    CHECK(world.space.resident().anonymous == pages);
}

TEST_CASE("exhausted frames: no_memory, and nothing is installed or lost",
          "[fault][anonymous][no-memory]") {
    fault_world world{2};
    handler memory{world.space};
    auto const at = world.map(0, 4);
    world.touch(memory, at, flags::write);
    world.touch(memory, at.plus_pages(1), flags::write);
    {
        auto const refused = world.fault(memory, at.plus_pages(2), flags::write);
        CHECK(refused.error() == errc::no_memory);
        CHECK(refused.holding());
    }
    CHECK(world.entry(at.plus_pages(2)).none());
    world.touch(memory, at.plus_pages(2), flags::read);  // the zero page costs no frame
    CHECK(world.fault(memory, at.plus_pages(2), flags::write).error() == errc::no_memory);
    CHECK(world.entry(at.plus_pages(2)).target == world.frames.zero_page());
    REQUIRE(world.space.munmap(world.me, world.span(0, 1)).has_value());
    CHECK(world.touch(memory, at.plus_pages(2), flags::write).writable);
}

TEST_CASE("exhausted page tables: no_memory, and the frame goes back",
          "[fault][anonymous][no-memory]") {
    fault_world world{8, 3};  // root and two more: one short of a page
    handler memory{world.space};
    auto const at = world.map(0, 1);
    CHECK(world.fault(memory, at, flags::write).error() == errc::no_memory);
    CHECK(world.fault(memory, at, flags::read).error() == errc::no_memory);
    CHECK(world.frames_in_use() == 0);
    CHECK(world.entry(at).none());
}

TEST_CASE("bad faults: no vma, beyond user space, not canonical, a dead witness",
          "[fault][anonymous][bad-input]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 1);
    CHECK(world.fault(memory, world.page(1), flags::read).error() == errc::bad_address);
    CHECK(world.fault(memory, {0}, flags::read).error() == errc::bad_address);
    CHECK(world.fault(memory, {~std::uint64_t{0}}, flags::write).error() == errc::bad_address);
    CHECK(world.fault(memory, {std::uint64_t{1} << 47U}, flags::read).error() == errc::bad_address);

    auto lock = world.hold();
    auto keep = authority::keep(lock);
    (void)lock.give_up();
    auto const done = memory.handle({at, flags::read}, keep, world.me);
    CHECK(done.error() == errc::lock_not_held);
}

TEST_CASE("the lock of another address space is not held here", "[fault][anonymous][bad-input]") {
    fault_world world;
    fault_world other;
    handler memory{world.space};
    auto const at = world.map(0, 1);
    auto lock = other.hold();
    auto keep = authority::keep(lock);
    CHECK(memory.handle({at, flags::read}, keep, world.me).error() == errc::lock_not_held);
    CHECK(world.entry(at).none());
}

TEST_CASE("a cpu that could not be built is no_memory", "[fault][anonymous][no-memory]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 1);
    creations_left none{0};
    fault_cpu poor{world.domain};
    auto lock = world.hold();
    auto keep = authority::keep(lock);
    if (!poor.valid()) {
        CHECK(memory.handle({at, flags::read}, keep, poor).error() == errc::no_memory);
    }
}

namespace {

/// Read, write, copy and give back, at compile time.
constexpr bool whole_life_in_constant_evaluation() {
    using config = mm::default_config<mm::constexpr_machine>;
    using space_type = mm::address_space<config>;
    mm::frame_pool<mm::constexpr_machine> frames{mm::page_count{4}};
    config::tables tables{mm::page_count{8}};
    config::reclaimer domain;
    space_type::cpu_type me{domain};
    space_type space{frames, tables, domain};
    mm::anonymous<space_type> memory{space};
    auto const at = space.mmap(me, {.pages = {2}});
    if (!at) return false;
    auto lock = mm::held_shared<space_type::lock_type>::acquire(space.lock());
    auto keep = mm::lock_authority<space_type::lock_type>::keep(lock);
    auto const read = memory.handle({*at, {}}, keep, me);
    auto const after_read = frames.statistics().free;
    auto const write = memory.handle({*at, mm::fault_flag::write}, keep, me);
    return read.kind() == fault_kind::installed && after_read == 4 &&
           write.kind() == fault_kind::installed && frames.statistics().free == 3;
}
static_assert(whole_life_in_constant_evaluation());

}  // namespace
