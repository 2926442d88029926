// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"

#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/unpin.hpp>

#include <array>

using namespace mmhold;
using small = mmhold_test::small_space<>;

TEST_CASE("1.3 rules 1 and 2: unpin is the inverse of pin, put_pages of gup, the zero page counts for nothing", "[gup]") {
    small host;
    REQUIRE(host.map(4));
    auto const frame = host.fill(0);
    std::array<pfn, 2> out{};
    REQUIRE(pin_unlocked(host.mm, host.me, small::span(0, 1), {}, out).complete());
    CHECK(host.frames.ref_count(frame) == 1 + pin_bias);
    CHECK(host.frames.maybe_pinned(frame));
    unpin(host.frames, std::span{out}.first(1));
    CHECK(host.frames.ref_count(frame) == 1);
    REQUIRE(gup_unlocked(host.mm, host.me, small::span(0, 2), {}, out).complete());
    CHECK(out[1] == host.frames.zero_page());
    put_pages(host.frames, out);
    CHECK(host.frames.ref_count(frame) == 1);
    CHECK(host.frames.ref_count(host.frames.zero_page()) == 1);
    auto const statistics = host.frames.statistics();
    CHECK(statistics.pins_acquired == 1);
    CHECK(statistics.pins_released == 1);
}

TEST_CASE("1.3 rule 4: gup dirties nothing at unpin unless asked", "[gup]") {
    small host;
    REQUIRE(host.map(1));
    auto const frame = host.fill(0);
    std::array<pfn, 1> out{};
    for (auto const dirty : {make_dirty::no, make_dirty::yes}) {
        REQUIRE(pin_fast_only(host.mm, host.me, small::span(0, 1), gup_flag::write, out).complete());
        unpin(host.frames, out, dirty);
        CHECK(host.frames.dirty(frame) == (dirty == make_dirty::yes));
    }
}

TEST_CASE("unpin of nothing does nothing", "[gup][bad-input]") {
    small host;
    unpin(host.frames, {}, make_dirty::yes);
    put_pages(host.frames, {});
    CHECK(host.frames.statistics().pins_released == 0);
}
