// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/page_table.hpp>

#include <mmhold/machine/constexpr_machine.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"

using namespace paging_test;

namespace {

/// map, protect, split, unmap, reclaim, collapse, free and destroy, in constant evaluation.
template<unsigned Levels>
constexpr bool life_of_a_page_table() {
    using domain_type = hazard_domain<constexpr_machine>;
    using tables_type = host_tables<x86_64<Levels>, domain_type>;
    tables_type tables{page_count{Levels + 2}};
    domain_type domain;
    auto fine = true;
    auto const check = [&fine](bool truth) { fine = fine && truth; };
    {
        cpu<domain_type> me{domain};
        page_table<x86_64<Levels>, tables_type> table{tables};
        auto const rw = [](std::uint64_t frame) {
            return page_entry::leaf_to(pfn{frame}, prot::rw);
        };
        auto const two_mib = virt_addr{1U << 21};
        check(table.map(me, virt_addr{0x1000}, rw(5), 0).has_value());
        check(table.map(me, virt_addr{0x1000}, rw(6), 0).error() == errc::exists);
        check(table.map(me, two_mib, rw(512), 1).has_value());
        check(tables.in_use() == Levels);
        check(table.split(me, two_mib).has_value());
        check(table.lock_leaf(me, two_mib.plus(0x3000), 0, if_absent::fail)->read() == rw(515));
        auto const keep_first = [](auto const& view) -> std::optional<page_entry> {
            return view.entry(0);
        };
        check(table.collapse(me, two_mib, 1, keep_first, ignore_leaves{}).has_value());
        check(table.lock_leaf(me, two_mib, 1, if_absent::fail)->read() == rw(512));
        auto const read_only = [](page_entry e) {
            e.writable = false;
            return e;
        };
        auto const both = *page_span::from(virt_addr{}, page_count{1024});
        check(table.protect(me, both, read_only).has_value());
        std::uint64_t pages = 0;
        check(table
                  .visit(me, both,
                         [&](virt_addr, page_entry const& e, unsigned level) {
                             check(!e.writable);
                             pages += x86_64<Levels>::leaf_pages(level);
                         })
                  .has_value());
        check(pages == 513);
        auto const low = *page_span::from(virt_addr{}, page_count{2});
        check(table.unmap(me, low, ignore_leaves{}).has_value());
        check(*table.reclaim_empty(me, virt_addr{}) == table_reclaim::reclaimed);
        check(table.free_tables(me, low, virt_addr{}, two_mib).has_value());
        table.destroy(me);
        check(!table.valid());
    }
    check(domain.drain() == 0);
    check(tables.in_use() == 0);
    return fine;
}
static_assert(life_of_a_page_table<4>());
static_assert(life_of_a_page_table<5>());

}  // namespace

TEST_CASE("map: leaves of every size, with 4 and 5 levels") {
    setup_4 four;
    REQUIRE(four.table.map(four.me, virt_addr{0x1000}, rw_leaf(1), 0));
    REQUIRE(four.table.map(four.me, virt_addr{size_2m}, rw_leaf(0x200), 1));
    REQUIRE(four.table.map(four.me, virt_addr{size_1g}, rw_leaf(0x40000), 2));
    REQUIRE(four.entry(0x1000) == rw_leaf(1));
    REQUIRE(four.entry(size_2m, 1) == rw_leaf(0x200));
    REQUIRE(four.entry(size_1g, 2) == rw_leaf(0x40000));
    setup_5 five;
    auto const high = std::uint64_t{1} << 55;
    REQUIRE(five.table.map(five.me, virt_addr{high}, rw_leaf(1), 0));
    REQUIRE(five.entry(high) == rw_leaf(1));
    REQUIRE(five.tables.in_use() == 5);
}

TEST_CASE("map: the last page of user space") {
    setup_4 s;
    auto const last = task_size_max(48).value - page_size;
    REQUIRE(s.table.map(s.me, virt_addr{last}, rw_leaf(1), 0));
    REQUIRE(s.entry(last) == rw_leaf(1));
    REQUIRE(s.table.map(s.me, virt_addr{last + page_size}, rw_leaf(1), 0).error() ==
            errc::bad_address);
    // A 2 MiB leaf there would reach over the end.
    auto const end_of_2m = (std::uint64_t{1} << 47) - size_2m;
    REQUIRE(s.table.map(s.me, virt_addr{end_of_2m}, rw_leaf(0x200), 1).error() ==
            errc::bad_address);
}

TEST_CASE("map: unaligned addresses and frames are invalid arguments") {
    setup_4 s;
    auto const map = [&](std::uint64_t at, page_entry const& leaf, unsigned level) {
        return s.table.map(s.me, virt_addr{at}, leaf, level).error();
    };
    REQUIRE(map(0x1001, rw_leaf(1), 0) == errc::invalid_argument);
    REQUIRE(map(0x1000, rw_leaf(0x200), 1) == errc::invalid_argument);
    REQUIRE(map(size_2m, rw_leaf(0x40000), 2) == errc::invalid_argument);
    REQUIRE(map(size_2m, rw_leaf(0x201), 1) == errc::invalid_argument);
    REQUIRE(s.tables.in_use() == 1);
}

TEST_CASE("map: addresses that are not canonical, or the kernel's, are bad") {
    setup_4 s;
    auto const map = [&](std::uint64_t at) {
        return s.table.map(s.me, virt_addr{at}, rw_leaf(1), 0).error();
    };
    REQUIRE(map(std::uint64_t{1} << 47) == errc::bad_address);
    REQUIRE(map(0x1234'5678'9abc'd000) == errc::bad_address);
    REQUIRE(map(0xffff'8000'0000'0000) == errc::bad_address);
    REQUIRE(map(~std::uint64_t{0xfff}) == errc::bad_address);
    REQUIRE(s.tables.in_use() == 1);
}

TEST_CASE("map: levels without leaves, and entries that are no leaves") {
    setup_4 s;
    auto const map = [&](page_entry const& entry, unsigned level) {
        return s.table.map(s.me, virt_addr{0}, entry, level).error();
    };
    REQUIRE(map(rw_leaf(0), 3) == errc::invalid_argument);
    REQUIRE(map(rw_leaf(0), 4) == errc::invalid_argument);
    REQUIRE(map(rw_leaf(0), ~0U) == errc::invalid_argument);
    REQUIRE(map(page_entry{}, 0) == errc::invalid_argument);
    REQUIRE(map(page_entry::table_to(pfn{1}), 1) == errc::invalid_argument);
    REQUIRE(map(page_entry::marker_for(1, 1), 1) == errc::invalid_argument);
    auto keyed = rw_leaf(1);
    keyed.pkey = 16;
    REQUIRE(map(keyed, 0) == errc::invalid_argument);
    REQUIRE(s.tables.in_use() == 1);
}

TEST_CASE("map: over something that is there already") {
    setup_4 s;
    auto const map = [&](std::uint64_t at, page_entry const& entry, unsigned level) {
        return s.table.map(s.me, virt_addr{at}, entry, level).error();
    };
    REQUIRE(map(0x1000, rw_leaf(1), 0) == errc::ok);
    REQUIRE(map(0x1000, rw_leaf(2), 0) == errc::exists);
    REQUIRE(map(0, rw_leaf(0x200), 1) == errc::exists);
    REQUIRE(map(0, rw_leaf(0), 2) == errc::exists);
    REQUIRE(map(size_2m, rw_leaf(0x200), 1) == errc::ok);
    REQUIRE(map(size_2m + 0x1000, rw_leaf(3), 0) == errc::exists);
    REQUIRE(map(0x2000, page_entry::marker_for(1, 1), 0) == errc::ok);
    REQUIRE(map(0x2000, rw_leaf(3), 0) == errc::exists);
    REQUIRE(s.entry(0x1000) == rw_leaf(1));
    REQUIRE(s.entry(size_2m, 1) == rw_leaf(0x200));
}

TEST_CASE("map: exhausted table memory, at each level, maps nothing and leaks nothing") {
    for (std::uint64_t capacity = 1; capacity < 4; ++capacity) {
        setup_4 s{capacity};
        REQUIRE(s.table.valid());
        REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(1), 0).error() == errc::no_memory);
        REQUIRE(s.entry(0).none());
        REQUIRE(s.tables.in_use() == capacity);
        auto const span = pages_from(0, 1);
        REQUIRE(s.table.free_tables(s.me, span, virt_addr{}, task_size_max(48)));
        REQUIRE(s.tables_left() == 1);
    }
}

TEST_CASE("page_table: no memory for the root makes every operation answer no_memory") {
    setup_4 s{1};
    setup_4::table_type second{s.tables};
    REQUIRE_FALSE(second.valid());
    auto const span = pages_from(0, 1);
    auto const same = [](page_entry e) { return e; };
    auto const no = [](auto const&) -> std::optional<page_entry> { return std::nullopt; };
    REQUIRE(second.map(s.me, {}, rw_leaf(1), 0).error() == errc::no_memory);
    REQUIRE(second.lock_leaf(s.me, {}, 0, if_absent::create).error() == errc::no_memory);
    REQUIRE(second.unmap(s.me, span, ignore_leaves{}).error() == errc::no_memory);
    REQUIRE(second.protect(s.me, span, same).error() == errc::no_memory);
    REQUIRE(second.split(s.me, {}).error() == errc::no_memory);
    REQUIRE(second.collapse(s.me, {}, 1, no, ignore_leaves{}).error() == errc::no_memory);
    REQUIRE(second.free_tables(s.me, span, {}, task_size_max(48)).error() == errc::no_memory);
    REQUIRE(second.reclaim_empty(s.me, {}).error() == errc::no_memory);
    REQUIRE(second.visit(s.me, span, ignore_leaves{}).error() == errc::no_memory);
    second.destroy(s.me);
}

TEST_CASE("lock_leaf: any address in the page, at the level that was asked for") {
    setup_4 s;
    {
        auto leaf = s.table.lock_leaf(s.me, virt_addr{0x1abc}, 0, if_absent::create);
        REQUIRE(leaf);
        REQUIRE(leaf->level() == 0);
        leaf->set(rw_leaf(9));
    }
    REQUIRE(s.entry(0x1fff) == rw_leaf(9));
    auto const table = s.table.lock_leaf(s.me, virt_addr{0x1abc}, 1, if_absent::fail);
    REQUIRE(table->read().is_table());
}

TEST_CASE("lock_leaf: what it refuses") {
    setup_4 s;
    auto const lock = [&](std::uint64_t at, unsigned level, if_absent missing) {
        return s.table.lock_leaf(s.me, virt_addr{at}, level, missing).error();
    };
    REQUIRE(lock(0, 0, if_absent::fail) == errc::bad_address);
    REQUIRE(lock(0, 2, if_absent::fail) == errc::bad_address);
    REQUIRE(lock(0, 3, if_absent::create) == errc::invalid_argument);
    REQUIRE(lock(0, 17, if_absent::create) == errc::invalid_argument);
    REQUIRE(lock(std::uint64_t{1} << 47, 0, if_absent::create) == errc::bad_address);
    REQUIRE(lock(~std::uint64_t{0}, 0, if_absent::create) == errc::bad_address);
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0x200), 1));
    REQUIRE(lock(0x1000, 0, if_absent::create) == errc::exists);
    REQUIRE(lock(0x1000, 1, if_absent::fail) == errc::ok);
}

TEST_CASE("lock_leaf: one entry at a time per table, tables independent") {
    setup_4 s;
    auto leaf = s.table.lock_leaf(s.me, virt_addr{0}, 0, if_absent::create);
    auto other = s.table.lock_leaf(s.me, virt_addr{size_2m}, 0, if_absent::create);
    REQUIRE((leaf && other));
    auto table = s.table.root();
    for (unsigned level = 3; level > 0; --level) {
        REQUIRE_FALSE(s.tables.lock(table).locked());
        table = x86_64<4>::decode(s.table.read(table, {}, level), level).target;
    }
    REQUIRE(s.tables.lock(table).locked());
    leaf->unlock();
    REQUIRE_FALSE(s.tables.lock(table).locked());
}

TEST_CASE("6.1 exit_mmap: destroy retires every table and tells the sink what was left") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0x1000}, rw_leaf(1), 0));
    REQUIRE(s.table.map(s.me, virt_addr{size_1g}, rw_leaf(0x40000), 2));
    auto const last = task_size_max(48).value - page_size;
    REQUIRE(s.table.map(s.me, virt_addr{last}, rw_leaf(3), 0));
    noting_sink sink;
    noting_flush flush;
    s.table.destroy(s.me, sink, flush);
    REQUIRE(sink.leaves.size() == 3);
    REQUIRE(flush.spans.size() == 2);
    REQUIRE_FALSE(s.table.valid());
    REQUIRE(s.tables_left() == 0);
    s.table.destroy(s.me);
    REQUIRE(s.table.map(s.me, {}, rw_leaf(1), 0).error() == errc::no_memory);
}

TEST_CASE("two address spaces share one table memory and one domain") {
    setup_4 s;
    setup_4::table_type other{s.tables};
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(1), 0));
    REQUIRE(other.map(s.me, virt_addr{0}, rw_leaf(2), 0));
    REQUIRE(s.entry(0) == rw_leaf(1));
    other.destroy(s.me);
    REQUIRE(s.entry(0) == rw_leaf(1));
    REQUIRE(s.tables_left() == 4);
}
