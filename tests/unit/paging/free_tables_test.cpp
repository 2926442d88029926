// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/free_tables.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"

using namespace paging_test;

namespace {

constexpr virt_addr bottom{};
constexpr virt_addr top = task_size_max(48);

void map_and_unmap(setup_4& s, std::uint64_t at) {
    REQUIRE(s.table.map(s.me, virt_addr{at}, rw_leaf(1), 0));
    REQUIRE(s.table.unmap(s.me, pages_from(at, 1), ignore_leaves{}));
}

}  // namespace

TEST_CASE("6.1 munmap: empty tables go bottom-up, after a flush") {
    setup_4 s;
    map_and_unmap(s, 0x1000);
    REQUIRE(s.tables.in_use() == 4);
    noting_flush flush;
    REQUIRE(s.table.free_tables(s.me, pages_from(0x1000, 1), bottom, top, flush));
    REQUIRE(s.tables_left() == 1);
    REQUIRE(flush.spans.size() == 1);
    REQUIRE(flush.spans[0].contains(virt_addr{0x1000}));
    REQUIRE(s.domain.statistics().retired == 3);
}

TEST_CASE("6.1 munmap: the flush comes before the tables are retired") {
    setup_4 s;
    map_and_unmap(s, 0x1000);
    std::vector<std::uint64_t> retired;
    auto const flush = [&](page_span) { retired.push_back(s.domain.statistics().retired); };
    REQUIRE(s.table.free_tables(s.me, pages_from(0x1000, 1), bottom, top, flush));
    REQUIRE(retired == std::vector<std::uint64_t>{0});
}

TEST_CASE("6.1 munmap: floor and ceiling protect the neighbours' tables") {
    setup_4 s;
    map_and_unmap(s, size_2m + 0x1000);
    auto const span = pages_from(size_2m + 0x1000, 1);
    // A neighbour in the same PTE table.
    REQUIRE(s.table.free_tables(s.me, span, virt_addr{size_2m + 0x1000}, top));
    REQUIRE(s.tables_left() == 4);
    REQUIRE(s.table.free_tables(s.me, span, bottom, virt_addr{size_2m + 0x8000}));
    REQUIRE(s.tables_left() == 4);
    // Neighbours in the same PMD table.
    REQUIRE(s.table.free_tables(s.me, span, virt_addr{size_2m}, top));
    REQUIRE(s.tables_left() == 3);
    REQUIRE(s.table.free_tables(s.me, span, bottom, virt_addr{size_1g}));
    REQUIRE(s.tables_left() == 2);
    REQUIRE(s.table.free_tables(s.me, span, bottom, top));
    REQUIRE(s.tables_left() == 1);
}

TEST_CASE("free_tables: a table that maps something stays, and so does what leads to it") {
    setup_4 s;
    map_and_unmap(s, 0x1000);
    REQUIRE(s.table.map(s.me, virt_addr{0x5000}, rw_leaf(5), 0));
    map_and_unmap(s, size_2m);
    REQUIRE(s.tables.in_use() == 5);
    REQUIRE(s.table.free_tables(s.me, bytes_from(0, size_1g), bottom, top));
    REQUIRE(s.tables_left() == 4);
    REQUIRE(s.entry(0x5000) == rw_leaf(5));
}

TEST_CASE("free_tables: large leaves are not tables") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0x200), 1));
    REQUIRE(s.table.free_tables(s.me, bytes_from(0, size_1g), bottom, top));
    REQUIRE(s.tables_left() == 3);
    REQUIRE(s.entry(0, 1) == rw_leaf(0x200));
}

TEST_CASE("free_tables: more tables than one batch holds") {
    setup_4 s{128};
    for (std::uint64_t i = 0; i < 70; ++i) map_and_unmap(s, i * size_2m);
    REQUIRE(s.tables.in_use() == 73);
    noting_flush flush;
    REQUIRE(s.table.free_tables(s.me, bytes_from(0, size_1g), bottom, top, flush));
    REQUIRE(s.tables_left() == 1);
    REQUIRE(flush.spans.size() == 3);
}

TEST_CASE("free_tables: the last table of user space reaches beyond it and is freed") {
    setup_4 s;
    auto const last = top.value - page_size;
    map_and_unmap(s, last);
    REQUIRE(s.table.free_tables(s.me, pages_from(last, 1), bottom, top));
    REQUIRE(s.tables_left() == 1);
}

TEST_CASE("free_tables: limits that cut into the span, and bad or empty spans") {
    setup_4 s;
    auto const span = pages_from(0x2000, 2);
    REQUIRE(s.table.free_tables(s.me, span, virt_addr{0x3000}, top).error() ==
            errc::invalid_argument);
    REQUIRE(s.table.free_tables(s.me, span, bottom, virt_addr{0x3000}).error() ==
            errc::invalid_argument);
    REQUIRE(s.table.free_tables(s.me, pages_from(top.value, 1), bottom, top).error() ==
            errc::bad_address);
    REQUIRE(s.table.free_tables(s.me, page_span{}, virt_addr{0x3000}, top));
}

TEST_CASE("free_tables: five levels") {
    setup_5 s;
    auto const at = std::uint64_t{1} << 55;
    REQUIRE(s.table.map(s.me, virt_addr{at}, rw_leaf(1), 0));
    REQUIRE(s.tables.in_use() == 5);
    REQUIRE(s.table.unmap(s.me, pages_from(at, 1), ignore_leaves{}));
    REQUIRE(s.table.free_tables(s.me, pages_from(at, 1), bottom, task_size_max(57)));
    REQUIRE(s.tables_left() == 1);
}
