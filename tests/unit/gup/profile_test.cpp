// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"

#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>

#include <array>

using namespace mmhold;
using small = mmhold_test::small_space<>;

TEST_CASE("two kernels in one program: 5.1 item 4, a range that wraps", "[gup][profile]") {
    small host;
    std::array<pfn, 4> out{};
    virt_addr const high{~std::uint64_t{0} - page_size};
    auto const now = gup_fast(host.mm, host.me, high, page_count{4}, {}, out);
    CHECK(to_linux(now) == -75);
    CHECK(now.error == errc::overflow);
    CHECK(to_linux(gup_fast<rfc_2014>(host.mm, host.me, high, page_count{4}, {}, out)) == 0);
    CHECK(to_linux(pin_fast(host.mm, host.me, high, page_count{4}, {}, out)) == -75);
}

TEST_CASE("5.1 item 3: a start inside a page is rounded down", "[gup][profile]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0);
    std::array<pfn, 1> out{};
    auto const inside = small::page(0).plus(4095);
    CHECK(gup_fast(host.mm, host.me, inside, page_count{1}, {}, out).complete());
    CHECK(out[0] == frame);
    host.frames.put(frame);
}

TEST_CASE("a profile is a set of constants", "[gup][profile]") {
    STATIC_REQUIRE(GupProfile<linux_6_18>);
    STATIC_REQUIRE(GupProfile<rfc_2014>);
    STATIC_REQUIRE_FALSE(GupProfile<int>);
    STATIC_REQUIRE(linux_6_18::retries != rfc_2014::retries);
}
