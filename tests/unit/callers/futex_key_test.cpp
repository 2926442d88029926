// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/futex_key.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("futex_key: private memory by its address, an object's page by the page", "[callers]") {
    world host;
    auto const key = get_futex_key(host.mm, host.me, world::page(0).plus(8), mmhold::access::write);
    CHECK(key.value_or({}) == futex_key{world::page(0).value, 8, false});
    auto const object =
        get_futex_key(host.mm, host.me, world::page(6).plus(4), mmhold::access::read);
    REQUIRE(object);
    CHECK(object->of_object);
    CHECK(object->place == host.entry(6).target.value);
    CHECK(host.nothing_held());
}

TEST_CASE("futex_key: reading is enough for an object, not for private memory", "[callers]") {
    world host;
    auto const says = [&](std::uint64_t page, mmhold::access how) {
        return get_futex_key(host.mm, host.me, world::page(page), how).error();
    };
    CHECK(says(3, mmhold::access::read) == errc::bad_address);
    CHECK(says(6, mmhold::access::write) == errc::bad_address);
    CHECK(says(2, mmhold::access::read) == errc::bad_address);
    CHECK(says(5, mmhold::access::read) == errc::ok);
    CHECK(host.nothing_held());
}

TEST_CASE("futex_key: alignment first, then user space", "[callers][bad-input]") {
    world host;
    CHECK(get_futex_key(host.mm, host.me, world::page(0).plus(2), mmhold::access::read).error() ==
          errc::invalid_argument);
    CHECK(get_futex_key(host.mm, host.me, {~std::uint64_t{0} - 3}, mmhold::access::read).error() ==
          errc::bad_address);
}
