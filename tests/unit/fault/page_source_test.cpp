// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/page_source.hpp>

#include "unit/fault/fault_world.hpp"
#include <atomic>
#include <cstdlib>
#include <thread>

using namespace mmhold_test;
using mm::errc;
using mm::frame_kind;
using mm::page_request;
using mm::wait_mode;
using source_type = mm::page_source<fault_space>;

namespace {

constexpr auto nothing = [](std::uint64_t, std::span<std::byte>) {};

mm::vma file_area(std::uint64_t first_page) {
    mm::vma area;
    area.span = fault_world::span(0, 8);
    area.kind = mm::vma_kind::file;
    area.file = 77;
    area.file_page = first_page;
    return area;
}

/// A task that fetches one page on a thread of its own.
struct fetcher {
    mm::task<counting_machine> task{};
    mm::result<mm::pfn> got{errc::again};
    std::thread thread;

    fetcher(source_type& source, mm::vma const& area, std::uint64_t page, frame_kind kind,
            wait_mode mode = wait_mode::killable)
        : thread{[this, &source, area, page, kind, mode] {
              got = source.fetch(task, area, fault_world::page(page), kind, mode);
          }} {}
    ~fetcher() { join(); }
    void join() {
        if (thread.joinable()) thread.join();
    }
};

}  // namespace

TEST_CASE("a request names the file's page, and its answer is a frame with the contents",
          "[fault][page-source][threads]") {
    fault_world world;
    source_type disk{world.space};
    mm::task<counting_machine> server;
    fetcher task{disk, file_area(100), 3, frame_kind::page_cache};
    auto const request = disk.next_request(server, wait_mode::killable);
    REQUIRE(request.has_value());
    CHECK(*request == page_request{77, 103, 1});
    CHECK(disk.waiting() == 1);
    CHECK_FALSE(disk.try_next_request());  // it is taken
    CHECK(disk.complete(*request,
                        [](std::uint64_t n, std::span<std::byte> bytes) {
                            CHECK(n == 0);
                            bytes[1] = std::byte{5};
                        })
              .has_value());
    task.join();
    REQUIRE(task.got.has_value());
    CHECK(world.frames.kind(*task.got) == frame_kind::page_cache);
    CHECK(world.frames.bytes(*task.got)[1] == std::byte{5});
    CHECK(world.frames.ref_count(*task.got) == 1);
    CHECK(disk.waiting() == 0);
    world.frames.put(*task.got);
}

TEST_CASE("without a file the request names the page of the address space",
          "[fault][page-source][threads]") {
    fault_world world;
    source_type disk{world.space};
    mm::task<counting_machine> server;
    mm::vma area;
    area.span = fault_world::span(0, 8);
    fetcher task{disk, area, 2, frame_kind::anonymous};
    auto const request = disk.next_request(server, wait_mode::killable);
    REQUIRE(request.has_value());
    CHECK(request->page == fault_world::page(2).value / mm::page_size);
    CHECK(disk.fail(*request, errc::hardware_poison).has_value());
    task.join();
    CHECK(task.got.error() == errc::hardware_poison);
}

TEST_CASE("a killed task takes its request back, the server's page goes back to the pool",
          "[fault][page-source][threads]") {
    fault_world world;
    source_type disk{world.space};
    mm::task<counting_machine> server;
    fetcher task{disk, file_area(0), 0, frame_kind::page_cache};
    auto const request = disk.next_request(server, wait_mode::killable);
    REQUIRE(request.has_value());
    task.task.kill();
    task.join();
    CHECK(task.got.error() == errc::interrupted);
    CHECK(disk.waiting() == 0);
    CHECK(disk.complete(*request, nothing).error() == errc::interrupted);
    CHECK(disk.fail(*request, errc::bad_address).error() == errc::interrupted);
    CHECK(world.frames_in_use() == 0);
}

TEST_CASE("a task killed while the server fills its page: nothing is lost",
          "[fault][page-source][threads]") {
    fault_world world;
    source_type disk{world.space};
    mm::task<counting_machine> server;
    fetcher task{disk, file_area(0), 0, frame_kind::page_cache};
    auto const request = disk.next_request(server, wait_mode::killable);
    REQUIRE(request.has_value());
    auto const kill_meanwhile = [&](std::uint64_t, std::span<std::byte>) {
        task.task.kill();
        task.join();
    };
    CHECK(disk.complete(*request, kill_meanwhile).error() == errc::interrupted);
    CHECK(world.frames_in_use() == 0);
}

TEST_CASE("an uninterruptible task waits whatever signal comes", "[fault][page-source][threads]") {
    fault_world world;
    source_type disk{world.space};
    mm::task<counting_machine> server;
    fetcher task{disk, file_area(0), 0, frame_kind::page_cache, wait_mode::uninterruptible};
    auto const request = disk.next_request(server, wait_mode::killable);
    REQUIRE(request.has_value());
    task.task.kill();
    CHECK(disk.waiting() == 1);
    CHECK(disk.complete(*request, nothing).has_value());
    task.join();
    REQUIRE(task.got.has_value());
    world.frames.put(*task.got);
}

TEST_CASE("no frame for the page: both sides learn it",
          "[fault][page-source][threads][no-memory]") {
    fault_world world{0};
    source_type disk{world.space};
    mm::task<counting_machine> server;
    fetcher task{disk, file_area(0), 0, frame_kind::page_cache};
    auto const request = disk.next_request(server, wait_mode::killable);
    REQUIRE(request.has_value());
    CHECK(disk.complete(*request, nothing).error() == errc::no_memory);
    task.join();
    CHECK(task.got.error() == errc::no_memory);
}

TEST_CASE("closing fails the requests there are and those to come",
          "[fault][page-source][threads]") {
    fault_world world;
    source_type disk{world.space};
    mm::task<counting_machine> server;
    fetcher taken{disk, file_area(0), 0, frame_kind::page_cache};
    REQUIRE(disk.next_request(server, wait_mode::killable).has_value());
    fetcher fresh{disk, file_area(0), 1, frame_kind::page_cache};
    while (disk.waiting() != 2) std::this_thread::yield();
    disk.close();
    taken.join();
    fresh.join();
    CHECK(taken.got.error() == errc::bad_address);
    CHECK(fresh.got.error() == errc::bad_address);
    fetcher late{disk, file_area(0), 2, frame_kind::page_cache};
    late.join();
    CHECK(late.got.error() == errc::bad_address);
    CHECK(disk.next_request(server, wait_mode::killable).error() == errc::invalid_argument);
    server.kill();
    CHECK(disk.next_request(server, wait_mode::killable).error() == errc::interrupted);
}

TEST_CASE("a request that was never made, or is answered twice, is nobody's",
          "[fault][page-source][bad-input]") {
    fault_world world;
    source_type disk{world.space};
    CHECK_FALSE(disk.try_next_request());
    CHECK(disk.complete(page_request{1, 2, 3}, nothing).error() == errc::interrupted);
    CHECK(disk.fail(page_request{1, 2, 3}, errc::bad_address).error() == errc::interrupted);
    CHECK(world.frames_in_use() == 0);
}

TEST_CASE("several tasks and servers: every request is answered exactly once",
          "[fault][page-source][threads]") {
    constexpr int rounds = 200;
    fault_world world;
    source_type disk{world.space};
    std::atomic<int> served{0};
    std::vector<std::thread> servers;
    for (int i = 0; i < 2; ++i) {
        servers.emplace_back([&] {
            mm::task<counting_machine> me;
            while (auto const request = disk.next_request(me, wait_mode::killable)) {
                if (disk.complete(*request, nothing)) served.fetch_add(1);
            }
        });
    }
    std::vector<std::thread> tasks;
    for (int i = 0; i < 2; ++i) {
        tasks.emplace_back([&] {
            mm::task<counting_machine> me;
            for (int round = 0; round < rounds; ++round) {
                auto const page = disk.fetch(me, file_area(0), fault_world::page(1),
                                             frame_kind::page_cache, wait_mode::uninterruptible);
                if (!page) std::abort();
                world.frames.put(*page);
            }
        });
    }
    for (auto& thread : tasks) thread.join();
    disk.close();
    for (auto& thread : servers) thread.join();
    CHECK(served == 2 * rounds);
    CHECK(world.frames_in_use() == 0);
}
