// SPDX-License-Identifier: BSL-1.0
#include <mmhold/fault/file_backed.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/unpin.hpp>
#include <mmhold/space/object_bytes.hpp>

#include "support/catch.hpp"
#include "support/together.hpp"
#include "unit/fault/file_world.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <set>
#include <span>
#include <thread>
#include <vector>

using namespace mmhold_test;
using mm::errc;
using mm::fault_kind;
using handler = mm::file_backed<fault_space>;

namespace {

constexpr mm::mmap_flags own{};
constexpr mm::mmap_flags shared{mm::mmap_flag::shared};

/// Counts those who dirty pages, and where their lock was.
struct counting_brake : mm::writer_brake<counting_machine> {
    fault_space* space{nullptr};
    int calls{0};
    int without_lock{0};
    void balance(mm::task<counting_machine>&) override {
        ++calls;
        auto const free = mm::held_exclusive<fault_lock>::try_acquire(space->lock());
        if (free) ++without_lock;
    }
};

}  // namespace

TEST_CASE("shared memory: zeroed at once, with the vma's rights", "[fault][file_backed]") {
    shmem_world world;
    handler pages{world.space};
    auto const at = world.show(shared);
    auto const leaf = world.touch(pages, at, flags::read);
    CHECK(leaf.writable);
    CHECK_FALSE(leaf.dirty);
    CHECK(world.all_zero(leaf.target));
    CHECK(world.space.resident().shared == 1);
    CHECK(world.frames.ref_count(leaf.target) == 2);  // the cache's and the entry's
    CHECK(world.touch(pages, at.plus_pages(1), flags::write).dirty);
    CHECK(world.object.cached_pages() == 2);
}

TEST_CASE("shared memory keeps its pages: MADV_DONTNEED, munmap", "[fault][file_backed]") {
    shmem_world world;
    auto const at = world.show(shared);
    auto const before = world.touch(world.faults, at, flags::write);
    world.first_byte(before.target) = std::byte{5};
    REQUIRE(world.space.dontneed(world.me, world.span(0, 1)));
    CHECK(world.entry(at).none());
    CHECK(world.touch(world.faults, at, flags::read).target == before.target);
    REQUIRE(world.space.munmap(world.me, world.span(0, 8)));
    world.show(shared);
    CHECK(world.touch(world.faults, at, flags::read).target == before.target);
    CHECK(world.first_byte(before.target) == std::byte{5});
}

TEST_CASE("a read maps what the object has around it, a write does not", "[fault][file_backed]") {
    shmem_world world;
    auto const at = world.show(shared);
    for (std::uint64_t number : {0UL, 2UL, 3UL}) {
        world.touch(world.faults, at.plus_pages(number), flags::write);
    }
    REQUIRE(world.space.dontneed(world.me, world.span(0, 8)));
    world.touch(world.faults, at.plus_pages(2), flags::write);
    CHECK(world.entry(at).none());
    world.touch(world.faults, at.plus_pages(1), flags::read);
    CHECK(world.entry(at).writable);  // no fault for the first store
    CHECK(world.entry(at.plus_pages(3)).is_leaf());
    CHECK(world.entry(at.plus_pages(4)).none());  // behind the end
    CHECK(world.frames.ref_count(world.entry(at.plus_pages(3)).target) == 2);
}

TEST_CASE("a private mapping shows the object's pages around a read, not writable",
          "[fault][file_backed]") {
    shmem_world world;
    auto const at = world.show(shared);
    world.touch(world.faults, at, flags::write);
    world.touch(world.faults, at.plus_pages(1), flags::write);
    auto const private_at = world.map(world.object.request(0, mm::page_count{2}, mm::prot::rw, own));
    world.touch(world.faults, private_at, flags::read);
    CHECK(world.entry(private_at.plus_pages(1)).is_leaf());
    CHECK_FALSE(world.entry(private_at.plus_pages(1)).writable);
}

TEST_CASE("shared anonymous memory through dispatch: discarded, and still there",
          "[fault][file_backed]") {
    fault_world world;
    mm::dispatch<fault_space> faults{world.space};
    auto const at = world.map(0, 2, mm::prot::rw, shared);
    auto const leaf = world.touch(faults, at, flags::write);
    REQUIRE(world.space.dontneed(world.me, world.span(0, 2)));
    CHECK(world.touch(faults, at, flags::read).target == leaf.target);
    CHECK(world.frames_in_use() == 1);
    REQUIRE(world.space.munmap(world.me, world.span(0, 2)));
    CHECK(world.frames_in_use() == 0);
}

TEST_CASE("a private mapping: read-only pages of the object, copied by the first write",
          "[fault][file_backed]") {
    shmem_world world;
    auto const at = world.show(own);
    auto const read = world.touch(world.faults, at, flags::read);
    CHECK_FALSE(read.writable);
    CHECK(world.frames.kind(read.target) == mm::frame_kind::page_cache);
    world.first_byte(read.target) = std::byte{7};
    auto const written = world.touch(world.faults, at, flags::write);
    CHECK(written.writable);
    CHECK(written.target != read.target);
    CHECK(world.frames.exclusive(written.target));
    CHECK(world.first_byte(written.target) == std::byte{7});
    CHECK(world.space.resident() == mm::resident_pages{1, 0, 0});
    // Written before it was read: a copy at once.
    auto const next = world.touch(world.faults, at.plus_pages(1), flags::write);
    CHECK(world.frames.kind(next.target) == mm::frame_kind::anonymous);
    CHECK(world.object.cached_pages() == 2);
    CHECK(world.frames.ref_count(next.target) == 1);
    // Discarded: the object's contents again.
    REQUIRE(world.space.dontneed(world.me, world.span(0, 1)));
    CHECK(world.touch(world.faults, at, flags::read).target == read.target);
}

TEST_CASE("8.2 eof: behind the end is SIGBUS, shared or private, read or write",
          "[fault][file_backed]") {
    for (auto const how : {shared, own}) {
        shmem_world world;
        auto const at = world.show(how);
        auto const behind = at.plus_pages(4);
        CHECK(world.fault(world.faults, behind, flags::read).error() == errc::bad_address);
        CHECK(world.fault(world.faults, behind, flags::write).error() == errc::bad_address);
        CHECK(world.entry(behind).none());
        CHECK(world.frames_in_use() == 0);
        REQUIRE(world.object.resize(world.me, 4 * mm::page_size + 1));
        CHECK(world.fault(world.faults, behind, flags::write).error() == errc::ok);
    }
}

TEST_CASE("a private write founds a family, be it behind the end, nothing else does",
          "[fault][file_backed]") {
    shmem_world world;
    auto const at = world.show({});
    SECTION("a read, then a write of what is there") {
        world.touch(world.faults, at, flags::read);
        CHECK_FALSE(world.has_family(at));
        world.touch(world.faults, at, flags::write);
        CHECK(world.has_family(at));
    }
    SECTION("behind the end") {
        auto const behind = at.plus_pages(5);
        CHECK(world.fault(world.faults, behind, flags::read).error() == errc::bad_address);
        CHECK_FALSE(world.has_family(at));
        CHECK(world.fault(world.faults, behind, flags::write).error() == errc::bad_address);
        CHECK(world.has_family(at));
    }
    SECTION("shared") {
        auto const seen_by_all = world.show(mm::mmap_flag::shared);
        world.touch(world.faults, seen_by_all, flags::write);
        CHECK_FALSE(world.has_family(seen_by_all));
    }
}

TEST_CASE("a truncated page is gone for its mappings, a private copy too", "[fault][file_backed]") {
    shmem_world world;
    auto const at = world.show(own);
    world.touch(world.faults, at.plus_pages(2), flags::write);
    world.touch(world.faults, at.plus_pages(3), flags::read);
    REQUIRE(world.object.resize(world.me, 2 * mm::page_size));
    CHECK(world.frames_in_use() == 0);
    CHECK(world.fault(world.faults, at.plus_pages(2), flags::read).error() == errc::bad_address);
}

TEST_CASE("6.2 race 20: a second fault finds the page and takes nothing", "[fault][file_backed]") {
    shmem_world world;
    handler pages{world.space};
    auto const at = world.show(shared);
    auto const leaf = world.touch(pages, at, flags::write);
    auto const other = world.touch(pages, at, flags::write);
    CHECK(leaf.target == other.target);
    CHECK(world.frames.ref_count(leaf.target) == 2);
    CHECK(world.frames.map_count(leaf.target) == 1);
}

TEST_CASE("2.1 item 2: reading in forces one RETRY, with a ticket", "[fault][file_backed]") {
    disk_file_world world;
    auto const at = world.show(own);
    auto first = world.droppable_fault(world.faults, at, flags::retry);
    CHECK(first.kind() == fault_kind::retry_lock_dropped);
    CHECK_FALSE(first.holding());
    auto const ticket = first.outcome.take_ticket();
    CHECK_FALSE(ticket.ready());
    CHECK(world.serve() == 0);
    CHECK(ticket.ready());
    auto const again = world.droppable_fault(
        world.faults, at, flags::retry.with(mm::fault_flag::tried));
    CHECK(again.kind() == fault_kind::installed);
    CHECK(again.holding());
    auto const leaf = world.entry(at);
    CHECK(world.first_byte(leaf.target) == std::byte{disk_mark});
    CHECK_FALSE(leaf.writable);
    CHECK(world.space.resident().file == 1);
}

TEST_CASE("2.1 item 1: the second who faults waits for the same read", "[fault][file_backed]") {
    disk_file_world world;
    auto const at = world.show(shared);
    auto one = world.droppable_fault(world.faults, at, flags::retry);
    auto two = world.droppable_fault(world.faults, at, flags::retry | flags::write);
    CHECK(world.object.reads_started() == 1);
    auto const first = one.outcome.take_ticket();
    auto const second = two.outcome.take_ticket();
    CHECK(world.serve() == 0);
    CHECK_FALSE(world.serve().has_value());
    CHECK(first.ready());
    CHECK(second.ready());
}

TEST_CASE("2.1: RETRY_NOWAIT keeps the lock and asks for nothing", "[fault][file_backed]") {
    disk_file_world world;
    auto const at = world.show(own);
    auto const done = world.droppable_fault(world.faults, at, flags::nowait);
    CHECK(done.kind() == fault_kind::retry_lock_kept);
    CHECK(done.holding());
    CHECK(world.object.reads_outstanding() == 0);
}

TEST_CASE("2.1: without permission, or tried before, the fault waits with the lock held",
          "[fault][file_backed]") {
    for (auto const how : {flags::read, flags::retry.with(mm::fault_flag::tried)}) {
        disk_file_world world;
        auto const at = world.show(shared);
        auto kind = fault_kind::failed;
        auto held = false;
        in_threads(
            [&] {
                auto const done = world.droppable_fault(world.faults, at, how);
                kind = done.kind();
                held = done.holding();
            },
            [&] {
                auto read = world.object.try_next_read();
                while (!read) {
                    std::this_thread::yield();
                    read = world.object.try_next_read();
                }
                (void)world.object.complete(*read, [](std::uint64_t, auto) {});
            });
        CHECK(kind == fault_kind::installed_major);
        CHECK(held);
    }
}

TEST_CASE("2.1 last row: killed while waiting in place", "[fault][file_backed]") {
    disk_file_world world;
    auto const at = world.show(shared);
    world.me.current().kill();
    auto const tried = flags::retry.with(mm::fault_flag::tried);
    auto dropped = world.droppable_fault(world.faults, at, tried);
    CHECK(dropped.kind() == fault_kind::retry_lock_dropped);
    CHECK(dropped.outcome.take_ticket().ready());
    auto const kept = world.fault(world.faults, at, mm::fault_flag::killable);
    CHECK(kept.error() == errc::interrupted);
    CHECK(kept.holding());
}

TEST_CASE("a broken disk: who waits in place is told, who retries asks again",
          "[fault][file_backed]") {
    disk_file_world world;
    auto const at = world.show(own);
    auto first = world.droppable_fault(world.faults, at, flags::retry);
    auto const ticket = first.outcome.take_ticket();
    REQUIRE(world.object.fail(*world.object.try_next_read(), errc::bad_address));
    CHECK(ticket.ready());
    auto again = world.droppable_fault(world.faults, at, flags::retry);
    CHECK(again.kind() == fault_kind::retry_lock_dropped);
    auto const second = again.outcome.take_ticket();
    world.object.close();
    CHECK(world.fault(world.faults, at, flags::read).error() == errc::bad_address);
}

TEST_CASE("dirty-tracked files: a read maps read-only, the first write is announced",
          "[fault][file_backed]") {
    disk_file_world world;
    auto const at = world.show(shared);
    auto const page = world.preload(0);
    CHECK_FALSE(world.touch(world.faults, at, flags::read).writable);
    CHECK_FALSE(world.frames.dirty(page));
    auto const written = world.touch(world.faults, at, flags::write);
    CHECK(written.writable);
    CHECK(written.target == page);
    CHECK(world.frames.dirty(page));
    std::set<std::uint64_t> disk;
    auto const sink = [&](std::uint64_t index, auto) { disk.insert(index); };
    CHECK(world.object.write_back(world.me, sink).value_or(0) == 1);
    CHECK_FALSE(world.entry(at).writable);
    CHECK_FALSE(world.frames.dirty(page));
    world.touch(world.faults, at, flags::write);
    CHECK(world.frames.dirty(page));
    // Missing, and written at once.
    world.preload(1);
    CHECK(world.touch(world.faults, at.plus_pages(1), flags::write).writable);
    CHECK(world.object.write_back(world.me, sink).value_or(0) == 2);
    CHECK(disk == std::set<std::uint64_t>{0, 1});
}

TEST_CASE("files without dirty tracking are mapped with the vma's rights", "[fault][file_backed]") {
    disk_file_world world{mm::dirty_tracking::off};
    auto const at = world.show(shared);
    world.preload(0);
    CHECK(world.touch(world.faults, at, flags::read).writable);
}

TEST_CASE("2.1 COMPLETED: the brake runs with the lock given up, if it may be",
          "[fault][file_backed]") {
    disk_file_world world;
    counting_brake brake;
    brake.space = &world.space;
    world.object.set_brake(&brake);
    auto const at = world.show(shared);
    world.preload(0);
    world.preload(1);
    auto const done = world.droppable_fault(world.faults, at, flags::retry | flags::write);
    CHECK(done.kind() == fault_kind::completed);
    CHECK_FALSE(done.holding());
    CHECK(world.entry(at).writable);
    CHECK(brake.without_lock == 1);
    auto const next = at.plus_pages(1);
    auto const tried = flags::retry.with(mm::fault_flag::tried) | flags::write;
    CHECK(world.droppable_fault(world.faults, next, tried).kind() == fault_kind::installed);
    CHECK(brake.calls == 2);
    CHECK(brake.without_lock == 1);
    CHECK(world.fault(world.faults, at, flags::read).kind() == fault_kind::installed);
    CHECK(brake.calls == 2);
}

TEST_CASE("gup over a file: waits once, and finds every page", "[fault][file_backed]") {
    disk_file_world world;
    auto const at = world.show(shared, mm::prot::rw, 4);
    std::array<mm::pfn, 4> out{};
    auto got = mm::gup_result{};
    std::atomic<bool> over{false};
    in_threads(
        [&] {
            got = mm::pin_unlocked(world.space, world.me, world.span(0, 4), mm::gup_flag::write,
                                   out);
            over = true;
        },
        [&] {
            while (!over) {
                if (auto const read = world.object.try_next_read()) {
                    (void)world.object.complete(*read, [](std::uint64_t, auto) {});
                } else {
                    std::this_thread::yield();
                }
            }
        });
    CHECK(got.pages == 4);
    CHECK(world.me.stats().fault_retries == 4);
    for (auto const page : out) CHECK(world.frames.dirty(page));
    mm::unpin(world.frames, out);
    CHECK(world.entry(at).writable);
}

TEST_CASE("gup where the lock must stay waits in place", "[fault][file_backed]") {
    shmem_world world;
    world.show(shared);
    auto const held = world.hold();
    std::array<mm::pfn, 5> out{};
    auto const got = mm::gup(world.space, world.me, held, world.span(0, 5), {}, out);
    CHECK(got.pages == 4);  // the fifth lies behind the end
    CHECK(got.error == errc::bad_address);
    mm::put_pages(world.frames, std::span{out}.first(4));
}

TEST_CASE("4.1 row 6, 6.2 race 22: long-term pins for writing, file by file",
          "[fault][file_backed]") {
    constexpr mm::gup_flags longterm_write{mm::gup_flag::write, mm::gup_flag::longterm};
    std::array<mm::pfn, 1> out{};
    {
        disk_file_world world;
        world.show(shared);
        world.preload(0);
        world.touch(world.faults, world.page(0), flags::write);
        CHECK(mm::pin_unlocked(world.space, world.me, world.span(0, 1), longterm_write, out)
                  .error == errc::bad_address);
        CHECK(mm::pin_fast(world.space, world.me, world.span(0, 1), longterm_write, out).error ==
              errc::bad_address);
        CHECK(mm::pin_fast(world.space, world.me, world.span(0, 1), mm::gup_flag::write, out)
                  .pages == 1);
        mm::unpin(world.frames, out);
        CHECK(world.me.stats().fast_pages == 1);
    }
    {
        shmem_world world;
        world.show(shared);
        world.touch(world.faults, world.page(0), flags::write);
        CHECK(mm::pin_fast(world.space, world.me, world.span(0, 1), longterm_write, out).pages ==
              1);
        CHECK(world.me.stats().fast_pages == 1);
        mm::unpin(world.frames, out);
    }
}

TEST_CASE("4.2: a long-term pin for reading of a private file page gets an own copy first",
          "[fault][file_backed]") {
    shmem_world world;
    auto const at = world.show(own);
    auto const read = world.touch(world.faults, at, flags::read);
    std::array<mm::pfn, 1> out{};
    CHECK(mm::pin_fast(world.space, world.me, world.span(0, 1), mm::gup_flag::longterm, out)
              .pages == 1);
    CHECK(out[0] != read.target);
    CHECK(world.frames.kind(out[0]) == mm::frame_kind::anonymous);
    CHECK(world.frames.exclusive(out[0]));
    CHECK_FALSE(world.entry(at).writable);
    // The owner's write finds its own page: the pin sees it.
    CHECK(world.touch(world.faults, at, flags::write).target == out[0]);
    mm::unpin(world.frames, out);
    // In a shared mapping, and without long term, the page itself.
    CHECK(mm::pin_fast(world.space, world.me, world.span(1, 1), {}, out).pages == 1);
    CHECK(world.frames.kind(out[0]) == mm::frame_kind::page_cache);
    mm::unpin(world.frames, out);
}

TEST_CASE("FORCE writes a read-only private file mapping, never a shared one",
          "[fault][file_backed]") {
    constexpr mm::gup_flags force_write{mm::gup_flag::write, mm::gup_flag::force};
    std::array<mm::pfn, 1> out{};
    shmem_world world;
    auto const at = world.show(own, mm::prot::r);
    REQUIRE(mm::gup_unlocked(world.space, world.me, world.span(0, 1), force_write, out).pages == 1);
    CHECK_FALSE(world.entry(at).writable);
    CHECK(world.frames.kind(out[0]) == mm::frame_kind::anonymous);
    mm::put_pages(world.frames, out);
    shmem_world other;
    other.show(shared, mm::prot::r);
    CHECK(mm::gup_unlocked(other.space, other.me, other.span(0, 1), force_write, out).error ==
          errc::bad_address);
}

TEST_CASE("6.2 race 26: cpus see secret memory, gup does not", "[fault][file_backed]") {
    shmem_world world{mm::object_kind::secret};
    auto const at = world.show(shared);
    auto const leaf = world.touch(world.faults, at, flags::user | flags::write);
    CHECK(leaf.writable);
    CHECK(world.frames.attributes(leaf.target).has(mm::frame_attribute::secret));
    std::array<mm::pfn, 1> out{};
    CHECK(mm::gup_fast(world.space, world.me, world.span(0, 1), {}, out).error ==
          errc::bad_address);
    CHECK(mm::gup_fast_only(world.space, world.me, world.span(0, 1), {}, out).pages == 0);
    CHECK(mm::gup_unlocked(world.space, world.me, world.span(1, 1), mm::gup_flag::force, out)
              .error == errc::bad_address);
    CHECK(world.space.dontneed(world.me, world.span(0, 1)).error() == errc::invalid_argument);
}

TEST_CASE("read(2) and write(2) see what is mapped, and the other way round",
          "[fault][file_backed]") {
    shmem_world world;
    auto const at = world.show(shared);
    std::array<std::byte, 3> bytes{std::byte{1}, std::byte{2}, std::byte{3}};
    CHECK(mm::write_object(world.object, mm::page_size - 1, std::span<std::byte const>{bytes})
              .bytes == 3);
    auto const second = world.touch(world.faults, at.plus_pages(1), flags::write);
    CHECK(world.first_byte(second.target) == std::byte{2});
    world.first_byte(second.target) = std::byte{9};
    CHECK(mm::read_object(world.object, mm::page_size, std::span{bytes}.first(1)).bytes == 1);
    CHECK(bytes[0] == std::byte{9});
}

TEST_CASE("handle looks the vma up itself", "[fault][file_backed][bad-input]") {
    shmem_world world;
    handler pages{world.space};
    CHECK(world.fault(pages, world.page(0), flags::read).error() == errc::bad_address);
    world.map(0, 1);
    CHECK(world.fault(pages, world.page(0), flags::read).error() == errc::bad_address);
}

TEST_CASE("no frames: ENOMEM, and nothing is lost", "[fault][file_backed][no-memory]") {
    shmem_world world;
    auto const at = world.show(own);
    std::vector<mm::pfn> hogs;
    while (auto const hog = world.frames.allocate(mm::frame_kind::other)) hogs.push_back(*hog);
    CHECK(world.fault(world.faults, at, flags::read).error() == errc::no_memory);
    world.frames.put(hogs.back());
    hogs.pop_back();
    // The object's page, but no copy.
    CHECK(world.fault(world.faults, at, flags::write).error() == errc::no_memory);
    CHECK(world.entry(at).none());
    CHECK(world.object.cached_pages() == 1);
    for (auto const hog : hogs) world.frames.put(hog);
}
