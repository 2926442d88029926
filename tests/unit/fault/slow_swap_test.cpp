// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/slow_swap.hpp>
#include <mmhold/machine/host_machine.hpp>

#include <array>

using namespace mmhold;
using machine = checked_host_machine;

TEST_CASE("a slot that was written has to arrive, and stays here until it is freed",
          "[fault][swap]") {
    slow_swap<machine> disk{page_count{2}, frame_bytes::owned};
    task<machine> sleeper;
    auto const slot = *disk.allocate();
    disk.write(slot, std::array<std::byte, page_size>{std::byte{7}});
    CHECK_FALSE(disk.arrived(slot));
    auto place = disk.ask(sleeper, slot);
    REQUIRE(place.has_value());
    CHECK_FALSE(place->ticket().ready());
    auto const read = disk.try_next_read();
    REQUIRE(read.has_value());
    CHECK(read->page == slot);
    CHECK(disk.complete(*read).has_value());
    CHECK(disk.complete(*read).error() == errc::invalid_argument);
    CHECK(place->ticket().ready());
    std::array<std::byte, page_size> page{};
    disk.read(slot, page);
    CHECK(page.front() == std::byte{7});
    CHECK(disk.ask(sleeper, slot)->ticket().ready());
    disk.release(slot);
    auto const again = *disk.allocate();
    CHECK(again == slot);
    CHECK_FALSE(disk.arrived(again));
    disk.release(again);
}

TEST_CASE("a slow store without slots, or whose device is gone", "[fault][swap]") {
    slow_swap<machine> none{page_count{0}};
    CHECK_FALSE(none.valid());
    CHECK(none.allocate().error() == errc::no_memory);
    slow_swap<machine> disk{page_count{1}};
    task<machine> sleeper;
    auto const slot = *disk.allocate();
    disk.close();
    CHECK(disk.ask(sleeper, slot).error() == errc::bad_address);
    disk.release(slot);
}
