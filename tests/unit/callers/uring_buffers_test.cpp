// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/uring_buffers.hpp>
#include <mmhold/gup/unpin.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("uring_register: all pages are pinned, or none", "[callers]") {
    world host;
    std::array<pfn, 4> out{};
    CHECK(uring_register(host.mm, host.me, {world::page(0).plus(9), page_size}, out).value_or(0) ==
          2);
    CHECK(host.frames.pin_count(out[1]) == 1);
    unpin(host.frames, std::span<pfn const>{out}.first(2));
    CHECK(uring_register(host.mm, host.me, {world::page(0), 3 * page_size}, out).error() ==
          errc::bad_address);
    CHECK(uring_register(host.mm, host.me, {world::page(3), 1}, out).error() == errc::bad_address);
    CHECK(host.nothing_held());
}

TEST_CASE("uring_register: empty, too large, wrapping and sparse buffers", "[callers][bad-input]") {
    world host;
    std::array<pfn, 4> out{};
    auto const says = [&](std::uint64_t at, std::uint64_t bytes) {
        return uring_register(host.mm, host.me, {{at}, bytes}, out).error();
    };
    CHECK(says(0, 0) == errc::ok);
    CHECK(says(0, 1) == errc::bad_address);
    CHECK(says(world::page(0).value, 0) == errc::bad_address);
    CHECK(says(world::page(0).value, (1U << 30U) + 1) == errc::bad_address);
    CHECK(says(~std::uint64_t{0} - page_size, 2 * page_size) == errc::overflow);
    CHECK(says(world::page(0).value, 5 * page_size) == errc::invalid_argument);
    CHECK(host.nothing_held());
}
