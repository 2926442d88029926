// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/gup/faultin.hpp>
#include <mmhold/gup/over_space.hpp>

using namespace mmhold;
using small = mmhold_test::small_space<>;

TEST_CASE("gup_faultin: tells no vma, a refusing vma and a failing fault apart", "[gup]") {
    small host;
    REQUIRE(host.map(2));
    REQUIRE(host.mm.mprotect(host.me, small::span(1, 1), prot::r));
    auto const says = [&](std::uint64_t page, mmhold::access how) {
        return gup_faultin(host.mm, host.me, small::span(page, 1), how).error;
    };
    CHECK(says(0, mmhold::access::write) == errc::ok);
    CHECK(host.entry(0).writable);
    CHECK(says(1, mmhold::access::read) == errc::ok);
    CHECK(says(1, mmhold::access::write) == errc::invalid_argument);
    CHECK(says(5, mmhold::access::read) == errc::no_memory);
    CHECK(host.frames.ref_count(host.entry(0).target) == 1);
    userfault faults{host.mm, userfault_feature::sigbus};
    REQUIRE(faults.register_range(host.me, small::span(0, 1)));
    REQUIRE(host.mm.dontneed(host.me, small::span(0, 1)));
    CHECK(says(0, mmhold::access::read) == errc::bad_address);
    REQUIRE(faults.close(host.me));
}

TEST_CASE("gup_faultin: pages before the bad one count, the error comes with the next call",
          "[gup]") {
    small host;
    REQUIRE(host.map(2));
    auto const got = gup_faultin(host.mm, host.me, small::span(0, 3), mmhold::access::read);
    CHECK(got.pages == 2);
    CHECK(got.error == errc::no_memory);
    CHECK(got.lock == lock_fate::never_held);
}
