// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/single_read.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("look_at_page: present, missing and read-only pages, holes and refusals", "[callers]") {
    world host;
    auto const look = [&](virt_addr at) {
        auto const got = look_at_page(host.mm, host.me, at);
        if (got) host.frames.put(*got);
        return got;
    };
    CHECK(look(world::page(1).plus(3)).value_or(pfn{}) == host.entry(1).target);
    CHECK(look(world::page(5)).value_or(pfn{}) == host.frames.zero_page());
    CHECK(look(world::page(3)).value_or(pfn{}) == host.entry(3).target);
    CHECK(look(world::page(2)).error() == errc::bad_address);
    CHECK(look(world::page(4)).error() == errc::bad_address);
    CHECK(look({~std::uint64_t{0}}).error() == errc::bad_address);
    CHECK(host.nothing_held());
}
