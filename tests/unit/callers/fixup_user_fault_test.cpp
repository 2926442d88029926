// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/fixup_user_fault.hpp>

#include "fixture.hpp"
#include <thread>

using namespace callers_test;

TEST_CASE("fixup_user_fault: makes the page present or writable, under a lock that stays held",
          "[callers]") {
    world host;
    auto const held = host.hold();
    auto const fix = [&](std::uint64_t page, mmhold::access how) {
        return fixup_user_fault(host.mm, host.me, held, world::page(page).plus(8), how).error();
    };
    CHECK(fix(5, mmhold::access::read) == errc::ok);
    CHECK(host.entry(5).special);
    CHECK(fix(5, mmhold::access::write) == errc::ok);
    CHECK(host.entry(5).writable);
    CHECK(fix(3, mmhold::access::write) == errc::bad_address);
    CHECK(fix(4, mmhold::access::read) == errc::bad_address);
    CHECK(fix(2, mmhold::access::read) == errc::bad_address);
    CHECK(held.holding());
}

TEST_CASE(
    "fixup_user_fault: a userfault is an error for who keeps the lock, a wait for who may lose it",
    "[callers]") {
    world host;
    userfault faults{host.mm};
    REQUIRE(faults.register_range(host.me, world::span(5, 1)));
    std::thread pager{[&] {
        cpu<world::reclaimer> other{host.domain};
        auto const event = faults.wait_event(other.current(), wait_mode::killable);
        auto const bytes = filled<page_size>('u');
        if (event)
            (void)faults.copy(other, *page_span::from(event->address.page_start(), page_count{1}),
                              bytes);
    }};
    auto held = host.hold();
    CHECK(fixup_user_fault(host.mm, host.me, held, world::page(5), mmhold::access::write).error() ==
          errc::bad_address);
    auto const fixed =
        fixup_user_fault_unlocked(host.mm, host.me, held, world::page(5), mmhold::access::write);
    pager.join();
    REQUIRE(fixed);
    CHECK(*fixed == relocked::yes);
    CHECK(held.holding());
    CHECK(host.first_byte(5) == 'u');
    (void)held.give_up();
    CHECK(fixup_user_fault(host.mm, host.me, held, world::page(5), mmhold::access::write).error() ==
          errc::lock_not_held);
    REQUIRE(faults.close(host.me));
}
