// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/vmsplice.hpp>
#include <mmhold/gup/unpin.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("vmsplice: references, no pins, the pipe sees later writes of an exclusive page",
          "[callers]") {
    world host;
    std::array<pfn, 4> slots{};
    CHECK(vmsplice(host.mm, host.me, {world::page(0).plus(96), page_size}, slots).value_or(0) ==
          page_size);
    CHECK(slots[0] == host.entry(0).target);
    CHECK(slots[1] == host.entry(1).target);
    CHECK(host.frames.counts(slots[0]) == frame_counts{2, 0});
    put_pages(host.frames, std::span{slots}.first(2));
    CHECK(host.nothing_held());
}

TEST_CASE("vmsplice: short counts for a bad page and a full pipe", "[callers]") {
    world host;
    std::array<pfn, 4> slots{};
    CHECK(vmsplice(host.mm, host.me, {world::page(0), 3 * page_size}, slots).value_or(0) ==
          2 * page_size);
    put_pages(host.frames, std::span{slots}.first(2));
    CHECK(vmsplice(host.mm, host.me, {world::page(0), 2 * page_size}, std::span{slots}.first(1))
              .value_or(0) == page_size);
    put_pages(host.frames, std::span{slots}.first(1));
    CHECK(vmsplice(host.mm, host.me, {world::page(0), 5}, {}).error() == errc::again);
    CHECK(vmsplice(host.mm, host.me, {world::page(2), 5}, slots).error() == errc::bad_address);
    CHECK(host.nothing_held());
}

TEST_CASE("vmsplice: after a short count gup_fast begins anew", "[callers]") {
    // The slow half refuses a vma that may only be written; the fast half sees that the cpu can read it.
    world host;
    REQUIRE(host.map({.hint = world::page(8), .pages = page_count{1}}));
    REQUIRE(host.map({.hint = world::page(9), .pages = page_count{1}, .prot = prot::w}));
    (void)host.fill(9, prot::w);
    std::array<pfn, 4> slots{};
    CHECK(vmsplice(host.mm, host.me, {world::page(8), 3 * page_size}, slots).value_or(0) ==
          2 * page_size);
    put_pages(host.frames, std::span{slots}.first(2));
}

TEST_CASE("vmsplice: lengths and addresses nobody can mean", "[callers][bad-input]") {
    world host;
    std::array<pfn, 4> slots{};
    CHECK(vmsplice(host.mm, host.me, {world::page(2), 0}, slots).value_or(1) == 0);
    CHECK(vmsplice(host.mm, host.me, {world::page(0), ~std::uint64_t{0}}, slots).error() ==
          errc::invalid_argument);
    CHECK(vmsplice(host.mm, host.me, {{~std::uint64_t{0} - 5}, 4}, slots).error() ==
          errc::bad_address);
}
