// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/populate.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("madvise_populate: fills exactly the range, tells holes from refusals", "[callers]") {
    world host;
    auto const populate = [&](std::uint64_t page, std::uint64_t bytes, mmhold::access how) {
        return madvise_populate(host.mm, host.me, {world::page(page), bytes}, how).error();
    };
    CHECK(populate(5, 1, mmhold::access::read) == errc::ok);
    CHECK(host.entry(5).special);
    CHECK(populate(5, page_size, mmhold::access::write) == errc::ok);
    CHECK(host.entry(5).writable);
    CHECK(populate(2, 1, mmhold::access::read) == errc::no_memory);
    CHECK(populate(3, 1, mmhold::access::write) == errc::invalid_argument);
    CHECK(populate(4, 1, mmhold::access::read) == errc::invalid_argument);
    CHECK(populate(0, 3 * page_size, mmhold::access::read) == errc::no_memory);
    CHECK(populate(2, 0, mmhold::access::read) == errc::ok);
}

TEST_CASE("madvise_populate: SIGBUS is bad_address, what comes before the bad page stays",
          "[callers]") {
    world host;
    userfault faults{host.mm, userfault_feature::sigbus};
    REQUIRE(faults.register_range(host.me, world::span(6, 1)));
    CHECK(madvise_populate(host.mm, host.me, {world::page(5), 2 * page_size}, mmhold::access::read)
              .error() == errc::bad_address);
    CHECK(host.entry(5).is_leaf());
    REQUIRE(faults.close(host.me));
}

TEST_CASE("madvise_populate: start and length are checked first", "[callers][bad-input]") {
    world host;
    CHECK(madvise_populate(host.mm, host.me, {world::page(5).plus(1), 1}, mmhold::access::read)
              .error() == errc::invalid_argument);
    CHECK(madvise_populate(host.mm, host.me, {world::page(5), ~std::uint64_t{0}},
                           mmhold::access::read)
              .error() == errc::invalid_argument);
}
