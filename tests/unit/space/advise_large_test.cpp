// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/space/advise_large.hpp>

#include <vector>

using namespace mmhold;
using small = mmhold_test::small_space<>;

TEST_CASE("advice about large folios marks vmas, and the last one counts", "[large]") {
    small host;
    REQUIRE(host.map(8));
    auto const flags = [&](std::uint64_t n) {
        auto const held = host.hold();
        return host.mm.find(small::page(n), held)->view(held).flags;
    };
    CHECK(advise_large_folios(host.me, host.mm, small::span(2, 3), advise_large::wanted));
    CHECK(flags(1).empty());
    CHECK(flags(2) == vma_flags{vma_flag::large_advised});
    CHECK(advise_large_folios(host.me, host.mm, small::span(0, 8), advise_large::refused));
    CHECK(flags(2) == vma_flags{vma_flag::large_refused});
    auto const held = host.hold();
    CHECK(host.mm.vma_count(held) == 1);
}

TEST_CASE("advice over a hole is an error, but heeded", "[large]") {
    small host;
    REQUIRE(host.map(8));
    CHECK(advise_large_folios(host.me, host.mm, small::span(7, 3), advise_large::wanted).error() ==
          errc::no_memory);
    auto const held = host.hold();
    CHECK(host.mm.find(small::page(7), held)->view(held).flags.has(vma_flag::large_advised));
}
