// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/mlock.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("mlock: writable private memory is written, the rest read, a hole first", "[callers]") {
    world host;
    CHECK(mlock_pages(host.mm, host.me, world::span(5, 2)).error() == errc::ok);
    CHECK(host.entry(5).writable);
    CHECK(host.entry(6).is_leaf());
    CHECK(mlock_pages(host.mm, host.me, world::span(4, 1)).error() == errc::no_memory);
    REQUIRE(host.map({.hint = world::page(8), .pages = page_count{1}}));
    CHECK(mlock_pages(host.mm, host.me, world::span(6, 3)).error() == errc::no_memory);
    CHECK(host.entry(8).none());
    CHECK(mlock_pages(host.mm, host.me, world::span(2, 0)).error() == errc::ok);
}

TEST_CASE("mlock: device memory is passed over", "[callers]") {
    world host;
    REQUIRE(
        host.map({.hint = world::page(7), .pages = page_count{1}, .properties = vma_flag::pfnmap}));
    CHECK(mlock_pages(host.mm, host.me, world::span(7, 1)).error() == errc::ok);
}

TEST_CASE(
    "mlock: the mark stays where it was set, keeps pages from being discarded, and goes again",
    "[callers]") {
    world host;
    REQUIRE(mlock_pages(host.mm, host.me, world::span(0, 1)));
    CHECK(host.mm.dontneed(host.me, world::span(0, 1)).error() == errc::invalid_argument);
    CHECK(host.mm.dontneed(host.me, world::span(1, 1)).error() == errc::ok);
    CHECK(mlock_pages(host.mm, host.me, world::span(5, 5)).error() == errc::no_memory);
    CHECK(host.mm.dontneed(host.me, world::span(5, 1)).error() == errc::invalid_argument);
    CHECK(munlock_pages(host.mm, host.me, world::span(5, 2)).error() == errc::ok);
    CHECK(host.mm.dontneed(host.me, world::span(5, 1)).error() == errc::ok);
    CHECK(munlock_pages(host.mm, host.me, world::span(0, 3)).error() == errc::no_memory);
    CHECK(host.mm.dontneed(host.me, world::span(0, 1)).error() == errc::ok);
}
