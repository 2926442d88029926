// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/video_capture.hpp>
#include <mmhold/gup/unpin.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("pin_capture_buffer: all pages under the caller's lock, which stays held", "[callers]") {
    world host;
    std::array<pfn, 3> out{};
    auto const held = host.hold();
    CHECK(pin_capture_buffer(host.mm, host.me, held, world::span(0, 2), out).value_or(0) == 2);
    unpin(host.frames, std::span<pfn const>{out}.first(2));
    CHECK(pin_capture_buffer(host.mm, host.me, held, world::span(0, 3), out).error() ==
          errc::bad_address);
    CHECK(held.holding());
    CHECK(host.nothing_held());
}

TEST_CASE("pin_capture_buffer: a userfault is an error, for waiting would keep the lock",
          "[callers]") {
    world host;
    userfault faults{host.mm};
    REQUIRE(faults.register_range(host.me, world::span(5, 1)));
    std::array<pfn, 3> out{};
    {
        auto const held = host.hold();
        CHECK(pin_capture_buffer(host.mm, host.me, held, world::span(5, 1), out).error() ==
              errc::bad_address);
    }
    REQUIRE(faults.close(host.me));
}
