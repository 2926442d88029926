// SPDX-License-Identifier: BSL-1.0
#include <mmhold/paging/unmap.hpp>

#include "fixture.hpp"
#include "support/catch.hpp"

#include <algorithm>

using namespace paging_test;

namespace {

static_assert(LeafSink<noting_sink> && !GatheringSink<noting_sink>);
static_assert(GatheringSink<small_sink>);
static_assert(!LeafSink<int>);

void map_pages(setup_4& s, std::uint64_t start, std::uint64_t pages, std::uint64_t frame) {
    for (std::uint64_t i = 0; i < pages; ++i) {
        REQUIRE(s.table.map(s.me, virt_addr{start + i * page_size}, rw_leaf(frame + i), 0));
    }
}

}  // namespace

TEST_CASE("6.1 munmap: every leaf of the range goes to the sink, in order, and none outside") {
    setup_4 s;
    map_pages(s, 0x10000, 6, 100);
    noting_sink sink;
    REQUIRE(s.table.unmap(s.me, pages_from(0x11000, 4), sink));
    REQUIRE(sink.leaves.size() == 4);
    for (std::uint64_t i = 0; i < 4; ++i) {
        REQUIRE(sink.leaves[i].at == virt_addr{0x11000 + i * page_size});
        REQUIRE(sink.leaves[i].entry == rw_leaf(101 + i));
        REQUIRE(sink.leaves[i].level == 0);
    }
    REQUIRE(s.entry(0x10000) == rw_leaf(100));
    REQUIRE(s.entry(0x11000).none());
    REQUIRE(s.entry(0x15000) == rw_leaf(105));
}

TEST_CASE("6.1 munmap: one flush for what the hardware could have cached") {
    setup_4 s;
    map_pages(s, 0x10000, 2, 100);
    REQUIRE(s.table.map(s.me, virt_addr{0x12000}, page_entry::marker_for(1, 7), 0));
    REQUIRE(s.table.map(s.me, virt_addr{0x13000}, page_entry::leaf_to(pfn{9}, prot::none), 0));
    noting_sink sink;
    noting_flush flush;
    REQUIRE(s.table.unmap(s.me, pages_from(0, 512), sink, flush));
    REQUIRE(sink.leaves.size() == 4);
    REQUIRE(sink.leaves[2].entry.is_marker());
    REQUIRE(flush.spans == std::vector{pages_from(0x10000, 2)});
}

TEST_CASE("6.1 munmap: nothing mapped, nothing flushed, no table needed") {
    setup_4 s;
    noting_sink sink;
    noting_flush flush;
    REQUIRE(s.table.unmap(s.me, bytes_from(0, std::uint64_t{1} << 46), sink, flush));
    REQUIRE(sink.leaves.empty());
    REQUIRE(flush.spans.empty());
    REQUIRE(s.tables.in_use() == 1);
    REQUIRE(s.table.unmap(s.me, page_span{}, sink, flush));
}

TEST_CASE("6.1 munmap: pages are released after the flush, a full batch is flushed on the way") {
    setup_4 s;
    map_pages(s, 0x10000, 5, 100);
    diary events;
    small_sink sink{events, 2};
    diary_flush flush{events};
    REQUIRE(s.table.unmap(s.me, pages_from(0x10000, 5), sink, flush));
    REQUIRE(events == diary{"removed", "removed", "flush", "release", "removed", "removed", "flush",
                            "release", "removed", "flush", "release"});
    REQUIRE(sink.released == 5);
}

TEST_CASE("6.1 munmap: a full batch of markers needs no flush to be released") {
    setup_4 s;
    for (std::uint64_t i = 0; i < 3; ++i) {
        REQUIRE(s.table.map(s.me, virt_addr{i * page_size}, page_entry::marker_for(1, i), 0));
    }
    diary events;
    small_sink sink{events, 1};
    diary_flush flush{events};
    REQUIRE(s.table.unmap(s.me, pages_from(0, 3), sink, flush));
    REQUIRE(events == diary{"removed", "release", "removed", "release", "removed", "release"});
}

TEST_CASE("6.1 munmap: the batch is flushed before the table's lock is given back") {
    setup_4 s;
    map_pages(s, 0x10000, 3, 100);
    diary events;
    small_sink sink{events, 2};
    std::vector<bool> locked;
    auto const table = s.table.lock_leaf(s.me, virt_addr{0x10000}, 0, if_absent::fail)->read();
    REQUIRE(table == rw_leaf(100));
    auto const flush = [&](page_span) {
        auto at = s.table.root();
        for (unsigned level = 3; level > 0; --level) {
            at = x86_64<4>::decode(s.table.read(at, virt_addr{0x10000}, level), level).target;
        }
        locked.push_back(s.tables.lock(at).locked());
    };
    REQUIRE(s.table.unmap(s.me, pages_from(0x10000, 3), sink, flush));
    REQUIRE(locked == std::vector{true, false});
}

TEST_CASE("unmap: large leaves inside the range go whole") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x200), 1));
    REQUIRE(s.table.map(s.me, virt_addr{size_1g}, rw_leaf(0x40000), 2));
    map_pages(s, size_2m - page_size, 1, 5);
    noting_sink sink;
    REQUIRE(s.table.unmap(s.me, bytes_from(0, 2 * size_1g), sink));
    REQUIRE(sink.leaves.size() == 3);
    REQUIRE(sink.leaves[0].level == 0);
    REQUIRE(sink.leaves[1].level == 1);
    REQUIRE(sink.leaves[1].entry == rw_leaf(0x200));
    REQUIRE(sink.leaves[2].level == 2);
    REQUIRE(sink.leaves[2].at == virt_addr{size_1g});
}

TEST_CASE("unmap: a leaf that reaches over an end is split and keeps the rest") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x200), 1));
    noting_sink sink;
    REQUIRE(s.table.unmap(s.me, pages_from(size_2m + 0x3000, 2), sink));
    REQUIRE(sink.leaves.size() == 2);
    REQUIRE(sink.leaves[0].entry == rw_leaf(0x203));
    REQUIRE(s.entry(size_2m + 0x2000) == rw_leaf(0x202));
    REQUIRE(s.entry(size_2m + 0x3000).none());
    REQUIRE(s.entry(size_2m + 0x5000) == rw_leaf(0x205));
    REQUIRE(s.entry(size_2m + size_2m - page_size) == rw_leaf(0x200 + 511));
}

TEST_CASE("unmap: one page out of a 1 GiB leaf splits twice") {
    setup_4 s;
    REQUIRE(s.table.map(s.me, virt_addr{0}, rw_leaf(0), 2));
    noting_sink sink;
    REQUIRE(s.table.unmap(s.me, pages_from(5 * size_2m + 0x1000, 1), sink));
    REQUIRE(sink.leaves.size() == 1);
    REQUIRE(sink.leaves[0].entry == rw_leaf(5 * 512 + 1));
    REQUIRE(s.entry(4 * size_2m, 1) == rw_leaf(4 * 512));
    REQUIRE(s.entry(5 * size_2m) == rw_leaf(5 * 512));
}

TEST_CASE("unmap: no memory to split with leaves everything mapped") {
    setup_4 s{4};
    map_pages(s, 0, 1, 1);
    REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x200), 1));
    noting_sink sink;
    noting_flush flush;
    auto const span = pages_from(0, 512 + 3);
    REQUIRE(s.table.unmap(s.me, span, sink, flush).error() == errc::no_memory);
    REQUIRE(sink.leaves.empty());
    REQUIRE(flush.spans.empty());
    REQUIRE(s.entry(0) == rw_leaf(1));
    REQUIRE(s.entry(size_2m, 1) == rw_leaf(0x200));
}

TEST_CASE("unmap: a large leaf that appears across the end meanwhile is split then") {
    setup_4 s;
    map_pages(s, 0, 1, 1);
    // The sink of the first page stands for somebody else who holds the mm lock shared.
    bool mapped = false;
    noting_sink sink;
    auto const intruder = [&](virt_addr at, page_entry const& entry, unsigned level) {
        sink(at, entry, level);
        if (std::exchange(mapped, true)) return;
        REQUIRE(s.table.map(s.me, virt_addr{size_2m}, rw_leaf(0x200), 1));
    };
    REQUIRE(s.table.unmap(s.me, pages_from(0, 512 + 3), intruder));
    REQUIRE(sink.leaves.size() == 4);
    REQUIRE(sink.leaves[3].entry == rw_leaf(0x202));
    REQUIRE(s.entry(size_2m + 0x3000) == rw_leaf(0x203));
}

TEST_CASE("unmap: ranges beyond user space are bad addresses") {
    setup_4 s;
    noting_sink sink;
    auto const end = task_size_max(48);
    REQUIRE(s.table.unmap(s.me, pages_from(end.value - page_size, 1), sink));
    REQUIRE(s.table.unmap(s.me, pages_from(end.value - page_size, 2), sink).error() ==
            errc::bad_address);
    REQUIRE(s.table.unmap(s.me, pages_from(0xffff'8000'0000'0000, 1), sink).error() ==
            errc::bad_address);
}

TEST_CASE("unmap: dirty set by the hardware reaches the sink") {
    setup_4 s;
    map_pages(s, 0, 1, 1);
    s.table.lock_leaf(s.me, virt_addr{0}, 0, if_absent::fail)->touch(access::write);
    noting_sink sink;
    REQUIRE(s.table.unmap(s.me, pages_from(0, 1), sink));
    REQUIRE(sink.leaves.at(0).entry.dirty);
}
