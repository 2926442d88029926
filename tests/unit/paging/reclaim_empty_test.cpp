// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/reclaim_empty.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"

using namespace paging_test;

TEST_CASE("6.1 PT_RECLAIM: an empty PTE table is unlinked, flushed and retired") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0x1000}, rw_leaf(1), 0));
    REQUIRE(s.table.unmap(s.me, pages_from(0x1000, 1), ignore_leaves{}));
    noting_flush flush;
    auto const outcome = s.table.reclaim_empty(s.me, virt_addr{0x1fff}, flush);
    REQUIRE(outcome);
    REQUIRE(*outcome == table_reclaim::reclaimed);
    REQUIRE(flush.spans == std::vector{bytes_from(0, size_2m)});
    REQUIRE(s.tables_left() == 3);
    REQUIRE(s.entry(0, 1).none());
    REQUIRE(*s.table.reclaim_empty(s.me, virt_addr{0x1000}) == table_reclaim::absent);
}

TEST_CASE("6.1 PT_RECLAIM: a table with one entry left stays") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{511 * page_size}, page_entry::marker_for(1, 1), 0));
    noting_flush flush;
    REQUIRE(*s.table.reclaim_empty(s.me, virt_addr{0}, flush) == table_reclaim::in_use);
    REQUIRE(flush.spans.empty());
    REQUIRE(s.tables.in_use() == 4);
}

TEST_CASE("reclaim_empty: no table, or a large leaf in its place") {
    setup_4 s;
    REQUIRE(*s.table.reclaim_empty(s.me, virt_addr{0}) == table_reclaim::absent);
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0x200), 1));
    REQUIRE(*s.table.reclaim_empty(s.me, virt_addr{0}) == table_reclaim::absent);
    REQUIRE(s.table.map(s.me, virt_addr{size_1g}, rw_leaf(0), 2));
    REQUIRE(*s.table.reclaim_empty(s.me, virt_addr{size_1g}) == table_reclaim::absent);
    REQUIRE(s.table.reclaim_empty(s.me, virt_addr{1ULL << 47}).error() == errc::bad_address);
}

TEST_CASE("6.2 #29 the table can be mapped into again after it was taken away") {
    setup_4 s;
    for (int round = 0; round < 3; ++round) {
        REQUIRE(s.table.map(s.me, virt_addr{0x1000}, rw_leaf(1), 0));
        REQUIRE(s.table.unmap(s.me, pages_from(0x1000, 1), ignore_leaves{}));
        REQUIRE(*s.table.reclaim_empty(s.me, virt_addr{0x1000}) == table_reclaim::reclaimed);
    }
    REQUIRE(s.tables_left() == 3);
}

TEST_CASE("6.2 #29 a lockless reader inside the table keeps it readable") {
    setup_4 s;
    test_cpu reader{s.domain};
    REQUIRE(s.table.map(s.me, virt_addr{0x1000}, rw_leaf(1), 0));
    REQUIRE(s.table.unmap(s.me, pages_from(0x1000, 1), ignore_leaves{}));
    auto table = s.table.root();
    for (unsigned level = 3; level > 0; --level) {
        table = x86_64<4>::decode(s.table.read(table, virt_addr{0}, level), level).target;
    }
    {
        irq_section inside{reader};
        inside.protect(0, table.value);
        REQUIRE(*s.table.reclaim_empty(s.me, virt_addr{0x1000}) == table_reclaim::reclaimed);
        REQUIRE(s.tables_left() == 4);
        REQUIRE(s.table.read(table, virt_addr{0x1000}, 0) == 0);
    }
    REQUIRE(s.tables_left() == 3);
}
