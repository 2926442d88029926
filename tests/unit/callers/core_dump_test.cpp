// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/core_dump.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("get_dump_page: pages with contents, whatever their rights, holes stay holes",
          "[callers]") {
    world host;
    auto const dump = [&](std::uint64_t page) {
        auto const got = get_dump_page(host.mm, host.me, world::page(page).plus(7));
        if (got) host.frames.put(*got);
        return got;
    };
    CHECK(dump(0).value_or(pfn{}) == host.entry(0).target);
    CHECK(dump(3).value_or(pfn{}) == host.entry(3).target);
    CHECK(dump(2).error() == errc::bad_address);
    CHECK(dump(5).error() == errc::bad_address);  // the zero page
    CHECK(dump(4).error() == errc::bad_address);
    REQUIRE(host.mm.mprotect(host.me, world::span(0, 1), prot::none));
    CHECK(dump(0).value_or(pfn{}) == host.entry(0).target);
    CHECK(host.nothing_held());
}

TEST_CASE("get_dump_page: a userfault does not make it wait, device memory is left out",
          "[callers]") {
    world host;
    userfault faults{host.mm};
    REQUIRE(faults.register_range(host.me, world::span(5, 1)));
    CHECK(get_dump_page(host.mm, host.me, world::page(5)).error() == errc::bad_address);
    CHECK(faults.counts().tickets == 0);
    REQUIRE(
        host.map({.hint = world::page(7), .pages = page_count{1}, .properties = vma_flag::pfnmap}));
    CHECK(get_dump_page(host.mm, host.me, world::page(7)).error() == errc::bad_address);
    REQUIRE(faults.close(host.me));
}
