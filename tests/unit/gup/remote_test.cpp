// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/remote.hpp>
#include <mmhold/gup/unpin.hpp>

#include <array>

using namespace mmhold;
using small = mmhold_test::small_space<>;

TEST_CASE("gup_remote: the keys of the cpu that asks play no role", "[gup]") {
    small host;
    REQUIRE(host.map(1));
    REQUIRE(host.mm.mprotect(host.me, small::span(0, 1), prot::rw, std::uint8_t{2}));
    host.me.set_key_rights(protection_key_rights{}.with(2, 1));
    std::array<pfn, 1> out{};
    auto held = host.hold();
    CHECK(gup(host.mm, host.me, held, small::span(0, 1), {}, out).error == errc::bad_address);
    CHECK(gup_remote(host.mm, host.me, held, small::span(0, 1), gup_flag::write, out).complete());
    CHECK(pin_remote(host.mm, host.me, held, small::span(0, 1), gup_flag::write, out).complete());
    auto const lossy =
        gup_remote(host.mm, host.me, may_drop(held), small::span(0, 1), gup_flag::write, out);
    CHECK(lossy == gup_result{1, gup_stop::complete, errc::ok, lock_fate::kept});
    CHECK(pin_remote(host.mm, host.me, may_drop(held), small::span(0, 1), gup_flag::write, out)
              .complete());
    put_pages(host.frames, out);
    put_pages(host.frames, out);
    unpin(host.frames, out);
    unpin(host.frames, out);
    CHECK(host.frames.ref_count(out[0]) == 1);
    CHECK(host.frames.dirty(out[0]));
}

TEST_CASE("gup_remote: illegal flags and a lost witness", "[gup][bad-input]") {
    small host;
    REQUIRE(host.map(1));
    std::array<pfn, 1> out{};
    auto held = host.hold();
    CHECK(to_linux(gup_remote(host.mm, host.me, held, small::span(0, 1), gup_flag::remote, out)) ==
          -22);
    CHECK(to_linux(pin_remote(host.mm, host.me, held, small::span(0, 1), gup_flag::remote, out)) ==
          0);
    (void)held.give_up();
    CHECK(gup_remote(host.mm, host.me, held, small::span(0, 1), {}, out).error ==
          errc::lock_not_held);
}
