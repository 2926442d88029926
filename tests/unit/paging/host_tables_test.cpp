// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/host_tables.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"
#include "support/last_words.hpp"
#include "support/together.hpp"

#include <set>

using namespace paging_test;
using format = x86_64<4>;
using tables_type = host_tables<format, test_domain>;

TEST_CASE("host_tables: names are consecutive from the first, tables are blank") {
    tables_type tables{page_count{3}, pfn{0x500}};
    REQUIRE(tables.valid());
    REQUIRE(tables.capacity() == page_count{3});
    std::set<pfn> names;
    for (int i = 0; i < 3; ++i) {
        auto const table = tables.allocate(0);
        REQUIRE(table);
        REQUIRE(tables.contains(*table));
        names.insert(*table);
        for (unsigned index = 0; index < 512; ++index) {
            REQUIRE(tables.entry(*table, index).load(relaxed) == 0);
        }
    }
    REQUIRE(names == std::set{pfn{0x500}, pfn{0x501}, pfn{0x502}});
    REQUIRE(tables.in_use() == 3);
    for (auto const name : names) tables.release(name);
    REQUIRE(tables.in_use() == 0);
}

TEST_CASE("host_tables: exhaustion is no_memory and passes") {
    tables_type tables{page_count{2}};
    auto const a = tables.allocate(0);
    auto const b = tables.allocate(1);
    REQUIRE((a && b));
    REQUIRE(tables.allocate(0).error() == errc::no_memory);
    tables.release(*a);
    auto const again = tables.allocate(2);
    REQUIRE(again.has_value());
    REQUIRE(*again == *a);
    tables.release(*again);
    tables.release(*b);
}

TEST_CASE("host_tables: no capacity, or more than can be numbered, is not valid") {
    tables_type none{page_count{0}};
    REQUIRE_FALSE(none.valid());
    REQUIRE(none.allocate(0).error() == errc::no_memory);
    tables_type absurd{page_count{std::uint64_t{1} << 40}};
    REQUIRE_FALSE(absurd.valid());
    REQUIRE(absurd.allocate(0).error() == errc::no_memory);
}

TEST_CASE("host_tables: contains() knows its own names only") {
    tables_type tables{page_count{2}, pfn{10}};
    REQUIRE_FALSE(tables.contains(pfn{9}));
    REQUIRE(tables.contains(pfn{10}));
    REQUIRE(tables.contains(pfn{11}));
    REQUIRE_FALSE(tables.contains(pfn{12}));
    REQUIRE_FALSE(tables.contains(pfn{0}));
}

TEST_CASE("host_tables: a retired table lives while a section names it") {
    tables_type tables{page_count{2}};
    test_domain domain;
    test_cpu reader{domain};
    test_cpu remover{domain};
    auto const table = *tables.allocate(0);
    tables.entry(table, 5).store(77, relaxed);
    {
        irq_section inside{reader};
        inside.protect(0, table.value);
        tables.retire(remover, table);
        (void)domain.reclaim(remover.record());
        REQUIRE(tables.in_use() == 1);
        REQUIRE(tables.entry(table, 5).load(relaxed) == 77);
    }
    (void)domain.reclaim(remover.record());
    REQUIRE(tables.in_use() == 0);
}

TEST_CASE("host_tables: each table has a lock of its own") {
    tables_type tables{page_count{2}};
    auto const a = *tables.allocate(0);
    auto const b = *tables.allocate(0);
    {
        spin_guard const hold{tables.lock(a)};
        REQUIRE(tables.lock(a).locked());
        REQUIRE_FALSE(tables.lock(b).locked());
    }
    REQUIRE_FALSE(tables.lock(a).locked());
    tables.release(a);
    tables.release(b);
}

TEST_CASE("host_tables: misuse stops a checked program") {
    using mmhold_test::last_words;
    tables_type tables{page_count{2}, pfn{10}};
    auto const foreign = last_words([&] { (void)tables.lock(pfn{9}); });
    REQUIRE(foreign.died);
    REQUIRE(foreign.words.find("not the name of a table") != std::string::npos);
    auto const freed = last_words([&] {
        auto const table = *tables.allocate(0);
        tables.release(table);
        (void)tables.entry(table, 0);
    });
    REQUIRE(freed.died);
    REQUIRE(freed.words.find("after it was freed") != std::string::npos);
    auto const leaked = last_words([] {
        tables_type lost{page_count{1}};
        (void)lost.allocate(0);
    });
    REQUIRE(leaked.died);
    REQUIRE(last_words([] { tables_type zero{page_count{1}, pfn{0}}; }).died);
}

TEST_CASE("host_tables: threads never get one table twice") {
    tables_type tables{page_count{8}};
    auto const churn = [&tables](std::uint64_t mark) {
        for (int i = 0; i < 2000; ++i) {
            auto const table = tables.allocate(0);
            if (!table) continue;
            if (tables.entry(*table, 0).exchange(mark, relaxed) != 0) __builtin_trap();
            if (tables.entry(*table, 0).load(relaxed) != mark) __builtin_trap();
            tables.release(*table);
        }
    };
    mmhold_test::in_threads([&] { churn(1); }, [&] { churn(2); }, [&] { churn(3); });
    REQUIRE(tables.in_use() == 0);
}
