// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/table_guard.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"
#include "support/last_words.hpp"

#include <type_traits>
#include <utility>

using namespace paging_test;
using format = x86_64<4>;
using tables_type = host_tables<format, test_domain>;
using guard_type = table_guard<format, tables_type>;

static_assert(!std::is_copy_constructible_v<guard_type>);
static_assert(!std::is_copy_assignable_v<guard_type>);
static_assert(std::is_nothrow_move_constructible_v<guard_type>);
static_assert(!std::is_copy_constructible_v<leaf_guard<format, tables_type>>);
static_assert(std::is_nothrow_move_constructible_v<leaf_guard<format, tables_type>>);

namespace {

struct one_table {
    tables_type tables{page_count{2}};
    pfn name{*tables.allocate(0)};
    ~one_table() { tables.release(name); }
};

}  // namespace

TEST_CASE("table_guard holds the lock until it ends, is moved from, or is told") {
    one_table t;
    auto& lock = t.tables.lock(t.name);
    {
        guard_type first{t.tables, t.name, 0};
        REQUIRE(lock.locked());
        REQUIRE(first.holding());
        auto second = std::move(first);
        REQUIRE_FALSE(first.holding());  // NOLINT(bugprone-use-after-move)
        REQUIRE(second.holding());
        REQUIRE(lock.locked());
        second.unlock();
        REQUIRE_FALSE(lock.locked());
        second.unlock();
        second = guard_type{t.tables, t.name, 0};
        REQUIRE(lock.locked());
    }
    REQUIRE_FALSE(lock.locked());
}

TEST_CASE("table_guard: assignment gives the old lock back first") {
    tables_type tables{page_count{2}};
    auto const a = *tables.allocate(0);
    auto const b = *tables.allocate(1);
    {
        guard_type guard{tables, a, 0};
        guard = guard_type{tables, b, 1};
        REQUIRE_FALSE(tables.lock(a).locked());
        REQUIRE(tables.lock(b).locked());
        REQUIRE(guard.level() == 1);
        REQUIRE(guard.table() == b);
    }
    tables.release(a);
    tables.release(b);
}

TEST_CASE("table_guard: set, read, exchange, clear") {
    one_table t;
    guard_type guard{t.tables, t.name, 0};
    REQUIRE(guard.empty());
    REQUIRE(guard.none(3));
    guard.set(3, rw_leaf(9));
    REQUIRE(guard.read(3) == rw_leaf(9));
    REQUIRE_FALSE(guard.none(3));
    REQUIRE_FALSE(guard.empty());
    REQUIRE(guard.exchange(3, rw_leaf(10)) == rw_leaf(9));
    REQUIRE(guard.clear(3) == rw_leaf(10));
    REQUIRE(guard.empty());
}

TEST_CASE("table_guard: install writes only over none") {
    one_table t;
    guard_type guard{t.tables, t.name, 0};
    REQUIRE(guard.install(0, rw_leaf(1)));
    REQUIRE_FALSE(guard.install(0, rw_leaf(2)));
    REQUIRE(guard.read(0) == rw_leaf(1));
}

TEST_CASE("table_guard: the last entry makes a table not empty") {
    one_table t;
    guard_type guard{t.tables, t.name, 0};
    guard.set(511, page_entry::marker_for(3, 4));
    REQUIRE_FALSE(guard.empty());
}

TEST_CASE("table_guard: touch marks as the hardware does") {
    one_table t;
    guard_type guard{t.tables, t.name, 0};
    auto leaf = rw_leaf(1);
    leaf.accessed = false;
    guard.set(0, leaf);
    guard.touch(0, access::read);
    REQUIRE(guard.read(0).accessed);
    REQUIRE_FALSE(guard.read(0).dirty);
    guard.touch(0, access::write);
    REQUIRE(guard.read(0).dirty);
}

TEST_CASE("table_guard: exchange answers what the hardware set meanwhile") {
    one_table t;
    guard_type guard{t.tables, t.name, 0};
    guard.set(0, rw_leaf(1));
    auto const seen = guard.read(0);
    // The hardware needs no lock.
    (void)t.tables.entry(t.name, 0).fetch_or(format::used_bits(access::write), relaxed);
    REQUIRE_FALSE(seen.dirty);
    REQUIRE(guard.clear(0).dirty);
}

TEST_CASE("table_guard: an entry that the format cannot express stops a checked program") {
    one_table t;
    guard_type guard{t.tables, t.name, 0};
    auto const end = mmhold_test::last_words([&] { guard.set(0, page_entry::table_to(pfn{1})); });
    REQUIRE(end.died);
    REQUIRE(end.words.find("cannot express") != std::string::npos);
    auto const absent = mmhold_test::last_words([&] { guard.touch(1, access::read); });
    REQUIRE(absent.died);
}

TEST_CASE("leaf_guard is one entry of a locked table") {
    one_table t;
    leaf_guard<format, tables_type> leaf{guard_type{t.tables, t.name, 0}, 7};
    REQUIRE(leaf.holding());
    REQUIRE(leaf.level() == 0);
    REQUIRE(leaf.read().none());
    leaf.set(rw_leaf(4));
    leaf.touch(access::write);
    REQUIRE(leaf.replace(rw_leaf(5)).dirty);
    REQUIRE(leaf.clear() == rw_leaf(5));
    leaf.unlock();
    REQUIRE_FALSE(leaf.holding());
    REQUIRE_FALSE(t.tables.lock(t.name).locked());
}
