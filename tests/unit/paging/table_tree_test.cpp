// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/table_tree.hpp>

#include "fixture.hpp"
#include "meddling_tables.hpp"
#include "support/catch.hpp"
#include "support/last_words.hpp"
#include "support/together.hpp"

#include <boost/atomic/atomic.hpp>

using namespace paging_test;
using format = x86_64<4>;
using tables_type = host_tables<format, test_domain>;
using tree_type = table_tree<format, tables_type>;

static_assert(!std::is_copy_constructible_v<tree_type>);

namespace {

/// The PTE table for address 0 becomes empty, is taken away and its memory used again.
void take_away(meddled& m) {
    auto const outcome = m.table.reclaim_empty(m.other, virt_addr{0});
    REQUIRE(outcome);
    (void)m.domain.reclaim(m.other.record());
}

void map_and_unmap(meddled& m) {
    REQUIRE(m.table.map(m.me, virt_addr{0x1000}, rw_leaf(1), 0));
    REQUIRE(m.table.unmap(m.me, pages_from(0x1000, 1), ignore_leaves{}));
}

}  // namespace

TEST_CASE("table_tree: the root is a table of the highest level") {
    setup_4 s;
    auto const& tree = s.table.tree();
    REQUIRE(tree.valid());
    REQUIRE(s.tables.contains(tree.root()));
    auto const lowest = tree.lock_lowest(s.me, virt_addr{0});
    REQUIRE(lowest.table() == tree.root());
    REQUIRE(lowest.level() == 3);
}

TEST_CASE("table_tree: no memory for a root") {
    tables_type tables{page_count{1}};
    auto const taken = *tables.allocate(0);
    test_domain domain;
    test_cpu me{domain};
    {
        tree_type tree{tables};
        REQUIRE_FALSE(tree.valid());
        REQUIRE(tree.admit(me, virt_addr{0}).error() == errc::no_memory);
        REQUIRE(tree.admit(me, pages_from(0, 1)).error() == errc::no_memory);
    }
    tables.release(taken);
}

TEST_CASE("table_tree: lock_at creates what is missing, once") {
    setup_4 s;
    auto const& tree = s.table.tree();
    REQUIRE(tree.lock_at(s.me, {}, 0, if_absent::fail).error() == errc::bad_address);
    REQUIRE(s.tables.in_use() == 1);
    for (unsigned level = 3; level > 0; --level) {
        auto const locked = tree.lock_at(s.me, {}, level - 1, if_absent::create);
        REQUIRE(locked);
        REQUIRE(locked->level() == level - 1);
        REQUIRE(s.tables.in_use() == 5 - level);
    }
    REQUIRE(tree.lock_at(s.me, {}, 0, if_absent::create));
    REQUIRE(tree.lock_at(s.me, {}, 0, if_absent::fail));
    REQUIRE(s.tables.in_use() == 4);
}

TEST_CASE("table_tree: a failed lock_at leaves nothing locked and loses no table") {
    setup_4 s{3};
    auto const& tree = s.table.tree();
    REQUIRE(tree.lock_at(s.me, {}, 0, if_absent::create).error() == errc::no_memory);
    REQUIRE(s.tables.in_use() == 3);
    for (std::uint64_t i = 0; i < 3; ++i) REQUIRE_FALSE(s.tables.lock(pfn{0x100 + i}).locked());
    REQUIRE(s.table.map(s.me, {}, rw_leaf(0x200), 1));
    REQUIRE(tree.lock_at(s.me, {}, 0, if_absent::create).error() == errc::exists);
    for (std::uint64_t i = 0; i < 3; ++i) REQUIRE_FALSE(s.tables.lock(pfn{0x100 + i}).locked());
}

TEST_CASE("table_tree: exhaustion frees what waits for its readers before it says no_memory") {
    setup_4 s{4};
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(1), 0));
    REQUIRE(s.table.unmap(s.me, pages_from(0, 1), ignore_leaves{}));
    REQUIRE(*s.table.reclaim_empty(s.me, virt_addr{0}) == table_reclaim::reclaimed);
    REQUIRE(s.tables.in_use() == 4);
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(2), 0));
    REQUIRE(s.tables.in_use() == 4);
}

TEST_CASE("6.2 #20 two faults create the same table: the slower one gives its own back") {
    meddled m;
    m.tables.before_allocate(1, [&] { REQUIRE(m.table.map(m.other, {}, rw_leaf(7), 0)); });
    auto const leaf = m.table.lock_leaf(m.me, virt_addr{0}, 0, if_absent::create);
    REQUIRE(m.tables.happened());
    REQUIRE(leaf);
    REQUIRE(leaf->read() == rw_leaf(7));
    REQUIRE(m.tables.in_use() == 4);
}

TEST_CASE("6.2 #20 a large leaf appears while the table for small ones is allocated") {
    meddled m;
    REQUIRE(m.table.map(m.me, virt_addr{size_2m}, rw_leaf(1), 0));
    m.tables.before_allocate(1, [&] { REQUIRE(m.table.map(m.other, {}, rw_leaf(0x200), 1)); });
    auto const leaf = m.table.lock_leaf(m.me, virt_addr{0}, 0, if_absent::create);
    REQUIRE(m.tables.happened());
    REQUIRE(leaf.error() == errc::exists);
    REQUIRE(m.tables.in_use() == 4);
}

TEST_CASE("6.2 #20 somebody maps the same page at any moment of a fault") {
    auto happened = true;
    for (int moment = 1; happened; ++moment) {
        meddled m;
        m.tables.before_free_entry(moment,
                                   [&] { REQUIRE(m.table.map(m.other, {}, rw_leaf(7), 0)); });
        {
            auto leaf = m.table.lock_leaf(m.me, virt_addr{0x1000}, 0, if_absent::create);
            happened = m.tables.happened();
            CAPTURE(moment);
            REQUIRE(leaf);
            leaf->set(rw_leaf(8));
        }
        REQUIRE(m.tables.in_use() == 4);
        REQUIRE(m.entry(0) == (happened ? rw_leaf(7) : page_entry{}));
        REQUIRE(m.entry(0x1000) == rw_leaf(8));
    }
}

TEST_CASE("6.2 #29 the table is taken away at any moment of a fault") {
    auto happened = true;
    auto moment = 1;
    for (; happened; ++moment) {
        meddled m;
        map_and_unmap(m);
        m.tables.before_free_entry(moment, [&] { take_away(m); });
        {
            auto leaf = m.table.lock_leaf(m.me, virt_addr{0}, 0, if_absent::create);
            happened = m.tables.happened();
            CAPTURE(moment);
            REQUIRE(leaf);
            leaf->set(rw_leaf(2));
        }
        REQUIRE(m.entry(0) == rw_leaf(2));
    }
    // Three levels down, each read twice, the re-check comes with the lock held.
    REQUIRE(moment > 6);
}

TEST_CASE("6.2 #29 the table is taken away right before its lock is taken") {
    meddled m;
    map_and_unmap(m);
    m.tables.before_lock(1, [&] { take_away(m); });
    auto const leaf = m.table.lock_leaf(m.me, virt_addr{0}, 0, if_absent::fail);
    REQUIRE(m.tables.happened());
    REQUIRE(leaf.error() == errc::bad_address);
}

TEST_CASE("6.2 #29 taken away and replaced by another table at the same place") {
    meddled m;
    map_and_unmap(m);
    m.tables.before_lock(1, [&] {
        take_away(m);
        REQUIRE(m.table.map(m.other, virt_addr{0}, rw_leaf(5), 0));
    });
    auto const leaf = m.table.lock_leaf(m.me, virt_addr{0}, 0, if_absent::fail);
    REQUIRE(m.tables.happened());
    REQUIRE(leaf);
    REQUIRE(leaf->read() == rw_leaf(5));
}

TEST_CASE("6.2 #29 a large leaf is split at any moment of a visit") {
    auto happened = true;
    for (int moment = 1; happened; ++moment) {
        meddled m;
        REQUIRE(m.table.map(m.me, virt_addr{0}, rw_leaf(0x200), 1));
        m.tables.before_free_entry(moment,
                                   [&] { REQUIRE(m.table.split(m.other, virt_addr{0})); });
        noting_sink sink;
        REQUIRE(m.table.visit(m.me, pages_from(0x3000, 1), sink));
        happened = m.tables.happened();
        CAPTURE(moment);
        REQUIRE(sink.leaves.size() == 1);
        REQUIRE(sink.leaves[0].entry == (sink.leaves[0].level == 0 ? rw_leaf(0x203)
                                                                   : rw_leaf(0x200)));
    }
}

TEST_CASE("6.2 #29 a table appears right before the one above it is locked") {
    meddled m;
    REQUIRE(m.table.map(m.me, virt_addr{size_2m}, rw_leaf(1), 0));
    m.tables.before_lock(1, [&] { REQUIRE(m.table.map(m.other, {}, rw_leaf(5), 0)); });
    auto const leaf = m.table.lock_leaf(m.me, virt_addr{0}, 0, if_absent::fail);
    REQUIRE(m.tables.happened());
    REQUIRE(leaf);
    REQUIRE(leaf->read() == rw_leaf(5));
}

TEST_CASE("table_tree: locks are not taken inside a section, and a tree is destroyed properly") {
    setup_4 s;
    auto const inside = mmhold_test::last_words([&] {
        irq_section section{s.me};
        (void)s.table.lock_leaf(s.me, {}, 0, if_absent::create);
    });
    REQUIRE(inside.died);
    REQUIRE(inside.words.find("inside a section") != std::string::npos);
    auto const leaked = mmhold_test::last_words([&] { tree_type forgotten{s.tables}; });
    REQUIRE(leaked.died);
    REQUIRE(leaked.words.find("destroy()") != std::string::npos);
    auto const leaf = mmhold_test::last_words([&] {
        auto const root = s.table.tree().lock_lowest(s.me, {});
        (void)s.table.tree().lock_child(root, 0);
    });
    REQUIRE(leaf.died);
}

TEST_CASE("6.2 #20 #29 threads fault and unmap around each other's tables") {
    setup_4 s{256};
    constexpr std::uint64_t rounds = 3000;
    boost::atomic<std::uint64_t> mapped{0};
    boost::atomic<std::uint64_t> removed{0};
    boost::atomic<std::uint64_t> seen{0};
    boost::atomic<bool> done{false};

    // All in the same two PTE tables, so that each is empty, unlinked and rebuilt all the time.
    auto const fault = [&](std::uint64_t who) {
        test_cpu me{s.domain};
        for (std::uint64_t i = 0; i < rounds; ++i) {
            auto const at = virt_addr{(i % 2) * size_2m + who * page_size};
            auto leaf = s.table.lock_leaf(me, at, 0, if_absent::create);
            if (!leaf) __builtin_trap();
            if (!leaf->read().none()) __builtin_trap();
            leaf->set(rw_leaf(1 + who));
            leaf->unlock();
            (void)mapped.fetch_add(1);
            auto const count = [&](virt_addr, page_entry const& e, unsigned) {
                if (e.target != pfn{1 + who}) __builtin_trap();
                (void)removed.fetch_add(1);
            };
            if (!s.table.unmap(me, pages_from(at.value, 1), count)) __builtin_trap();
            if (!s.table.reclaim_empty(me, at)) __builtin_trap();
        }
    };
    auto const reader = [&] {
        test_cpu me{s.domain};
        while (!done.load()) {
            irq_section inside{me};
            auto table = s.table.root();
            unsigned level = 3;
            for (; level > 0; --level) {
                auto const word = s.table.read(table, {}, level);
                auto const entry = format::decode(word, level);
                if (!entry.is_table()) break;
                inside.protect(level - 1, entry.target.value);
                if (s.table.read(table, {}, level) != word) break;
                table = entry.target;
            }
            if (level != 0) continue;
            for (unsigned index = 0; index < 4; ++index) {
                auto const entry = format::decode(s.table.read_entry(table, index), 0);
                if (entry.none()) continue;
                if (entry.target != pfn{1 + index}) __builtin_trap();
                (void)seen.fetch_add(1);
            }
        }
    };
    mmhold_test::in_threads(
        [&] {
            mmhold_test::in_threads([&] { fault(0); }, [&] { fault(1); }, [&] { fault(2); });
            done.store(true);
        },
        reader);
    REQUIRE(mapped == 3 * rounds);
    REQUIRE(removed == mapped);
    REQUIRE(s.entry(0).none());
}
