// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/callers/user_access.hpp>
#include <mmhold/fault/slow_swap.hpp>
#include <mmhold/fault/swap_wait.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/unpin.hpp>
#include <mmhold/space/swap_out.hpp>

#include <array>
#include <optional>
#include <thread>

using namespace mmhold;

namespace {

struct slow_config : default_config<checked_host_machine> {
    using swap = slow_swap<checked_host_machine>;
};
using small = mmhold_test::small_space<slow_config>;
using lock = small::lock_type;
using faults = dispatch<small::space_type>;

constexpr fault_flags plain{};
constexpr fault_flags may_retry{fault_flag::allow_retry, fault_flag::killable};

/// One page with a 42 in it, on the disk.
struct swapped : small {
    slow_config::swap disk{page_count{4}, frame_bytes::owned};
    std::optional<held_shared> held{};

    swapped() : small{16, frame_bytes::owned} {
        mm.use_swap(disk);
        REQUIRE(map(1));
        frames.bytes(fill(0)).front() = std::byte{42};
        auto const under = hold();
        REQUIRE(swap_out_page(under, me, mm, page(0)));
    }
    ~swapped() {
        held.reset();
        mm.exit(me);
    }
    /// A fault of who may lose the lock.
    auto fault(fault_flags how) {
        held = hold();
        auto authority = lock_authority<lock>::may_drop(may_drop(*held));
        return faults{mm}.handle({page(0), how}, authority, me);
    }
    /// Of who keeps it.
    auto kept_fault(fault_flags how) {
        held = hold();
        auto authority = lock_authority<lock>::keep(*held);
        return faults{mm}.handle({page(0), how}, authority, me);
    }
    /// The disk does what it was asked for.
    int serve() {
        int served = 0;
        while (auto const read = disk.try_next_read()) {
            CHECK(disk.complete(*read).has_value());
            ++served;
        }
        return served;
    }
    int contents() { return static_cast<int>(frames.bytes(entry(0).target).front()); }
};

}  // namespace

TEST_CASE("2.1 item 2: the first try gives the lock up, the second finds the contents",
          "[fault][swap]") {
    swapped world;
    auto first = world.fault(may_retry);
    CHECK(first.kind() == fault_kind::retry_lock_dropped);
    CHECK_FALSE(world.held->holding());
    auto ticket = first.take_ticket();
    CHECK_FALSE(ticket.ready());
    CHECK(world.serve() == 1);
    CHECK(ticket.ready());
    CHECK(world.fault(may_retry.with(fault_flag::tried)).kind() == fault_kind::installed);
    CHECK(world.contents() == 42);
    CHECK(world.disk.in_use() == 0);
    CHECK(world.disk.reads_started() == 1);
}

TEST_CASE("2.1: who would wait with RETRY_NOWAIT asks for nothing", "[fault][swap]") {
    swapped world;
    auto const got = world.fault({fault_flag::allow_retry, fault_flag::retry_nowait});
    CHECK(got.kind() == fault_kind::retry_lock_kept);
    CHECK(world.held->holding());
    CHECK(world.serve() == 0);
    CHECK(world.disk.ref_count(slot_of(world.entry(0))) == 1);
}

TEST_CASE("2.1 item 1: a later try, and who keeps the lock, waits in place", "[fault][swap]") {
    swapped world;
    auto const again = GENERATE(false, true);
    auto const how = again ? may_retry.with(fault_flag::tried) : plain;
    std::thread device{[&] {
        task<checked_host_machine> server;
        auto const read = world.disk.next_read(server, wait_mode::uninterruptible);
        (void)world.disk.complete(*read);
    }};
    auto const got = how == plain ? world.kept_fault(how) : world.fault(how);
    device.join();
    CHECK(got.kind() == fault_kind::installed_major);
    CHECK(world.held->holding());
    CHECK(world.contents() == 42);
}

TEST_CASE("a disk that fails, or is gone, is what the fault fails with", "[fault][swap]") {
    swapped world;
    SECTION("gone") {
        world.disk.close();
        CHECK(world.fault(may_retry).error() == errc::bad_address);
    }
    SECTION("broken") {
        std::thread device{[&] {
            task<checked_host_machine> server;
            auto const read = world.disk.next_read(server, wait_mode::uninterruptible);
            (void)world.disk.fail(*read, errc::io);
        }};
        CHECK(world.kept_fault(plain).error() == errc::io);
        device.join();
    }
    CHECK(world.held->holding());
    CHECK(is_swapped(world.entry(0)));
    CHECK(world.disk.ref_count(slot_of(world.entry(0))) == 1);
}

TEST_CASE("who is killed while waiting gives the lock up if he may", "[fault][swap]") {
    swapped world;
    world.me.current().kill();
    auto const tried = may_retry.with(fault_flag::tried);
    CHECK(world.fault(tried).kind() == fault_kind::retry_lock_dropped);
    CHECK(world.kept_fault(tried).error() == errc::interrupted);
    CHECK(is_swapped(world.entry(0)));
}

TEST_CASE("gup waits for a swapped page without the lock, a cpu too", "[fault][swap][gup]") {
    swapped world;
    std::thread device{[&] {
        task<checked_host_machine> server;
        auto const read = world.disk.next_read(server, wait_mode::uninterruptible);
        auto const writer = held_exclusive<lock>::acquire(world.mm.lock());  // nobody is in the way
        (void)world.disk.complete(*read);
    }};
    SECTION("gup") {
        std::array<pfn, 1> out{};
        CHECK(gup_unlocked(world.mm, world.me, small::span(0, 1), {}, out).complete());
        CHECK(world.me.stats().fault_retries == 1);
        put_pages(world.frames, out);
    }
    SECTION("a load") {
        std::array<std::byte, 1> to{};
        CHECK(read_user(world.mm, world.me, small::page(0), to).bytes == 1);
        CHECK(to[0] == std::byte{42});
    }
    device.join();
    CHECK(world.contents() == 42);
}

TEST_CASE("a handler of its own waits in place", "[fault][swap]") {
    swapped world;
    static_assert(anonymous<small::space_type>::may_block);
    anonymous<small::space_type> memory{world.mm};
    std::thread device{[&] {
        task<checked_host_machine> server;
        auto const read = world.disk.next_read(server, wait_mode::uninterruptible);
        (void)world.disk.complete(*read);
    }};
    {
        auto const under = world.hold();
        auto authority = lock_authority<lock>::keep(under);
        CHECK(memory.handle({small::page(0), plain}, authority, world.me).kind() ==
              fault_kind::installed);
    }
    device.join();
    CHECK(world.contents() == 42);
}
