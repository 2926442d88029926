// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/kvm.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("find_guest_page: a present writable page comes without the lock", "[callers]") {
    world host;
    auto const got = find_guest_page(host.mm, host.me, world::page(0).plus(5), guest_access::write);
    REQUIRE(got);
    CHECK(got->page == host.entry(0).target);
    CHECK(got->writable);
    CHECK(host.me.stats().slow_pages == 0);
    host.frames.put(got->page);
    auto const read = find_guest_page(host.mm, host.me, world::page(0), guest_access::read);
    REQUIRE(read);
    CHECK_FALSE(read->writable);
    CHECK(host.me.stats().slow_pages == 1);
    host.frames.put(read->page);
    CHECK(host.nothing_held());
}

TEST_CASE("find_guest_page: missing pages are faulted in, read-only memory stays so", "[callers]") {
    world host;
    auto const missing =
        find_guest_page(host.mm, host.me, world::page(5), guest_access::read_writable_ready);
    REQUIRE(missing);
    CHECK_FALSE(missing->writable);
    CHECK(missing->page == host.frames.zero_page());
    host.frames.put(missing->page);
    auto const read_only =
        find_guest_page(host.mm, host.me, world::page(3), guest_access::read_writable_ready);
    REQUIRE(read_only);
    CHECK_FALSE(read_only->writable);
    host.frames.put(read_only->page);
    CHECK(find_guest_page(host.mm, host.me, world::page(3), guest_access::write).error() ==
          errc::bad_address);
    CHECK(find_guest_page(host.mm, host.me, world::page(2), guest_access::read).error() ==
          errc::bad_address);
    CHECK(host.nothing_held());
}

TEST_CASE("find_guest_page: nowait answers again, a killed task leaves", "[callers]") {
    world host;
    userfault faults{host.mm};
    REQUIRE(faults.register_range(host.me, world::span(5, 1)));
    CHECK(find_guest_page(host.mm, host.me, world::page(5), guest_access::write, gup_flag::nowait)
              .error() == errc::again);
    host.me.current().kill();
    CHECK(find_guest_page(host.mm, host.me, world::page(5), guest_access::write).error() ==
          errc::interrupted);
    REQUIRE(faults.close(host.me));
}
