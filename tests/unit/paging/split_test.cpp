// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/split.hpp>

#include "fixture.hpp"
#include "meddling_tables.hpp"
#include "support/catch.hpp"

using namespace paging_test;
using format = x86_64<4>;

namespace {

page_entry worn_leaf(std::uint64_t frame) {
    auto leaf = rw_leaf(frame);
    leaf.dirty = leaf.soft_dirty = true;
    leaf.pkey = 3;
    leaf.cache = 5;
    return leaf;
}

}  // namespace

TEST_CASE("6.1 THP PMD split: a 2 MiB leaf becomes 512 leaves of the same frames") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, worn_leaf(0x400), 1));
    noting_flush flush;
    REQUIRE(s.table.split(s.me, virt_addr{size_2m + 0x5123}, flush));
    REQUIRE(flush.spans == std::vector{bytes_from(size_2m, size_2m)});
    for (std::uint64_t page : {0U, 1U, 5U, 511U}) {
        REQUIRE(s.entry(size_2m + page * page_size) == worn_leaf(0x400 + page));
    }
    REQUIRE(s.entry(size_2m, 1).is_table());
    REQUIRE(s.entry(0).none());
}

TEST_CASE("6.1 a 1 GiB leaf splits into 2 MiB leaves, and one of these further") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{size_1g}, worn_leaf(0x40000), 2));
    REQUIRE(s.table.split(s.me, virt_addr{size_1g}));
    REQUIRE(s.entry(size_1g + 3 * size_2m, 1) == worn_leaf(0x40000 + 3 * 512));
    REQUIRE(s.table.split(s.me, virt_addr{size_1g + 3 * size_2m}));
    REQUIRE(s.entry(size_1g + 3 * size_2m + 7 * page_size) == worn_leaf(0x40000 + 3 * 512 + 7));
    REQUIRE(s.entry(size_1g + 4 * size_2m, 1) == worn_leaf(0x40000 + 4 * 512));
}

TEST_CASE("6.1 split: the leaf is invalid for the hardware while it is flushed") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0x200), 1));
    auto& t = s.table;
    page_entry during;
    auto const look = [&](page_span) {
        auto at = t.root();
        for (unsigned level : {3U, 2U}) at = format::decode(t.read(at, {}, level), level).target;
        during = format::decode(t.read(at, {}, 1), 1);
    };
    REQUIRE(t.split(s.me, virt_addr{0}, look));
    REQUIRE(during.is_leaf());
    REQUIRE(during.invalidated);
    REQUIRE_FALSE(during.present());
    REQUIRE_FALSE(s.entry(0).invalidated);
}

TEST_CASE("6.1 split: dirty set by the hardware at the last moment is not lost") {
    setup_4 s;
    auto global = rw_leaf(0x200);
    global.global = true;
    REQUIRE(s.table.map(s.me, virt_addr{0}, global, 1));
    {
        auto leaf = *s.table.lock_leaf(s.me, virt_addr{0}, 1, if_absent::fail);
        leaf.touch(access::write);
    }
    REQUIRE(s.table.split(s.me, virt_addr{0}));
    REQUIRE(s.entry(0x3000).dirty);
    REQUIRE(s.entry(0x3000).global);
}

TEST_CASE("6.1 split: dirty set by the hardware at any moment of it is not lost") {
    auto happened = true;
    for (int moment = 1; happened; ++moment) {
        meddled m;
        REQUIRE(m.table.map(m.me, virt_addr{0}, rw_leaf(0x200), 1));
        auto dirtied = false;
        m.tables.before_entry(moment, [&] {
            auto table = m.table.root();
            for (unsigned level = 3; level > 0; --level) {
                auto const entry = format::decode(m.table.read(table, {}, level), level);
                if (!entry.present()) return;
                if (entry.is_leaf()) {
                    auto& word = m.tables.entry(table, 0);
                    (void)word.fetch_or(format::used_bits(access::write), relaxed);
                    dirtied = true;
                    return;
                }
                table = entry.target;
            }
        });
        REQUIRE(m.table.split(m.me, virt_addr{0}));
        happened = m.tables.happened();
        CAPTURE(moment);
        for (std::uint64_t page : {0U, 100U, 511U}) {
            REQUIRE(m.entry(page * page_size).dirty == dirtied);
        }
    }
}

TEST_CASE("split: a PROT_NONE leaf needs no flush and stays PROT_NONE") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, page_entry::leaf_to(pfn{0x200}, prot::none), 1));
    noting_flush flush;
    REQUIRE(s.table.split(s.me, virt_addr{0}, flush));
    REQUIRE(flush.spans.empty());
    REQUIRE(s.entry(0x1000) == page_entry::leaf_to(pfn{0x201}, prot::none));
}

TEST_CASE("split: what cannot be split says why") {
    setup_4 s;
    REQUIRE(s.table.split(s.me, virt_addr{0}).error() == errc::bad_address);
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(1), 0));
    REQUIRE(s.table.split(s.me, virt_addr{0}).error() == errc::invalid_argument);
    REQUIRE(s.table.split(s.me, virt_addr{0x1000}).error() == errc::bad_address);
    REQUIRE(s.table.map(s.me, virt_addr{0x2000}, page_entry::marker_for(1, 2), 0));
    REQUIRE(s.table.split(s.me, virt_addr{0x2000}).error() == errc::not_supported);
    REQUIRE(s.table.split(s.me, virt_addr{std::uint64_t{1} << 47}).error() == errc::bad_address);
    REQUIRE(s.table.split(s.me, virt_addr{~std::uint64_t{0}}).error() == errc::bad_address);
}

TEST_CASE("split: exhausted table memory changes nothing") {
    setup_4 s{3};
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0x200), 1));
    noting_flush flush;
    REQUIRE(s.table.split(s.me, virt_addr{0}, flush).error() == errc::no_memory);
    REQUIRE(flush.spans.empty());
    REQUIRE(s.entry(0, 1) == rw_leaf(0x200));
    REQUIRE(s.tables.in_use() == 3);
}

TEST_CASE("split_leaf: a leaf that somebody else split or removed is success, and nothing leaks") {
    setup_4 s;
    no_flush flush;
    auto const before = s.tables.in_use();
    REQUIRE(split_leaf(s.table.tree(), s.me, virt_addr{0}, 1, flush));
    REQUIRE(s.tables.in_use() == before);
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(1), 0));
    auto const mapped = s.tables.in_use();
    REQUIRE(split_leaf(s.table.tree(), s.me, virt_addr{0}, 1, flush));
    REQUIRE(s.tables.in_use() == mapped);
    REQUIRE(s.entry(0) == rw_leaf(1));
}

TEST_CASE("split_across: only a leaf on both sides is split, as far as needed") {
    setup_4 s;
    no_flush flush;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0), 2));
    auto const& tree = s.table.tree();
    REQUIRE(split_across(tree, s.me, virt_addr{0}, flush));
    REQUIRE(split_across(tree, s.me, virt_addr{size_1g}, flush));
    REQUIRE(s.entry(0, 2).is_leaf());
    REQUIRE(split_across(tree, s.me, virt_addr{size_2m}, flush));
    REQUIRE(s.entry(0, 2).is_table());
    REQUIRE(s.entry(0, 1).is_leaf());
    REQUIRE(split_across(tree, s.me, virt_addr{size_2m + 0x1000}, flush));
    REQUIRE(s.entry(0, 1).is_leaf());
    REQUIRE(s.entry(size_2m, 1).is_table());
}

TEST_CASE("piece_of: each piece has its own frames and the rights of the whole") {
    auto whole = worn_leaf(512 * 512);
    whole.invalidated = true;
    REQUIRE(piece_of<format>(whole, 2, 0) == worn_leaf(512 * 512));
    REQUIRE(piece_of<format>(whole, 2, 3) == worn_leaf(512 * 512 + 3 * 512));
    REQUIRE(piece_of<format>(whole, 1, 3) == worn_leaf(512 * 512 + 3));
}

TEST_CASE("crosses: an entry with pages outside of the span") {
    auto const span = pages_from(size_2m, 512);
    REQUIRE_FALSE(crosses<format>(virt_addr{size_2m}, 1, span));
    REQUIRE_FALSE(crosses<format>(virt_addr{size_2m + 0x3000}, 0, span));
    REQUIRE(crosses<format>(virt_addr{size_2m}, 2, span));
    REQUIRE(crosses<format>(virt_addr{size_2m}, 1, pages_from(size_2m, 511)));
    REQUIRE(crosses<format>(virt_addr{size_2m}, 1, pages_from(size_2m + 0x1000, 512)));
}
