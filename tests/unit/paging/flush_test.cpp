// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/flush.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"

using namespace paging_test;

namespace {

struct no_policy {};
static_assert(!FlushPolicy<no_policy>);
static_assert(FlushPolicy<noting_flush>);

}  // namespace

TEST_CASE("changed_range: nothing changed, nothing flushed") {
    noting_flush flush;
    changed_range changed;
    REQUIRE(changed.empty());
    changed.flush_with(flush);
    REQUIRE(flush.spans.empty());
}

TEST_CASE("changed_range: one flush covers everything since the last") {
    noting_flush flush;
    changed_range changed;
    changed.add(virt_addr{0x5000}, virt_addr{0x6000});
    changed.add(virt_addr{0x2000}, virt_addr{0x3000});
    changed.add(virt_addr{0x4000}, virt_addr{0x5000});
    REQUIRE_FALSE(changed.empty());
    changed.flush_with(flush);
    REQUIRE(flush.spans == std::vector{pages_from(0x2000, 4)});
    REQUIRE(changed.empty());
    changed.flush_with(flush);
    REQUIRE(flush.spans.size() == 1);
}

TEST_CASE("changed_range: the page at address 0 counts") {
    noting_flush flush;
    changed_range changed;
    changed.add(virt_addr{0}, virt_addr{0x1000});
    changed.add(virt_addr{0x7000}, virt_addr{0x8000});
    changed.flush_with(flush);
    REQUIRE(flush.spans == std::vector{pages_from(0, 8)});
}
