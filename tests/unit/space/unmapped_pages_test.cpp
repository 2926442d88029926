// SPDX-License-Identifier: BSL-1.0
#include "small_world.hpp"

#include <mmhold/space/unmapped_pages.hpp>

#include "support/catch.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

using config = default_config<checked_host_machine>;
using sink_type = unmapped_pages<address_space<config>>;
static_assert(GatheringSink<sink_type>);

}  // namespace

TEST_CASE("6.2 row 14: a page that was unmapped is kept until release") {
    small_world<config> w;
    auto const at = w.map(1);
    auto const page = w.touch(at);
    auto leaf = *w.space->table().lock_leaf(*w.me, at, 0, if_absent::fail);
    sink_type gone{*w.space, *w.me, empty_tables::stay};
    gone(at, leaf.clear(), 0);
    leaf.unlock();
    CHECK(w.frames.ref_count(page) == 1);
    CHECK(w.frames.map_count(page) == 0);
    CHECK(w.space->resident().total() == 0);
    gone.release();
    CHECK(w.frames.ref_count(page) == 0);
    gone.release();
}

TEST_CASE("special entries and foreign frames are nobody's references") {
    small_world<config> w;
    sink_type gone{*w.space, *w.me, empty_tables::stay};
    auto entry = page_entry::leaf_to(w.frames.zero_page(), prot::r);
    entry.special = true;
    auto const before = w.frames.ref_count(w.frames.zero_page());
    gone(virt_addr{}, entry, 0);
    gone(virt_addr{}, page_entry::leaf_to(pfn{3}, prot::r), 0);
    gone(virt_addr{}, page_entry::marker_for(1, 3), 0);
    gone.release();
    CHECK(w.frames.ref_count(w.frames.zero_page()) == before);
}

TEST_CASE("what the hardware noted about a file's page is passed on, anonymous pages do not care") {
    small_world<config> w;
    for (auto const kind : {frame_kind::page_cache, frame_kind::anonymous}) {
        auto const page = *w.frames.allocate(kind);
        auto entry = page_entry::leaf_to(page, prot::rw);
        entry.dirty = true;
        w.space->note_mapped(entry, 1);
        w.frames.get(page);
        sink_type gone{*w.space, *w.me, empty_tables::stay};
        gone(virt_addr{}, entry, 0);
        gone.release();
        CHECK(w.frames.dirty(page) == (kind == frame_kind::page_cache));
        CHECK(w.frames.accessed(page) == (kind == frame_kind::page_cache));
        w.frames.put(page);
    }
}

TEST_CASE("it says when it is full") {
    small_world<config> w{128};
    auto const at = w.map(100);
    sink_type gone{*w.space, *w.me, empty_tables::stay};
    auto noted = 0;
    for (std::uint64_t i = 0; !gone.full(); ++i, ++noted) {
        w.touch(at.plus_pages(i));
        auto leaf = *w.space->table().lock_leaf(*w.me, at.plus_pages(i), 0, if_absent::fail);
        gone(at.plus_pages(i), leaf.clear(), 0);
    }
    CHECK(noted == 64);
    CHECK(w.frames.statistics().free == 64);
    gone.release();
    CHECK_FALSE(gone.full());
    CHECK(w.frames.statistics().free == 128);
}

TEST_CASE("6.2 row 29: empty tables go where that is wanted") {
    small_world<config> w;
    auto const at = virt_addr{std::uint64_t{1} << 30U};
    w.map_at(at, 1);
    for (auto const wish : {empty_tables::stay, empty_tables::go}) {
        w.touch(at);
        auto const tables = w.tables.in_use();
        auto leaf = *w.space->table().lock_leaf(*w.me, at, 0, if_absent::fail);
        sink_type gone{*w.space, *w.me, wish};
        gone(at, leaf.clear(), 0);
        leaf.unlock();
        gone.release();
        w.domain.reclaim(w.me->record());
        CHECK(w.tables.in_use() == (wish == empty_tables::go ? tables - 1 : tables));
    }
}
