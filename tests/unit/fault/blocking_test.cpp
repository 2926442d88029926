// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/blocking.hpp>

#include "unit/fault/fault_world.hpp"
#include <optional>
#include <thread>

using namespace mmhold_test;
using mm::errc;
using mm::fault_kind;
using handler = mm::blocking<fault_space>;

namespace {

/// Four pages of a file on a slow disk, and a task that faults on them.
struct disk_world : fault_world {
    mm::page_source<fault_space> disk;
    handler files;
    mm::virt_addr at;
    mm::task<counting_machine> server{};
    mm::task<counting_machine> victim{};
    std::optional<mm::fault_kind> kind{};
    errc error{errc::ok};
    bool still_held{false};
    std::thread faulter{};

    explicit disk_world(mm::mmap_flags how = {}, mm::protection prot = mm::prot::rw)
        : disk{space}, files{space}, at{map_file(how, prot)} {}
    ~disk_world() {
        disk.close();
        if (faulter.joinable()) faulter.join();
        (void)space.munmap(me, span(0, 4));
    }
    mm::virt_addr map_file(mm::mmap_flags how, mm::protection prot) {
        mm::mmap_request request;
        request.hint = page(0);
        request.pages = {4};
        request.prot = prot;
        request.flags = how;
        request.kind = mm::vma_kind::file;
        request.file = 1;
        request.file_page = 10;
        request.source = &disk;
        return map(request);
    }
    /// Faults on a thread of its own; answers the request that the server gets.
    mm::page_request start_fault(std::uint64_t n, mm::fault_flags how) {
        faulter = std::thread{[this, n, how] {
            fault_cpu cpu{domain};
            cpu.run(victim);
            auto lock = hold();
            auto may = authority::may_drop(mm::may_drop(lock));
            auto keep = authority::keep(lock);
            auto const droppable = how.has(mm::fault_flag::allow_retry);
            auto const done = files.handle({page(n), how}, droppable ? may : keep, cpu);
            kind = done.kind();
            error = done.error();
            still_held = lock.holding();
        }};
        auto const request = disk.next_request(server, mm::wait_mode::killable);
        REQUIRE(request.has_value());
        return *request;
    }
    void serve(mm::page_request const& request, std::byte content) {
        CHECK(disk.complete(request, [content](std::uint64_t,
                                               std::span<std::byte> bytes) { bytes[0] = content; })
                  .has_value());
        faulter.join();
    }
};

}  // namespace

TEST_CASE("the fault waits with the lock held: a writer cannot get in",
          "[fault][blocking][threads]") {
    disk_world world;
    auto const request = world.start_fault(0, flags::retry);
    CHECK(request.page == 10);
    CHECK_FALSE(mm::held_exclusive<fault_lock>::try_acquire(world.space.lock()));
    world.serve(request, std::byte{1});
    CHECK(world.kind == fault_kind::installed_major);
    CHECK(world.still_held);
    CHECK(mm::held_exclusive<fault_lock>::try_acquire(world.space.lock()));
}

TEST_CASE("2.1: a page read from a private file mapping is major, read-only, the file's",
          "[fault][blocking][threads]") {
    disk_world world;
    world.serve(world.start_fault(1, flags::read), std::byte{9});
    auto const leaf = world.entry(world.page(1));
    CHECK(world.frames.kind(leaf.target) == mm::frame_kind::page_cache);
    CHECK_FALSE(leaf.writable);
    CHECK_FALSE(leaf.dirty);
    CHECK(world.first_byte(leaf.target) == std::byte{9});
    CHECK(world.space.resident().file == 1);
    auto const copy = world.touch(world.files, world.page(1), flags::write);  // no disk needed
    CHECK(copy.target != leaf.target);
    CHECK(world.first_byte(copy.target) == std::byte{9});
    CHECK(world.space.resident().file == 0);
    CHECK(world.frames_in_use() == 1);
}

TEST_CASE("a write to a private file mapping gets its own page at once",
          "[fault][blocking][threads]") {
    disk_world world;
    world.serve(world.start_fault(0, flags::write), std::byte{4});
    auto const leaf = world.entry(world.page(0));
    CHECK(leaf.writable);
    CHECK(leaf.dirty);
    CHECK(world.frames.exclusive(leaf.target));
    CHECK(world.first_byte(leaf.target) == std::byte{4});
}

TEST_CASE("shared file mappings: a page-cache page, writable if the vma is",
          "[fault][blocking][threads]") {
    for (auto const prot : {mm::prot::rw, mm::prot::r}) {
        disk_world world{mm::mmap_flag::shared, prot};
        world.serve(world.start_fault(0, flags::read), std::byte{4});
        auto const leaf = world.entry(world.page(0));
        CHECK(world.frames.kind(leaf.target) == mm::frame_kind::page_cache);
        CHECK(leaf.writable == (prot == mm::prot::rw));
        CHECK_FALSE(leaf.dirty);
    }
}

TEST_CASE("2.1: RETRY_NOWAIT does not wait and does not ask", "[fault][blocking]") {
    disk_world world;
    auto const done = world.droppable_fault(world.files, world.at, flags::nowait);
    CHECK(done.kind() == fault_kind::retry_lock_kept);
    CHECK(done.holding());
    CHECK(world.disk.waiting() == 0);
}

TEST_CASE("2.1 last row: killed while waiting, the lock is dropped and it is RETRY",
          "[fault][blocking][threads]") {
    disk_world world;
    world.start_fault(0, flags::retry);
    world.victim.kill();
    world.faulter.join();
    CHECK(world.kind == fault_kind::retry_lock_dropped);
    CHECK_FALSE(world.still_held);
    CHECK(world.entry(world.at).none());
}

TEST_CASE("killed without permission to drop: interrupted, lock held",
          "[fault][blocking][threads]") {
    disk_world world;
    world.start_fault(0, mm::fault_flag::killable);
    world.victim.kill();
    world.faulter.join();
    CHECK(world.error == errc::interrupted);
    CHECK(world.still_held);
}

TEST_CASE("an uninterruptible fault waits for the disk whatever comes",
          "[fault][blocking][threads]") {
    disk_world world;
    auto const request = world.start_fault(0, flags::read);
    world.victim.kill();
    CHECK(world.disk.waiting() == 1);
    world.serve(request, std::byte{1});
    CHECK(world.kind == fault_kind::installed_major);
}

TEST_CASE("an ordinary signal does not end the wait for a disk", "[fault][blocking][threads]") {
    disk_world world;
    auto const request = world.start_fault(0, flags::retry.with(mm::fault_flag::interruptible));
    world.victim.signal();
    CHECK(world.disk.waiting() == 1);
    world.serve(request, std::byte{1});
    CHECK(world.kind == fault_kind::installed_major);
}

TEST_CASE("a broken disk, a closed one, one without memory", "[fault][blocking][threads]") {
    disk_world broken;
    CHECK(broken.disk.fail(broken.start_fault(0, flags::read), errc::hardware_poison).has_value());
    broken.faulter.join();
    CHECK(broken.error == errc::hardware_poison);
    CHECK(broken.still_held);
    CHECK(broken.entry(broken.at).none());
    broken.disk.close();
    CHECK(broken.fault(broken.files, broken.at, flags::read).error() == errc::bad_address);
}

TEST_CASE("6.2 race 20: two faults on one page of a slow disk: the second page goes back",
          "[fault][blocking][threads]") {
    disk_world world;
    auto const first = world.start_fault(0, flags::read);
    std::optional<mm::fault_kind> second_kind;
    std::thread second{[&] {
        fault_cpu cpu{world.domain};
        auto lock = world.hold();
        auto keep = authority::keep(lock);
        second_kind = world.files.handle({world.at, flags::read}, keep, cpu).kind();
    }};
    auto const again = world.disk.next_request(world.server, mm::wait_mode::killable);
    REQUIRE(again.has_value());
    CHECK(again->page == first.page);
    CHECK(again->id == 2);
    world.serve(first, std::byte{1});
    CHECK(world.disk
              .complete(*again,
                        [](std::uint64_t, std::span<std::byte> bytes) { bytes[0] = std::byte{2}; })
              .has_value());
    second.join();
    CHECK(second_kind == fault_kind::installed_major);
    CHECK(world.first_byte(world.entry(world.at).target) == std::byte{1});
    CHECK(world.frames_in_use() == 1);
}

TEST_CASE("a vma without a page source is none of ours", "[fault][blocking][bad-input]") {
    disk_world world;
    world.map(8, 1);
    CHECK(world.fault(world.files, world.page(8), flags::read).error() == errc::bad_address);
    CHECK(world.fault(world.files, world.page(9), flags::read).error() == errc::bad_address);
}
