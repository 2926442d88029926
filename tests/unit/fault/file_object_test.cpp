// SPDX-License-Identifier: BSL-1.0
#include <mmhold/fault/file_object.hpp>

#include "support/catch.hpp"
#include "support/together.hpp"
#include "unit/fault/file_world.hpp"

using namespace mmhold_test;
using mm::errc;

TEST_CASE("a page is asked for, read, and found", "[fault][file]") {
    disk_file_world world;
    auto place = world.object.ask(world.me.current(), 2);
    REQUIRE(place.has_value());
    CHECK_FALSE(place->ticket().ready());
    CHECK(world.object.reads_outstanding() == 1);
    CHECK(world.object.find(2).error() == errc::again);
    CHECK(world.serve() == 2);
    CHECK(place->ticket().ready());
    auto const page = world.object.find(2);
    REQUIRE(page.has_value());
    CHECK(world.first_byte(*page) == std::byte(disk_mark + 2));
    CHECK(world.frames.kind(*page) == mm::frame_kind::page_cache);
    CHECK(world.frames.attributes(*page).empty());
    CHECK_FALSE(world.frames.dirty(*page));
    world.frames.put(*page);
}

TEST_CASE("requests carry the file's number", "[fault][file]") {
    disk_file_world world;
    auto place = world.object.ask(world.me.current(), 1);
    auto const read = world.object.try_next_read();
    REQUIRE(read.has_value());
    CHECK(read->file == 77);
    CHECK(read->page == 1);
    CHECK(world.object.fail(*read, errc::no_memory));
    CHECK(place->error() == errc::no_memory);
    CHECK(world.object.fail(*read, errc::no_memory).error() == errc::invalid_argument);
    CHECK(world.object.complete(*read, [](std::uint64_t, auto) {}).error() ==
          errc::invalid_argument);
}

TEST_CASE("what is cached, or behind the end, is not read", "[fault][file]") {
    disk_file_world world;
    world.preload(1);
    CHECK(world.object.reads_started() == 1);
    CHECK(world.object.ask(world.me.current(), 1)->ticket().ready());
    CHECK(world.object.ask(world.me.current(), 4)->ticket().ready());
    CHECK(world.object.reads_started() == 1);
}

TEST_CASE("what a disk delivers behind the end is zeroed", "[fault][file]") {
    disk_file_world world;
    REQUIRE(world.object.resize(world.me, mm::page_size + 1));
    auto place = world.object.ask(world.me.current(), 1);
    auto const read = world.object.try_next_read();
    REQUIRE(world.object.complete(*read, [](std::uint64_t, std::span<std::byte> bytes) {
        std::ranges::fill(bytes, std::byte{5});
    }));
    auto const page = *world.object.find(1);
    CHECK(world.frames.bytes(page)[0] == std::byte{5});
    CHECK(world.frames.bytes(page)[1] == std::byte{0});
    world.frames.put(page);
}

TEST_CASE("a page that is cut off, or written, while it is being read", "[fault][file]") {
    disk_file_world world;
    auto cut_off = world.object.ask(world.me.current(), 3);
    auto written = world.object.ask(world.me.current(), 0);
    REQUIRE(world.object.resize(world.me, mm::page_size));
    auto const ours = *world.object.find_or_add_zeroed(0);
    while (world.serve()) {}
    CHECK(cut_off->error() == errc::ok);
    CHECK(written->error() == errc::ok);
    CHECK(world.object.find(3).error() == errc::bad_address);
    CHECK(world.first_byte(ours) == std::byte{0});
    CHECK(world.object.cached_pages() == 1);
    world.frames.put(ours);
    CHECK(world.frames_in_use() == 1);
}

TEST_CASE("no frame: who waits is told", "[fault][file][no-memory]") {
    fault_world poor{1};
    mm::file_object<fault_space> file{poor.frames, mm::page_size};
    auto const hog = *poor.frames.allocate(mm::frame_kind::other);
    auto place = file.ask(poor.me.current(), 0);
    auto const read = file.try_next_read();
    CHECK(file.complete(*read, [](std::uint64_t, auto) {}).error() == errc::no_memory);
    CHECK(place->error() == errc::no_memory);
    poor.frames.put(hog);
}

TEST_CASE("bring: reads in what is missing, and waits", "[fault][file]") {
    disk_file_world world;
    auto const mode = mm::wait_mode::killable;
    CHECK(world.object.bring(world.me.current(), 4, mode).error() == errc::bad_address);
    in_threads(
        [&] {
            auto const read = world.object.next_read(world.me.current(), mode);
            if (read) (void)world.object.complete(*read, [](std::uint64_t, auto) {});
        },
        [&] {
            mm::task<counting_machine> reader;
            auto const page = world.object.bring(reader, 2, mode);
            if (page) world.frames.put(*page);
        });
    CHECK(world.object.cached_pages() == 1);
    world.me.current().kill();
    CHECK(world.object.bring(world.me.current(), 3, mode).error() == errc::interrupted);
    world.object.close();
    mm::task<counting_machine> other;
    CHECK(world.object.bring(other, 3, mode).error() == errc::bad_address);
}
