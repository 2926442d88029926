// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/paging/move.hpp>

#include "fixture.hpp"

using namespace paging_test;

namespace {

constexpr auto as_it_is = [](page_entry const& e) { return e; };
static_assert(EntryChange<decltype(as_it_is)>);

/// Pages 0 to 3 map frames 10 to 13.
struct four_pages : setup_4 {
    four_pages() {
        for (std::uint64_t i = 0; i < 4; ++i) put(i * page_size, 10 + i);
    }
    void put(std::uint64_t at, std::uint64_t frame, unsigned level = 0) {
        REQUIRE(table.map(me, virt_addr{at}, rw_leaf(frame), level));
    }
    errc moves(page_span from, std::uint64_t to) {
        return table.move(me, from, virt_addr{to}, as_it_is, flush).error();
    }
    noting_flush flush{};
};

/// What do the tables say at the moment of a flush?
struct asking_flush {
    setup_4& world;
    std::uint64_t source;
    std::uint64_t target;
    bool source_is_none{false};
    bool target_is_there{false};
    int calls{0};

    std::uint64_t word(std::uint64_t at) const {
        auto table = world.table.root();
        for (unsigned level = 3; level > 0; --level) {
            table = x86_64<4>::decode(world.table.read(table, virt_addr{at}, level), level).target;
        }
        return world.table.read(table, virt_addr{at}, 0);
    }
    void operator()(page_span) {
        ++calls;
        source_is_none = word(source) == 0;
        target_is_there = word(target) != 0;
    }
};

}  // namespace

TEST_CASE("move: entries come to the target in order, and leave nothing behind") {
    four_pages s;
    REQUIRE(s.moves(pages_from(0x1000, 2), size_1g) == errc::ok);
    CHECK(s.entry(0) == rw_leaf(10));
    CHECK(s.entry(0x1000).none());
    CHECK(s.entry(0x2000).none());
    CHECK(s.entry(0x3000) == rw_leaf(13));
    CHECK(s.entry(size_1g) == rw_leaf(11));
    CHECK(s.entry(size_1g + page_size) == rw_leaf(12));
    CHECK(s.flush.spans == std::vector{pages_from(0x1000, 2)});
}

TEST_CASE("move: source and target in one table, upwards and downwards") {
    four_pages s;
    REQUIRE(s.moves(pages_from(0, 4), 0x8000) == errc::ok);
    for (std::uint64_t i = 0; i < 4; ++i) CHECK(s.entry(0x8000 + i * page_size) == rw_leaf(10 + i));
    REQUIRE(s.moves(pages_from(0x8000, 4), 0x4000) == errc::ok);
    for (std::uint64_t i = 0; i < 4; ++i) CHECK(s.entry(0x4000 + i * page_size) == rw_leaf(10 + i));
    CHECK(s.entry(0x8000).none());
}

TEST_CASE("move: one source table to two target tables, and two to one") {
    four_pages s;
    auto const across = size_1g + size_2m - 2 * page_size;
    REQUIRE(s.moves(pages_from(0, 4), across) == errc::ok);
    for (std::uint64_t i = 0; i < 4; ++i) CHECK(s.entry(across + i * page_size) == rw_leaf(10 + i));
    // What left for the first target is flushed before that table's lock is given back.
    CHECK(s.flush.spans == std::vector{pages_from(0, 2), pages_from(0x2000, 2)});
    REQUIRE(s.moves(pages_from(across, 4), 0) == errc::ok);
    for (std::uint64_t i = 0; i < 4; ++i) CHECK(s.entry(i * page_size) == rw_leaf(10 + i));
}

TEST_CASE("move: the own table, then another one") {
    setup_4 s;
    auto const last = size_2m - 4 * page_size;
    for (std::uint64_t i = 0; i < 2; ++i) {
        REQUIRE(s.table.map(s.me, virt_addr{last + i * page_size}, rw_leaf(10 + i), 0));
    }
    REQUIRE(s.table.move(s.me, pages_from(last, 2), virt_addr{size_2m - page_size}, as_it_is));
    CHECK(s.entry(size_2m - page_size) == rw_leaf(10));
    CHECK(s.entry(size_2m) == rw_leaf(11));
    CHECK(s.entry(last).none());
}

TEST_CASE("6.1 mremap move: the old translation is flushed when the new entry stands") {
    four_pages s;
    asking_flush flush{s, 0x3000, size_1g + 3 * page_size};
    REQUIRE(s.table.move(s.me, pages_from(0, 4), virt_addr{size_1g}, as_it_is, flush));
    CHECK(flush.calls == 1);
    CHECK(flush.source_is_none);
    CHECK(flush.target_is_there);
}

TEST_CASE("move: what the hardware has set in the old entry is in the new one") {
    four_pages s;
    s.table.lock_leaf(s.me, virt_addr{0}, 0, if_absent::fail)->touch(access::write);
    REQUIRE(s.moves(pages_from(0, 1), size_1g) == errc::ok);
    CHECK(s.entry(size_1g).dirty);
}

TEST_CASE("move: markers move without a flush, and a change may alter entries, or forget them") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, page_entry::marker_for(1, 5), 0));
    REQUIRE(s.table.map(s.me, virt_addr{0x1000}, page_entry::marker_for(2, 6), 0));
    noting_flush flush;
    auto const change = [](page_entry e) {
        if (e.marker_type == 2) return page_entry{};
        e.marker_type = 3;
        return e;
    };
    REQUIRE(s.table.move(s.me, pages_from(0, 2), virt_addr{size_1g}, change, flush));
    CHECK(s.entry(size_1g) == page_entry::marker_for(3, 5));
    CHECK(s.entry(size_1g + page_size).none());
    CHECK(s.entry(0x1000).none());
    CHECK(flush.spans.empty());
}

TEST_CASE("move: a large leaf moves whole where both places are aligned") {
    four_pages s;
    s.put(size_2m, 512, 1);
    REQUIRE(s.moves(pages_from(0, 1024), size_1g) == errc::ok);
    CHECK(s.entry(size_1g + 3 * page_size) == rw_leaf(13));
    CHECK(s.entry(size_1g + size_2m, 1) == rw_leaf(512));
    CHECK(s.entry(size_2m, 1).none());
    CHECK(s.flush.spans.back() == pages_from(size_2m, 512));
}

TEST_CASE("move: a large leaf is split where the target is not aligned, is cut, or has a table") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(512), 1));
    SECTION("not aligned") {
        REQUIRE(
            s.table.move(s.me, pages_from(size_2m, 512), virt_addr{size_1g + page_size}, as_it_is));
        CHECK(s.entry(size_1g + page_size) == rw_leaf(512));
        CHECK(s.entry(size_1g + size_2m) == rw_leaf(1023));
    }
    SECTION("its second half moves") {
        REQUIRE(s.table.move(s.me, pages_from(size_2m + size_2m / 2, 256), virt_addr{size_1g},
                             as_it_is));
        CHECK(s.entry(size_2m) == rw_leaf(512));
        CHECK(s.entry(size_2m + size_2m / 2).none());
        CHECK(s.entry(size_1g) == rw_leaf(768));
    }
    SECTION("an empty table stands at the target") {
        REQUIRE(s.table.lock_leaf(s.me, virt_addr{size_1g}, 0, if_absent::create));
        REQUIRE(s.table.move(s.me, pages_from(size_2m, 512), virt_addr{size_1g}, as_it_is));
        CHECK(s.entry(size_1g + page_size) == rw_leaf(513));
    }
}

TEST_CASE("move: what cannot move stays, all of it") {
    SECTION("something is mapped at the target") {
        four_pages s;
        s.put(size_1g + page_size, 99);
        CHECK(s.moves(pages_from(0, 4), size_1g) == errc::exists);
        CHECK(s.entry(0) == rw_leaf(10));
        CHECK(s.entry(size_1g + page_size) == rw_leaf(99));
    }
    SECTION("no memory for a table: three for the pages, none for another target") {
        setup_4 s{5};
        REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(10), 0));
        REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(11), 0));
        CHECK(s.table.move(s.me, pages_from(0, 1024), virt_addr{size_1g}, as_it_is).error() ==
              errc::no_memory);
        CHECK(s.entry(0) == rw_leaf(10));
        CHECK(s.entry(size_2m) == rw_leaf(11));
    }
    SECTION("arguments") {
        four_pages s;
        CHECK(s.moves(pages_from(0, 4), 0x2000) == errc::invalid_argument);
        CHECK(s.moves(pages_from(0x1000, 3), 0) == errc::invalid_argument);
        CHECK(s.moves(pages_from(0, 4), size_1g + 1) == errc::invalid_argument);
        CHECK(s.moves(pages_from(0, 4), std::uint64_t{1} << 47) == errc::bad_address);
        CHECK(s.moves(pages_from(0, 0), size_1g) == errc::ok);
        CHECK(s.entry(0) == rw_leaf(10));
        CHECK(s.flush.spans.empty());
    }
}

TEST_CASE("move: works in constant evaluation, too") {
    using domain = hazard_domain<constexpr_machine>;
    using tables = host_tables<x86_64<4>, domain>;
    constexpr auto moved = [] {
        tables memory{page_count{16}, pfn{0x100}};
        domain all;
        cpu<domain> me{all};
        page_table<x86_64<4>, tables> table{memory};
        auto done = table.map(me, virt_addr{0}, page_entry::leaf_to(pfn{7}, prot::rw), 0);
        if (done) {
            done = table.move(me, *page_span::from(virt_addr{0}, page_count{1}), virt_addr{size_1g},
                              as_it_is);
        }
        pfn found{};
        {
            auto const there = table.lock_leaf(me, virt_addr{size_1g}, 0, if_absent::fail);
            if (done && there) found = there->read().target;
        }
        table.destroy(me);
        (void)all.reclaim(me.record());
        return found;
    }();
    STATIC_REQUIRE(moved == pfn{7});
}
