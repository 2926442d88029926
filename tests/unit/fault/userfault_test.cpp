// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/anonymous.hpp>
#include <mmhold/fault/userfault.hpp>
#include <mmhold/lock/null_lock.hpp>

#include "unit/fault/fault_world.hpp"
#include <array>
#include <thread>
#include <vector>

using namespace mmhold_test;
using mm::errc;
using mm::fault_flag;
using mm::fault_kind;
using mm::userfault_event;
using mm::userfault_event_flag;
using mm::userfault_feature;
using mm::userfault_wake;
using userfault = mm::userfault<fault_space>;

namespace {

/// Four pages of private memory whose missing pages the pager supplies.
struct userfault_world : fault_world {
    userfault pager;
    mm::virt_addr at;

    explicit userfault_world(mm::userfault_features features = {},
                             std::uint64_t frame_capacity = 64, std::uint64_t table_capacity = 64)
        : fault_world{frame_capacity, table_capacity}, pager{space, features}, at{map(0, 4)} {
        REQUIRE(pager.register_range(me, span(0, 4)).has_value());
    }
    ~userfault_world() { (void)pager.close(me); }

    mm::fault_source* source_of(mm::virt_addr where) {
        auto const held = hold();
        auto const area = space.find(where, held);
        return area ? area->view(held).source : nullptr;
    }
    std::size_t vma_count() {
        auto const held = hold();
        return space.vma_count(held);
    }
    /// A fault that must come back as RETRY with the lock gone: its ticket.
    mm::wait_ticket<counting_machine> must_retry(mm::virt_addr where, mm::fault_flags how) {
        auto done = droppable_fault(pager, where, how);
        REQUIRE(done.kind() == fault_kind::retry_lock_dropped);
        REQUIRE_FALSE(done.holding());
        return done.outcome.take_ticket();
    }
    /// A fault that must be SIGBUS, with the lock held and nothing queued.
    void must_be_sigbus(mm::virt_addr where, mm::fault_flags how) {
        auto const before = pager.counts();
        auto const done = droppable_fault(pager, where, how);
        CHECK(done.kind() == fault_kind::failed);
        CHECK(done.error() == errc::bad_address);
        CHECK(done.holding());
        CHECK(pager.counts() == before);
    }
};

}  // namespace

// ---- the table of section 3 ---------------------------------------------------------------------

TEST_CASE("a write founds a family before the pager is asked, a read does not",
          "[fault][userfault]") {
    userfault_world world{userfault_feature::sigbus};
    world.must_be_sigbus(world.at, flags::retry);
    CHECK_FALSE(world.has_family(world.at));
    world.must_be_sigbus(world.at, flags::retry | flags::write);
    CHECK(world.has_family(world.at));
}

TEST_CASE("what the pager fills founds a family, even if it must not be filled",
          "[fault][userfault]") {
    userfault_world world;
    auto const others = world.map(8, 1);
    CHECK(world.pager.zeropage(world.me, world.span(8, 1)).stop == errc::bad_address);
    CHECK(world.has_family(others));
    CHECK_FALSE(world.has_family(world.at));
    CHECK(world.pager.zeropage(world.me, world.span(0, 1)).pages == 1);
    CHECK(world.has_family(world.at));
}

TEST_CASE("3 row 2: a vma without this userfault is SIGBUS, lock held", "[fault][userfault]") {
    userfault_world world;
    world.map(8, 1);
    world.must_be_sigbus(world.page(8), flags::retry);
    userfault other{world.space};
    world.map(9, 1, mm::prot::rw, {}, &other);
    world.must_be_sigbus(world.page(9), flags::retry);
}

TEST_CASE("3 row 3: UFFD_FEATURE_SIGBUS is SIGBUS, lock held", "[fault][userfault]") {
    userfault_world world{userfault_feature::sigbus};
    world.must_be_sigbus(world.at, flags::retry);
    world.must_be_sigbus(world.at, flags::retry | flags::user | flags::write);
}

TEST_CASE("3 row 4: a kernel fault of a user-mode-only userfault is SIGBUS, lock held",
          "[fault][userfault]") {
    userfault_world world{userfault_feature::user_mode_only};
    world.must_be_sigbus(world.at, flags::retry);
    auto const ticket = world.must_retry(world.at, flags::retry | flags::user);
    CHECK_FALSE(ticket.ready());
}

TEST_CASE("3 row 5: no ALLOW_RETRY is SIGBUS, lock held", "[fault][userfault]") {
    userfault_world world;
    world.must_be_sigbus(world.at, flags::read);
    world.must_be_sigbus(world.at, flags::write | flags::user);
    auto const kept = world.fault(world.pager, world.at, flags::read);
    CHECK(kept.error() == errc::bad_address);
    CHECK(kept.holding());
}

TEST_CASE("3 row 5: ALLOW_RETRY without permission to drop the lock is SIGBUS too",
          "[fault][userfault]") {
    userfault_world world;
    auto const done = world.fault(world.pager, world.at, flags::retry);
    CHECK(done.error() == errc::bad_address);
    CHECK(done.holding());
    CHECK(world.pager.counts().raised == 0);
}

TEST_CASE("3 row 6: RETRY_NOWAIT is RETRY, lock held, no event", "[fault][userfault]") {
    userfault_world world;
    auto done = world.droppable_fault(world.pager, world.at, flags::nowait);
    CHECK(done.kind() == fault_kind::retry_lock_kept);
    CHECK(done.holding());
    CHECK(done.outcome.take_ticket().ready());
    auto const kept = world.fault(world.pager, world.at, flags::nowait | flags::write);
    CHECK(kept.kind() == fault_kind::retry_lock_kept);
    CHECK_FALSE(world.pager.read_event());
    CHECK(world.pager.counts().raised == 0);
}

TEST_CASE("3 row 7: being closed is RETRY, lock dropped, nothing to wait for",
          "[fault][userfault]") {
    userfault_world world;
    world.pager.stop();
    CHECK(world.must_retry(world.at, flags::retry).ready());
    CHECK(world.pager.counts().raised == 0);
    world.must_be_sigbus(world.at, flags::read);  // row 5 stands before row 7
    auto const nowait = world.droppable_fault(world.pager, world.at, flags::nowait);
    CHECK(nowait.kind() == fault_kind::retry_lock_kept);  // and so does row 6
}

TEST_CASE("3 row 8: the event has the page's address and says whether it was a write",
          "[fault][userfault]") {
    userfault_world world;
    auto const read = world.must_retry(world.at.plus(0x1010), flags::retry);
    auto const write = world.must_retry(world.at.plus(0x2020), flags::retry | flags::write);
    CHECK(world.pager.read_event() == userfault_event{world.at.plus_pages(1), {}, 1});
    CHECK(world.pager.read_event() ==
          userfault_event{world.at.plus_pages(2), userfault_event_flag::write, 2});
    CHECK_FALSE(world.pager.read_event());
}

TEST_CASE("3 row 8: UFFD_FEATURE_EXACT_ADDRESS keeps the address as it is", "[fault][userfault]") {
    userfault_world world{userfault_feature::exact_address};
    auto const ticket = world.must_retry(world.at.plus(0x1010), flags::retry);
    CHECK(world.pager.read_event()->address == world.at.plus(0x1010));
    CHECK(world.pager.wake(world.span(1, 1)).value_or(0) == 1);
    CHECK(ticket.ready());
}

TEST_CASE("3 row 8: how the caller sleeps follows from the fault's flags", "[fault][userfault]") {
    CHECK(mm::sleep_mode({fault_flag::allow_retry}) == mm::wait_mode::uninterruptible);
    CHECK(mm::sleep_mode(flags::retry) == mm::wait_mode::killable);
    CHECK(mm::sleep_mode(flags::retry.with(fault_flag::interruptible)) ==
          mm::wait_mode::interruptible);
}

TEST_CASE("3 row 9: a page that came before the event was queued: no sleep, RETRY all the same",
          "[fault][userfault]") {
    userfault_world world;
    // The handler has found nothing and is about to queue the event; then the page comes.
    counting_machine::at_next_creation = [&] {
        CHECK(world.pager.zeropage(world.me, world.span(0, 1)).complete());
    };
    auto const ticket = world.must_retry(world.at, flags::retry);
    CHECK(ticket.ready());
    CHECK(world.pager.counts() == mm::userfault_counts{0, 0, 0, 1});  // queued, and taken back
    auto const again = world.droppable_fault(world.pager, world.at, flags::retry);
    CHECK(again.kind() == fault_kind::installed);
    CHECK(again.holding());
}

TEST_CASE("3 row 9: closing before the event was queued: no sleep, RETRY all the same",
          "[fault][userfault]") {
    userfault_world world;
    counting_machine::at_next_creation = [&] { world.pager.stop(); };
    CHECK(world.must_retry(world.at, flags::retry).ready());
    CHECK(world.pager.counts() == mm::userfault_counts{0, 0, 0, 0});
}

TEST_CASE("a page that comes after the event was queued wakes its waiter", "[fault][userfault]") {
    userfault_world world;
    auto const ticket = world.must_retry(world.at, flags::retry);
    CHECK_FALSE(ticket.ready());
    CHECK(world.pager.zeropage(world.me, world.span(0, 1)).complete());
    CHECK(ticket.ready());
}

TEST_CASE("3 row 10: RETRY always, the lock is gone, and the ticket leaves the queue with its end",
          "[fault][userfault]") {
    userfault_world world;
    {
        auto const ticket = world.must_retry(world.at, flags::retry);
        CHECK(world.pager.counts() == mm::userfault_counts{1, 1, 1, 1});
        auto const writer = mm::held_exclusive<fault_lock>::try_acquire(world.space.lock());
        CHECK(writer.has_value());
    }
    CHECK(world.pager.counts() == mm::userfault_counts{0, 0, 0, 1});
}

TEST_CASE("3: TRIED changes nothing: any number of RETRYs", "[fault][userfault]") {
    userfault_world world;
    for (int i = 0; i < 5; ++i) {
        auto const ticket = world.must_retry(world.at, flags::retry.with(fault_flag::tried));
        CHECK_FALSE(ticket.ready());
    }
    CHECK(world.pager.counts().raised == 5);
}

TEST_CASE("3: what is mapped does not ask the pager", "[fault][userfault]") {
    userfault_world world;
    REQUIRE(world.pager.zeropage(world.me, world.span(0, 1)).complete());
    auto const leaf =
        world.touch(world.pager, world.at, flags::write);  // copied from the zero page
    CHECK(leaf.writable);
    CHECK(world.all_zero(leaf.target));
    CHECK(world.pager.counts().raised == 0);
}

TEST_CASE("3: a marker does not reach the pager", "[fault][userfault]") {
    userfault_world world;
    auto const marker = mm::page_entry::marker_for(1, 1);
    REQUIRE(world.space.table().map(world.me, world.at, marker, 0).has_value());
    world.must_be_sigbus(world.at, flags::retry);
}

TEST_CASE("3: no memory for the event: no_memory, lock held, nothing queued",
          "[fault][userfault][no-memory]") {
    userfault_world world;
    auto lock = world.hold();
    auto may = authority::may_drop(mm::may_drop(lock));
    {
        creations_left none{0};
        auto const done = world.pager.handle({world.at, flags::retry}, may, world.me);
        CHECK(done.error() == errc::no_memory);
    }
    CHECK(lock.holding());
    CHECK(world.pager.counts() == mm::userfault_counts{0, 0, 0, 0});
}

// ---- tasks that are leaving (row 1): the host's tasks say so
// -------------------------------------

namespace {

/// A host whose tasks know that they exit.
struct host_task : mm::task<counting_machine> {
    bool exits = false;
    [[nodiscard]] bool exiting() const { return exits; }
};
struct host_cpu : fault_cpu {
    using fault_cpu::fault_cpu;
    host_task own{};
    [[nodiscard]] host_task& current() noexcept { return own; }
};
struct host_space : fault_space {
    using cpu_type = host_cpu;
    using fault_space::fault_space;
};

}  // namespace

TEST_CASE("3 row 1: a task that exits or dumps core gets SIGBUS, lock held", "[fault][userfault]") {
    mm::frame_pool<counting_machine> frames{mm::page_count{4}};
    fault_config::tables tables{mm::page_count{8}};
    fault_config::reclaimer domain;
    mm::null_observer nobody;
    noted_flush flush;
    host_cpu me{domain};
    host_space space{frames, tables, domain, nobody, flush};
    mm::userfault<host_space> pager{space};
    auto const at = space.mmap(me, {.pages = {1}});
    REQUIRE(at.has_value());
    REQUIRE(pager.register_range(me, *mm::page_span::from(*at, mm::page_count{1})).has_value());
    for (auto const exits : {true, false}) {
        me.own.exits = exits;
        auto lock = shared_hold::acquire(space.lock());
        auto may = authority::may_drop(mm::may_drop(lock));
        auto const done = pager.handle({*at, flags::retry}, may, me);
        CHECK(done.kind() == (exits ? fault_kind::failed : fault_kind::retry_lock_dropped));
        CHECK(lock.holding() == exits);
    }
    CHECK(pager.counts().raised == 1);
    REQUIRE(pager.close(me).has_value());
}

// ---- registering --------------------------------------------------------------------------------

TEST_CASE("register splits vmas at its ends and joins them when it is undone",
          "[fault][userfault]") {
    userfault_world world;
    userfault second{world.space};
    world.map(16, 8);
    auto const before = world.vma_count();
    REQUIRE(second.register_range(world.me, world.span(18, 2)).has_value());
    CHECK(world.vma_count() == before + 2);
    CHECK(world.source_of(world.page(17)) == nullptr);
    CHECK(world.source_of(world.page(18)) == &second);
    CHECK(world.source_of(world.page(20)) == nullptr);
    REQUIRE(second.unregister_range(world.me, world.span(16, 8)).has_value());
    CHECK(world.vma_count() == before);
    REQUIRE(second.close(world.me).has_value());
}

TEST_CASE("register skips holes and takes every vma in its range", "[fault][userfault]") {
    userfault_world world;
    userfault second{world.space};
    world.map(16, 1);
    world.map(18, 1, mm::prot::r);
    REQUIRE(second.register_range(world.me, world.span(15, 6)).has_value());
    CHECK(world.source_of(world.page(16)) == &second);
    CHECK(world.source_of(world.page(18)) == &second);
    REQUIRE(second.register_range(world.me, world.span(15, 6)).has_value());  // again is no error
    REQUIRE(second.close(world.me).has_value());
    CHECK(world.source_of(world.page(16)) == nullptr);
    CHECK(world.source_of(world.page(18)) == nullptr);
    CHECK(world.source_of(world.at) == &world.pager);
}

TEST_CASE("register: bad ranges are EINVAL", "[fault][userfault][bad-input]") {
    userfault_world world;
    CHECK(world.pager.register_range(world.me, {}).error() == errc::invalid_argument);
    CHECK(world.pager.register_range(world.me, world.span(100, 4)).error() ==
          errc::invalid_argument);
    CHECK(mm::page_span::from(world.at.plus(1), mm::page_count{1}).error() ==
          errc::invalid_argument);  // an unaligned range cannot even be said
}

TEST_CASE("register: another userfault's range is EBUSY, and nothing changes",
          "[fault][userfault][bad-input]") {
    userfault_world world;
    userfault second{world.space};
    world.map(4, 2);
    CHECK(second.register_range(world.me, world.span(3, 3)).error() == errc::busy);
    CHECK(world.source_of(world.page(3)) == &world.pager);
    CHECK(world.source_of(world.page(4)) == nullptr);
    CHECK(second.register_range(world.me, world.span(4, 2)).has_value());
    REQUIRE(second.close(world.me).has_value());
}

TEST_CASE("register: files, devices and what can never be written are EINVAL",
          "[fault][userfault][bad-input]") {
    userfault_world world;
    auto const refusal = [&](auto change) {
        mm::mmap_request request;
        request.hint = world.page(32);
        request.pages = {1};
        change(request);
        world.map(request);
        return world.pager.register_range(world.me, world.span(32, 1)).error();
    };
    using request = mm::mmap_request&;
    CHECK(refusal([](request r) {
              r.kind = mm::vma_kind::file;
              r.file = 1;
          }) == errc::invalid_argument);
    CHECK(refusal([](request r) { r.kind = mm::vma_kind::vdso; }) == errc::invalid_argument);
    CHECK(refusal([](request r) { r.properties = mm::vma_flag::pfnmap; }) ==
          errc::invalid_argument);
    CHECK(refusal([](request r) { r.properties = mm::vma_flag::io; }) == errc::invalid_argument);
    CHECK(refusal([](request r) { r.prot = r.may = mm::prot::r; }) == errc::invalid_argument);
    CHECK(refusal([](request r) { r.kind = mm::vma_kind::heap; }) == errc::ok);
    CHECK(refusal([](request r) { r.kind = mm::vma_kind::stack; }) == errc::ok);
    CHECK(refusal([](request r) { r.flags = mm::mmap_flag::shared; }) == errc::ok);
    CHECK(refusal([](request r) { r.prot = mm::prot::none; }) == errc::ok);
}

TEST_CASE("register: a vma that cannot be split is no_memory, and nothing changes",
          "[fault][userfault][no-memory]") {
    userfault_world world;
    userfault second{world.space};
    world.map(16, 8);
    // Use up the room that the map keeps in advance.
    auto refused = errc::ok;
    {
        creations_left none{0};
        for (std::uint64_t n = 17; n < 24 && refused == errc::ok; n += 2) {
            refused = second.register_range(world.me, world.span(n, 1)).error();
            if (refused != errc::ok) CHECK(world.source_of(world.page(n)) == nullptr);
        }
    }
    CHECK(refused == errc::no_memory);
    REQUIRE(second.close(world.me).has_value());
}

TEST_CASE("register and unregister want to see the lock", "[fault][userfault][bad-input]") {
    userfault_world world;
    using exclusive = mm::held_exclusive<fault_lock>;
    auto held = exclusive::acquire(world.space.lock());
    CHECK(world.pager.unregister_range_locked(held, world.me, world.span(0, 4)).has_value());
    CHECK(world.pager.register_range_locked(held, world.me, world.span(0, 4)).has_value());
    (void)held.give_up();
    CHECK(world.pager.register_range_locked(held, world.me, world.span(0, 4)).error() ==
          errc::lock_not_held);
    CHECK(world.pager.unregister_range_locked(held, world.me, world.span(0, 4)).error() ==
          errc::lock_not_held);
    CHECK(world.pager.close_locked(held, world.me).error() == errc::lock_not_held);
}

TEST_CASE("unregister wakes the waiters of its range, and the page comes as the vma gives it",
          "[fault][userfault]") {
    userfault_world world;
    auto const inside = world.must_retry(world.at, flags::retry);
    auto const outside = world.must_retry(world.at.plus_pages(2), flags::retry);
    REQUIRE(world.pager.unregister_range(world.me, world.span(0, 2)).has_value());
    CHECK(inside.ready());
    CHECK_FALSE(outside.ready());
    CHECK(world.source_of(world.at) == nullptr);
    CHECK(world.source_of(world.at.plus_pages(2)) == &world.pager);
    mm::anonymous<fault_space> memory{world.space};
    CHECK(world.touch(memory, world.at, flags::read).special);
}

TEST_CASE("unregister: bad ranges and other userfaults' ranges are EINVAL",
          "[fault][userfault][bad-input]") {
    userfault_world world;
    userfault second{world.space};
    CHECK(world.pager.unregister_range(world.me, {}).error() == errc::invalid_argument);
    CHECK(world.pager.unregister_range(world.me, world.span(100, 1)).error() ==
          errc::invalid_argument);
    CHECK(second.unregister_range(world.me, world.span(0, 1)).error() == errc::invalid_argument);
    CHECK(world.source_of(world.at) == &world.pager);
    world.map(8, 1);
    CHECK(second.unregister_range(world.me, world.span(8, 1)).has_value());  // was not registered
}

TEST_CASE("munmap wakes nobody", "[fault][userfault]") {
    userfault_world world;
    auto const ticket = world.must_retry(world.at, flags::retry);
    REQUIRE(world.space.munmap(world.me, world.span(0, 1)).has_value());
    CHECK_FALSE(ticket.ready());
    CHECK(world.pager.wake(world.span(0, 1)).value_or(0) == 1);
    CHECK(ticket.ready());
}

// ---- the pager ----------------------------------------------------------------------------------

TEST_CASE("copy puts the bytes in place, exclusive and dirty, and wakes", "[fault][userfault]") {
    userfault_world world;
    auto const ticket = world.must_retry(world.at, flags::retry);
    std::vector<std::byte> bytes(2 * mm::page_size, std::byte{1});
    bytes.back() = std::byte{2};
    CHECK(world.pager.copy(world.me, world.span(0, 2), bytes) == mm::userfault_filled{2, errc::ok});
    CHECK(ticket.ready());
    auto const first = world.entry(world.at);
    auto const second = world.entry(world.at.plus_pages(1));
    CHECK(first.writable);
    CHECK(first.dirty);
    CHECK(world.frames.exclusive(first.target));
    CHECK(world.frames.ref_count(first.target) == 1);
    CHECK(world.first_byte(first.target) == std::byte{1});
    CHECK(world.frames.bytes(second.target).back() == std::byte{2});
    CHECK(world.space.resident().anonymous == 2);
}

TEST_CASE("copy into a read-only vma leaves the entry read-only", "[fault][userfault]") {
    userfault_world world;
    REQUIRE(world.space.mprotect(world.me, world.span(0, 4), mm::prot::r).has_value());
    auto const fill = [](std::uint64_t, std::span<std::byte> bytes) { bytes[0] = std::byte{9}; };
    CHECK(world.pager.copy_with(world.me, world.span(0, 1), fill).complete());
    CHECK_FALSE(world.entry(world.at).writable);
    CHECK(world.first_byte(world.entry(world.at).target) == std::byte{9});
}

TEST_CASE("copy_with says which page of the range it fills", "[fault][userfault]") {
    userfault_world world;
    std::vector<std::uint64_t> asked;
    auto const fill = [&](std::uint64_t n, std::span<std::byte>) { asked.push_back(n); };
    CHECK(world.pager.copy_with(world.me, world.span(1, 3), fill).pages == 3);
    CHECK(asked == std::vector<std::uint64_t>{0, 1, 2});
}

TEST_CASE("copy where something is mapped is EEXIST, after the pages before it",
          "[fault][userfault]") {
    userfault_world world;
    REQUIRE(world.pager.zeropage(world.me, world.span(2, 1)).complete());
    std::vector<std::byte> const bytes(4 * mm::page_size);
    auto const early = world.must_retry(world.at.plus_pages(1), flags::retry);
    auto const late = world.must_retry(world.at.plus_pages(3), flags::retry);
    CHECK(world.pager.copy(world.me, world.span(0, 4), bytes) ==
          mm::userfault_filled{2, errc::exists});
    CHECK(early.ready());
    CHECK_FALSE(late.ready());  // only what was filled is woken
    CHECK(world.pager.zeropage(world.me, world.span(2, 1)) ==
          mm::userfault_filled{0, errc::exists});
}

TEST_CASE("copy and zeropage without waking", "[fault][userfault]") {
    userfault_world world;
    auto const one = world.must_retry(world.at, flags::retry);
    auto const two = world.must_retry(world.at.plus_pages(1), flags::retry);
    std::vector<std::byte> const bytes(mm::page_size);
    CHECK(world.pager.copy(world.me, world.span(0, 1), bytes, userfault_wake::later).complete());
    CHECK(world.pager.zeropage(world.me, world.span(1, 1), userfault_wake::later).complete());
    CHECK_FALSE(one.ready());
    CHECK_FALSE(two.ready());
    CHECK(world.pager.wake(world.span(0, 4)).value_or(0) == 2);
    CHECK(one.ready());
}

TEST_CASE("zeropage: the zero page in private memory, a frame in shared", "[fault][userfault]") {
    userfault_world world;
    CHECK(world.pager.zeropage(world.me, world.span(0, 1)).complete());
    CHECK(world.entry(world.at).special);
    CHECK(world.frames_in_use() == 0);
    world.map(8, 1, mm::prot::rw, mm::mmap_flag::shared);
    REQUIRE(world.pager.register_range(world.me, world.span(8, 1)).has_value());
    CHECK(world.pager.zeropage(world.me, world.span(8, 1)).complete());
    auto const leaf = world.entry(world.page(8));
    CHECK(world.frames.attributes(leaf.target).has(mm::frame_attribute::shmem));
    CHECK(world.all_zero(leaf.target));
    CHECK(leaf.writable);
}

TEST_CASE("copy: ranges that are not one registered vma are refused",
          "[fault][userfault][bad-input]") {
    userfault_world world;
    std::vector<std::byte> const page(mm::page_size);
    std::vector<std::byte> const two(2 * mm::page_size);
    CHECK(world.pager.copy(world.me, {}, {}).stop == errc::invalid_argument);
    CHECK(world.pager.copy(world.me, world.span(0, 1), two).stop == errc::invalid_argument);
    CHECK(world.pager.copy(world.me, world.span(0, 2), page).stop == errc::invalid_argument);
    CHECK(world.pager.copy(world.me, world.span(100, 1), page).stop == errc::bad_address);
    world.map(4, 1);
    CHECK(world.pager.copy(world.me, world.span(4, 1), page).stop == errc::bad_address);
    CHECK(world.pager.copy(world.me, world.span(3, 2), two).stop == errc::bad_address);
    CHECK(world.pager.zeropage(world.me, {}).stop == errc::invalid_argument);
    CHECK(world.entry(world.page(3)).none());
    CHECK(world.pager.wake({}).error() == errc::invalid_argument);
    CHECK(world.frames_in_use() == 0);
}

TEST_CASE("copy without frames or tables is ENOMEM, and nothing is lost",
          "[fault][userfault][no-memory]") {
    userfault_world world{{}, 1};
    std::vector<std::byte> const bytes(2 * mm::page_size);
    CHECK(world.pager.copy(world.me, world.span(0, 2), bytes) ==
          mm::userfault_filled{1, errc::no_memory});
    userfault_world poor{{}, 4, 2};
    CHECK(poor.pager.copy(poor.me, poor.span(0, 2), bytes) ==
          mm::userfault_filled{0, errc::no_memory});
    CHECK(poor.pager.zeropage(poor.me, poor.span(0, 1)).stop == errc::no_memory);
    CHECK(poor.frames_in_use() == 0);
}

TEST_CASE("copy for a pool without bytes", "[fault][userfault]") {
    mm::frame_pool<counting_machine> frames{mm::page_count{4}};
    fault_config::tables tables{mm::page_count{8}};
    fault_config::reclaimer domain;
    mm::null_observer nobody;
    noted_flush flush;
    fault_cpu me{domain};
    fault_space space{frames, tables, domain, nobody, flush};
    userfault pager{space};
    auto const at = space.mmap(me, {.pages = {1}});
    REQUIRE(at.has_value());
    auto const span = *mm::page_span::from(*at, mm::page_count{1});
    REQUIRE(pager.register_range(me, span).has_value());
    std::vector<std::byte> const bytes(mm::page_size);
    CHECK(pager.copy(me, span, bytes).complete());
    REQUIRE(pager.close(me).has_value());
}

// ---- the end ------------------------------------------------------------------------------------

TEST_CASE("close lets go of every vma and wakes everybody", "[fault][userfault]") {
    userfault_world world;
    auto const read = world.must_retry(world.at, flags::retry);
    (void)world.pager.read_event();
    auto const unread = world.must_retry(world.at.plus_pages(1), flags::retry);
    REQUIRE(world.pager.close(world.me).has_value());
    CHECK(read.ready());
    CHECK(unread.ready());
    CHECK(world.source_of(world.at) == nullptr);
    CHECK(world.pager.register_range(world.me, world.span(0, 4)).error() == errc::invalid_argument);
    std::vector<std::byte> const bytes(mm::page_size);
    CHECK(world.pager.copy(world.me, world.span(0, 1), bytes).stop == errc::bad_address);
    CHECK(world.pager.wait_event(world.me.current(), mm::wait_mode::killable).error() ==
          errc::invalid_argument);
    CHECK(world.pager.close(world.me).has_value());
}

TEST_CASE("a cpu that could not be built is no_memory everywhere",
          "[fault][userfault][no-memory]") {
    userfault_world world;
    std::vector<std::byte> const bytes(mm::page_size);
    std::vector<std::unique_ptr<fault_cpu>> cpus;
    creations_left none{0};
    do {
        cpus.push_back(std::make_unique<fault_cpu>(world.domain));
    } while (cpus.back()->valid() && cpus.size() < 1000);
    auto& poor = *cpus.back();
    REQUIRE_FALSE(poor.valid());
    CHECK(world.pager.register_range(poor, world.span(0, 4)).error() == errc::no_memory);
    CHECK(world.pager.unregister_range(poor, world.span(0, 4)).error() == errc::no_memory);
    CHECK(world.pager.copy(poor, world.span(0, 1), bytes).stop == errc::no_memory);
    CHECK(world.pager.close(poor).error() == errc::no_memory);
    auto lock = world.hold();
    auto may = authority::may_drop(mm::may_drop(lock));
    CHECK(world.pager.handle({world.at, flags::retry}, may, poor).error() == errc::no_memory);
    CHECK(lock.holding());
}

// ---- hosts that cannot wait, and constant evaluation --------------------------------------------

namespace {

/// A lock that can only be tried.
struct try_only_lock : mm::null_lock<counting_machine> {
    void lock_shared() = delete;
    void lock() = delete;
};
struct try_only_config : mm::default_config<counting_machine> {
    using lock = try_only_lock;
};
static_assert(!mm::SharedLockable<try_only_lock> && !mm::ExclusiveLockable<try_only_lock>);

}  // namespace

TEST_CASE("a lock that can only be tried: EAGAIN while somebody holds it", "[fault][userfault]") {
    using space_type = mm::address_space<try_only_config>;
    using hold = mm::held_shared<try_only_lock>;
    mm::frame_pool<counting_machine> frames{mm::page_count{4}};
    try_only_config::tables tables{mm::page_count{8}};
    try_only_config::reclaimer domain;
    space_type::cpu_type me{domain};
    space_type space{frames, tables, domain};
    mm::userfault<space_type> pager{space};
    auto const at = space.mmap(me, {.pages = {1}});
    REQUIRE(at.has_value());
    auto const span = *mm::page_span::from(*at, mm::page_count{1});
    {
        auto const reader = hold::try_acquire(space.lock());
        CHECK(pager.register_range(me, span).error() == errc::again);
    }
    REQUIRE(pager.register_range(me, span).has_value());
    {
        auto reader = hold::try_acquire(space.lock());
        auto may = mm::lock_authority<try_only_lock>::may_drop(mm::may_drop(*reader));
        auto done = pager.handle({*at, flags::retry}, may, me);
        CHECK(done.kind() == fault_kind::retry_lock_dropped);
        auto const ticket = done.take_ticket();
        auto const writer = mm::held_exclusive<try_only_lock>::try_acquire(space.lock());
        REQUIRE(writer.has_value());
        CHECK(pager.zeropage(me, span) == mm::userfault_filled{0, errc::again});
        CHECK(pager.unregister_range(me, span).error() == errc::again);
        CHECK(pager.close(me).error() == errc::again);
        CHECK_FALSE(ticket.ready());
        CHECK(pager.close_locked(*writer, me).has_value());
        CHECK(ticket.ready());
    }
}

namespace {

/// Registered, missed, answered, found: at compile time.
constexpr bool whole_life_in_constant_evaluation() {
    using config = mm::default_config<mm::constexpr_machine>;
    using space_type = mm::address_space<config>;
    using lock_type = space_type::lock_type;
    mm::frame_pool<mm::constexpr_machine> frames{mm::page_count{4}};
    config::tables tables{mm::page_count{8}};
    config::reclaimer domain;
    space_type::cpu_type me{domain};
    space_type space{frames, tables, domain};
    mm::userfault<space_type> pager{space};
    auto const at = space.mmap(me, {.pages = {2}});
    if (!at) return false;
    auto const first = *mm::page_span::from(*at, mm::page_count{1});
    if (!pager.register_range(me, first)) return false;
    auto lock = mm::held_shared<lock_type>::acquire(space.lock());
    auto may = mm::lock_authority<lock_type>::may_drop(mm::may_drop(lock));
    auto missed = pager.handle({*at, mm::fault_flag::allow_retry}, may, me);
    auto const ticket = missed.take_ticket();
    if (lock.holding() || ticket.ready()) return false;
    if (pager.read_event() != userfault_event{*at, {}, 1}) return false;
    auto const nothing = [](std::uint64_t, std::span<std::byte>) {};
    if (!pager.copy_with(me, first, nothing).complete() || !ticket.ready()) return false;
    ticket.wait(mm::wait_mode::killable);
    {
        auto const again = mm::held_shared<lock_type>::acquire(space.lock());
        auto keep = mm::lock_authority<lock_type>::keep(again);
        auto const found = pager.handle({*at, mm::fault_flag::write}, keep, me);
        if (found.kind() != fault_kind::installed) return false;
    }
    return pager.close(me).has_value() && frames.statistics().free == 3;
}
static_assert(whole_life_in_constant_evaluation());

}  // namespace

// ---- many at once -------------------------------------------------------------------------------

TEST_CASE("3 rows 8 to 10: faulting threads, a pager and an unmapper: nobody sleeps for ever",
          "[fault][userfault][threads]") {
    constexpr std::uint64_t pages = 4;
    constexpr int rounds = 200;
    userfault_world world;
    auto const faulter = [&] {
        fault_cpu me{world.domain};
        for (int round = 0; round < rounds; ++round) {
            auto const where = world.at.plus_pages(static_cast<std::uint64_t>(round) % pages);
            for (;;) {
                auto lock = world.hold();
                auto may = authority::may_drop(mm::may_drop(lock));
                auto done = world.pager.handle({where, flags::retry}, may, me);
                if (done.kind() == fault_kind::installed) break;
                if (done.kind() != fault_kind::retry_lock_dropped || lock.holding()) std::abort();
                done.take_ticket().wait(mm::wait_mode::uninterruptible);
            }
        }
    };
    std::thread supplier{[&] {
        fault_cpu me{world.domain};
        while (auto const event = world.pager.wait_event(me.current(), mm::wait_mode::killable)) {
            auto const one = *mm::page_span::from(event->address, mm::page_count{1});
            auto const put = world.pager.zeropage(me, one);
            if (put.stop == errc::exists) (void)world.pager.wake(one);
        }
    }};
    std::vector<std::thread> faulters;
    for (int i = 0; i < 2; ++i) faulters.emplace_back(faulter);
    std::thread discarder{[&] {
        fault_cpu me{world.domain};
        for (int i = 0; i < rounds; ++i) (void)world.space.dontneed(me, world.span(0, pages));
    }};
    for (auto& thread : faulters) thread.join();
    discarder.join();
    world.pager.stop();
    supplier.join();
    CHECK(world.pager.counts().tickets == 0);
    CHECK(world.pager.counts().waiting == 0);
}
