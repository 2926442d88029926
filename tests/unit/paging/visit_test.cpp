// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/visit.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"

using namespace paging_test;

TEST_CASE("visit shows leaves and markers of every size, in address order, and changes nothing") {
    setup_5 s;
    auto const high = std::uint64_t{1} << 50;
    REQUIRE(s.table.map(s.me, virt_addr{high}, rw_leaf(0x40000), 2));
    REQUIRE(s.table.map(s.me, virt_addr{0x3000}, rw_leaf(7), 0));
    REQUIRE(s.table.map(s.me, virt_addr{0x5000}, page_entry::marker_for(1, 9), 0));
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x200), 1));
    noting_sink seen;
    REQUIRE(s.table.visit(s.me, bytes_from(0, high + size_1g), seen));
    REQUIRE(seen.leaves.size() == 4);
    REQUIRE(seen.leaves[0].at == virt_addr{0x3000});
    REQUIRE(seen.leaves[0].entry == rw_leaf(7));
    REQUIRE(seen.leaves[1].entry.is_marker());
    REQUIRE(seen.leaves[2].level == 1);
    REQUIRE(seen.leaves[3].at == virt_addr{high});
    REQUIRE(seen.leaves[3].level == 2);
    REQUIRE(s.entry(0x3000) == rw_leaf(7));
}

TEST_CASE("visit shows a large leaf that reaches over the ends once, whole") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x200), 1));
    noting_sink seen;
    REQUIRE(s.table.visit(s.me, pages_from(size_2m + 0x3000, 2), seen));
    REQUIRE(seen.leaves.size() == 1);
    REQUIRE(seen.leaves[0].at == virt_addr{size_2m});
    REQUIRE(s.entry(size_2m, 1).is_leaf());
}

TEST_CASE("visit: the visitor may end it") {
    setup_4 s;
    for (std::uint64_t i = 0; i < 600; ++i) {
        REQUIRE(s.table.map(s.me, virt_addr{i * page_size}, rw_leaf(1 + i), 0));
    }
    int shown = 0;
    auto const until_the_second = [&](virt_addr, page_entry const&, unsigned) {
        return ++shown == 2 ? onward::stop : onward::next;
    };
    REQUIRE(s.table.visit(s.me, pages_from(0, 600), until_the_second));
    REQUIRE(shown == 2);
    shown = 0;
    auto const all = [&](virt_addr, page_entry const&, unsigned) {
        ++shown;
        return onward::next;
    };
    REQUIRE(s.table.visit(s.me, pages_from(0, 600), all));
    REQUIRE(shown == 600);
}

TEST_CASE("visit: empty and bad ranges") {
    setup_4 s;
    noting_sink seen;
    REQUIRE(s.table.visit(s.me, page_span{}, seen));
    REQUIRE(s.table.visit(s.me, bytes_from(0, task_size_max(48).value), seen));
    REQUIRE(s.table.visit(s.me, bytes_from(0, std::uint64_t{1} << 47), seen).error() ==
            errc::bad_address);
    REQUIRE(seen.leaves.empty());
}
