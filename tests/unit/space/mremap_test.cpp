// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/mremap.hpp>

#include "object_world.hpp"
#include "small_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

constexpr mremap_flags anywhere{mremap_flag::may_move};
constexpr mremap_flags there{mremap_flag::may_move, mremap_flag::fixed};
constexpr mremap_flags keeping{mremap_flag::may_move, mremap_flag::dont_unmap};
constexpr auto keeping_there = there.with(mremap_flag::dont_unmap);

/// Answers nobody's faults.
struct idle_source : fault_source {
    explicit idle_source(source_kind kind) noexcept : fault_source{kind} {}
};

/// Places are page numbers from base on.
struct remapped : small_world<watched_config> {
    static constexpr virt_addr base{std::uint64_t{1} << 32U};
    static constexpr virt_addr at(std::uint64_t n) { return base.plus_pages(n); }
    static page_span span(std::uint64_t first, std::uint64_t count) {
        return pages_at(at(first), count);
    }
    explicit remapped(layout_limits const& limits = {}) : small_world{64, 64, limits} {}

    result<virt_addr> remap(std::uint64_t first, std::uint64_t count, std::uint64_t pages,
                            mremap_flags flags = {}, std::uint64_t to = 0) {
        return mremap(*me, *space, span(first, count), page_count{pages}, flags,
                      to == 0 ? virt_addr{} : at(to));
    }
    errc fails(std::uint64_t first, std::uint64_t count, std::uint64_t pages,
               mremap_flags flags = {}, std::uint64_t to = 0) {
        auto const before = mappings();
        auto const error = remap(first, count, pages, flags, to).error();
        CHECK(mappings() == before);
        return error;
    }
    void map_as(std::uint64_t first, std::uint64_t count, mmap_request request) {
        request.hint = at(first);
        request.pages = page_count{count};
        request.flags = request.flags.with(mmap_flag::fixed);
        REQUIRE(space->mmap(*me, request));
    }
    /// "0+4 8+2": what is mapped near base.
    std::string where() {
        std::string text;
        for (auto const& area : mappings()) {
            if (area.span.start() < base || area.span.start() >= at(1000)) continue;
            if (!text.empty()) text += ' ';
            text += std::to_string((area.span.start().value - base.value) / page_size) + '+' +
                    std::to_string(area.span.pages());
        }
        return text;
    }
    vma area_at(std::uint64_t n) {
        for (auto const& area : mappings()) {
            if (area.span.contains(at(n))) return area;
        }
        return {};
    }
};

}  // namespace

TEST_CASE("mremap: a mapping becomes shorter, and its pages go") {
    remapped w;
    w.map_at(w.at(0), 4);
    auto const kept = w.touch(w.at(0));
    w.touch(w.at(3));
    CHECK(*w.remap(0, 4, 2) == w.at(0));
    CHECK(w.where() == "0+2");
    CHECK(w.entry(w.at(0))->target == kept);
    CHECK(w.space->resident().anonymous == 1);
    CHECK(*w.remap(0, 2, 2) == w.at(0));
    CHECK(*w.remap(0, 2, 2, anywhere) == w.at(0));
    CHECK(w.where() == "0+2");
}

TEST_CASE("mremap: to shrink in place is to unmap, whatever lies behind the first page") {
    remapped w;
    w.map_at(w.at(0), 2);
    w.map_at(w.at(2), 2, prot::r);
    CHECK(*w.remap(0, 8, 3) == w.at(0));
    CHECK(w.where() == "0+2 2+1");
    CHECK(*w.remap(0, 8, 8) == w.at(0));
    CHECK(w.fails(5, 3, 1) == errc::bad_address);
    w.map_at(w.at(6), 2);
    CHECK(*w.remap(0, 6, 4) == w.at(0));
    CHECK(w.where() == "0+2 2+1 6+2");
    CHECK(*w.remap(6, 1, 1) == w.at(6));
}

TEST_CASE("mremap: a mapping grows in place, and joins the next one it meets") {
    remapped w;
    w.map_at(w.at(0), 4);
    w.touch(w.at(3));
    CHECK(*w.remap(0, 4, 6) == w.at(0));
    CHECK(w.where() == "0+6");
    CHECK(*w.remap(5, 1, 2) == w.at(5));
    CHECK(w.where() == "0+7");
    w.map_at(w.at(8), 1);
    CHECK(w.fails(0, 7, 9) == errc::no_memory);
    CHECK(*w.remap(0, 7, 8) == w.at(0));
    CHECK(w.where() == "0+9");
    CHECK(w.fails(0, 2, 3) == errc::no_memory);
}

TEST_CASE("mremap: a mapping that cannot grow in place moves, if it may") {
    remapped w;
    w.map_at(w.at(0), 4);
    w.map_at(w.at(4), 1, prot::r);
    auto const page = w.touch(w.at(2));
    auto const to = *w.remap(0, 4, 6, anywhere);
    CHECK(w.where() == "4+1");
    CHECK(w.entry(to.plus_pages(2))->target == page);
    CHECK(w.mappings().back().span == pages_at(to, 6));
    CHECK(w.space->resident().anonymous == 1);
    CHECK(w.frames.counts(page) == frame_counts{1, 0});
    CHECK(w.frames.map_count(page) == 1);
    CHECK(to == virt_addr{w.space->limits().mmap_base.value - 6 * page_size});
}

TEST_CASE("mremap: to a fixed place, over what is mapped there, with any size") {
    remapped w;
    w.map_at(w.at(0), 4);
    auto const page = w.touch(w.at(1));
    w.map_at(w.at(8), 8, prot::r);
    w.touch(w.at(9), prot::r);
    SECTION("the same size") {
        CHECK(*w.remap(0, 4, 4, there, 10) == w.at(10));
        CHECK(w.where() == "8+2 10+4 14+2");
        CHECK(w.entry(w.at(11))->target == page);
        CHECK(w.present(w.at(9)));
        CHECK(w.flush.spans.back() == w.span(1, 1));
    }
    SECTION("longer") {
        CHECK(*w.remap(0, 4, 6, there, 8) == w.at(8));
        CHECK(w.where() == "8+6 14+2");
        CHECK(w.entry(w.at(9))->target == page);
        CHECK(w.space->resident().anonymous == 1);
    }
    SECTION("shorter: the rest goes") {
        CHECK(*w.remap(0, 4, 1, there, 8) == w.at(8));
        CHECK(w.where() == "8+1 9+7");
        CHECK(w.present(w.at(9)));
        CHECK(w.space->resident().anonymous == 1);
    }
    SECTION("shorter: what goes need not be mapped") {
        CHECK(*w.remap(3, 3, 1, there, 10) == w.at(10));
        CHECK(w.where() == "0+3 8+2 10+1 11+5");
    }
    SECTION("the middle") {
        CHECK(*w.remap(1, 2, 2, there, 8) == w.at(8));
        CHECK(w.where() == "0+1 3+1 8+2 10+6");
    }
}

TEST_CASE("mremap: what is refused, with everything as it was") {
    remapped w;
    w.map_at(w.at(0), 2);
    w.map_at(w.at(2), 2, prot::r);
    w.map_at(w.at(8), 2);
    CHECK(w.fails(0, 2, 0) == errc::invalid_argument);
    CHECK(w.fails(20, 1, 1) == errc::bad_address);
    CHECK(w.fails(20, 1, 1, there, 8) == errc::bad_address);
    CHECK(w.fails(0, 4, 5) == errc::bad_address);
    CHECK(w.fails(0, 4, 5, anywhere) == errc::bad_address);
    CHECK(w.fails(0, 4, 5, there, 8) == errc::bad_address);
    CHECK(w.fails(0, 4, 3, there, 8) == errc::bad_address);
    CHECK(w.fails(0, 4, 4, keeping, 20) == errc::bad_address);
    CHECK(w.fails(0, 0, 2) == errc::invalid_argument);
    CHECK(w.fails(0, 0, 2, there, 8) == errc::invalid_argument);
    CHECK(w.fails(0, 2, 2, mremap_flag::fixed, 8) == errc::invalid_argument);
    CHECK(w.fails(0, 2, 2, mremap_flag::dont_unmap) == errc::invalid_argument);
    CHECK(w.fails(0, 2, 3, keeping, 8) == errc::invalid_argument);
    CHECK(w.fails(0, 2, 2, keeping, 1) == errc::invalid_argument);
    CHECK(w.fails(8, 2, 2, there, 8) == errc::invalid_argument);
    CHECK(w.fails(8, 1, 4, there, 5) == errc::invalid_argument);
    auto const end = w.space->limits().end;
    auto const pages = page_count{2};
    auto const beyond = virt_addr{end.value - page_size};
    CHECK(mremap(*w.me, *w.space, w.span(0, 2), pages, there, beyond).error() ==
          errc::invalid_argument);
    CHECK(mremap(*w.me, *w.space, w.span(0, 2), pages, there, w.at(8).plus(1)).error() ==
          errc::invalid_argument);
    CHECK(w.fails(0, 2, (end.value >> page_shift) + 1, anywhere) == errc::invalid_argument);
    CHECK(w.fails(2, 2, end.value >> page_shift, anywhere) == errc::no_memory);
    CHECK(w.where() == "0+2 2+2 8+2");
}

TEST_CASE("mremap: a fixed move of one size takes several mappings along, and holes stay holes") {
    remapped w;
    w.map_at(w.at(0), 2);
    w.map_at(w.at(3), 2, prot::r);
    auto const page = w.touch(w.at(4), prot::r);
    w.map_at(w.at(8), 8, protection_bit::write);
    CHECK(*w.remap(0, 6, 6, there, 9) == w.at(9));
    CHECK(w.where() == "8+1 9+2 11+1 12+2 14+2");
    CHECK(w.entry(w.at(13))->target == page);
    CHECK(w.fails(0, 2, 2, there, 20) == errc::bad_address);
    CHECK(w.fails(7, 3, 3, there, 20) == errc::bad_address);
}

TEST_CASE("mremap: a mapping that a userfaultfd watches moves alone, and is not watched any more") {
    remapped w;
    idle_source watcher{source_kind::userfault};
    w.map_at(w.at(0), 4);
    w.touch(w.at(2));
    REQUIRE(w.space->set_source(*w.me, w.span(2, 2), &watcher));
    SECTION("alone") {
        CHECK(*w.remap(2, 2, 2, there, 8) == w.at(8));
        CHECK(w.area_at(8).source == nullptr);
    }
    SECTION("an heir takes it over") {
        auto const heir = [](vma const& area) { return area.source; };
        CHECK(mremap(*w.me, *w.space, w.span(2, 2), page_count{2}, there, w.at(8), heir));
        CHECK(w.area_at(8).source == &watcher);
    }
    SECTION("other sources come along") {
        idle_source other{source_kind::blocking};
        REQUIRE(w.space->set_source(*w.me, w.span(2, 2), &other));
        CHECK(w.remap(0, 4, 4, there, 8));
        CHECK(w.area_at(10).source == &other);
    }
    SECTION("with others: those below it have moved") {
        CHECK(w.remap(0, 4, 4, there, 8).error() == errc::bad_address);
        CHECK(w.where() == "2+2 8+2");
        CHECK(w.remap(2, 3, 3, there, 8).error() == errc::bad_address);
        CHECK(w.where() == "2+2 8+2");
    }
    SECTION("it grows in place: the new pages are watched") {
        CHECK(w.remap(2, 2, 4));
        CHECK(w.area_at(5).source == &watcher);
    }
    SECTION("its pages go, it stays") {
        CHECK(w.remap(2, 2, 2, keeping, 8));
        CHECK(w.area_at(2).source == &watcher);
        CHECK(w.area_at(8).source == nullptr);
        CHECK(w.present(w.at(8)));
    }
}

TEST_CASE("mremap: what a watched mapping joins where it has moved is not watched any more") {
    remapped w;
    idle_source watcher{source_kind::userfault};
    w.map_at(w.at(10), 4);
    auto const watch = [&](std::uint64_t first, std::uint64_t count) {
        REQUIRE(w.space->set_source(*w.me, w.span(first, count), &watcher));
    };
    auto const watched = [&](std::uint64_t n) { return w.area_at(n).source == &watcher; };
    SECTION("the rest of the mapping it was moved out of") {
        watch(10, 4);
        SECTION("from below") { CHECK(w.remap(11, 1, 1, there, 9)); }
        SECTION("from above") { CHECK(w.remap(11, 1, 1, there, 14)); }
        SECTION("in its middle") { CHECK(w.remap(11, 1, 1, there, 12)); }
        CHECK_FALSE(watched(10));
        CHECK_FALSE(watched(13));
    }
    SECTION("which it leaves alone if it has gone elsewhere, or its pages tell them apart") {
        watch(10, 4);
        SECTION("elsewhere") { CHECK(w.remap(11, 1, 1, there, 20)); }
        SECTION("its pages") {
            w.touch(w.at(10));
            CHECK(w.remap(11, 1, 1, there, 9));
        }
        CHECK(watched(10));
        CHECK(watched(13));
    }
    SECTION("also if it stays as a whole") {
        watch(10, 4);
        CHECK(w.remap(11, 1, 1, keeping_there, 9));
        CHECK(w.where() == "9+5");
        CHECK_FALSE(watched(10));
    }
    SECTION("another one that is watched alike") {
        w.map_at(w.at(20), 4);
        watch(10, 4);
        watch(20, 2);
        CHECK(w.remap(11, 1, 1, there, 19));
        CHECK(w.where() == "10+1 12+2 19+3 22+2");  // and alike now, but two
        CHECK(watched(10));
        CHECK_FALSE(watched(20));
    }
    SECTION("an unwatched neighbour stays a mapping of its own") {
        w.map_at(w.at(21), 1);
        watch(10, 4);
        CHECK(w.remap(11, 1, 1, there, 20));
        CHECK(w.where() == "10+1 12+2 20+1 21+1");
    }
}

TEST_CASE("mremap: write protection for a userfaultfd does not leave its place") {
    remapped w;
    idle_source watcher{source_kind::userfault};
    w.map_at(w.at(0), 4);
    auto const page = w.touch(w.at(0));
    {
        auto leaf = w.space->table().lock_leaf(*w.me, w.at(0), 0, if_absent::fail);
        auto entry = leaf->clear();
        entry.uffd_wp = true;
        entry.writable = false;
        leaf->set(entry);
    }
    auto marker = page_entry::marker_for(static_cast<std::uint8_t>(page_marker::userfault_wp), 0);
    marker.uffd_wp = true;
    REQUIRE(w.space->table().map(*w.me, w.at(1), marker, 0));
    REQUIRE(w.space->set_source(*w.me, w.span(0, 4), &watcher));
    SECTION("nobody inherits") {
        REQUIRE(w.remap(0, 4, 4, there, 8));
        CHECK(w.entry(w.at(8))->target == page);
        CHECK_FALSE(w.entry(w.at(8))->uffd_wp);
        CHECK(w.entry(w.at(9))->none());
    }
    SECTION("somebody does") {
        auto const heir = [](vma const& area) { return area.source; };
        REQUIRE(mremap(*w.me, *w.space, w.span(0, 4), page_count{4}, there, w.at(8), heir));
        CHECK(w.entry(w.at(8))->uffd_wp);
        CHECK(w.entry(w.at(9)) == marker);
    }
}

TEST_CASE("mremap: the pages go, the mapping stays, all of it without the mark `locked`") {
    remapped w;
    w.map_at(w.at(0), 4);
    auto const page = w.touch(w.at(1));
    w.touch(w.at(3));
    REQUIRE(w.space->set_locked(*w.me, w.span(0, 4), mark_locked::yes));
    CHECK(*w.remap(1, 2, 2, keeping, 8) == w.at(8));
    CHECK(w.where() == "0+4 8+2");
    CHECK(w.entry(w.at(8))->target == page);
    CHECK_FALSE(w.present(w.at(1)));
    CHECK(w.present(w.at(3)));
    CHECK(w.area_at(8).flags.has(vma_flag::locked));
    CHECK_FALSE(w.area_at(0).flags.has(vma_flag::locked));
    CHECK(w.space->resident().anonymous == 2);
    w.map_at(w.at(16), 1, prot::r);
    CHECK(*w.remap(0, 1, 1, keeping, 16) != w.at(16));
    CHECK(*w.remap(0, 1, 1, keeping_there, 16) == w.at(16));
}

TEST_CASE("mremap: locked mappings stay locked, where they move and where they grow") {
    remapped w;
    w.map_at(w.at(0), 2);
    REQUIRE(w.space->set_locked(*w.me, w.span(0, 2), mark_locked::yes));
    REQUIRE(w.remap(0, 2, 3));
    CHECK(w.area_at(2).flags.has(vma_flag::locked));
    REQUIRE(w.remap(0, 3, 4, there, 8));
    CHECK(w.area_at(11).flags.has(vma_flag::locked));
}

TEST_CASE("mremap: what never merges cannot grow, nor leave its pages, but move and shrink") {
    remapped w;
    for (auto const flag : {vma_flag::dont_expand, vma_flag::pfnmap}) {
        REQUIRE(w.space->mmap(*w.me, {.hint = w.at(0),
                                      .pages = page_count{4},
                                      .flags = mmap_flag::fixed,
                                      .properties = flag}));
        CHECK(w.fails(0, 4, 5) == errc::bad_address);
        CHECK(w.fails(0, 4, 5, there, 8) == errc::bad_address);
        CHECK(w.fails(0, 4, 4, keeping, 8) == errc::invalid_argument);
        CHECK(*w.remap(0, 4, 2, there, 8) == w.at(8));
        CHECK(w.where() == "8+2");
        CHECK(w.area_at(8).flags.has(flag));
    }
}

TEST_CASE("mremap: written pages keep their distance, and merge where they come home") {
    remapped w;
    w.map_at(w.at(0), 4);
    SECTION("not written: it merges anywhere") {
        w.map_at(w.at(8), 2);
        REQUIRE(w.remap(8, 2, 2, there, 4));
        CHECK(w.where() == "0+6");
    }
    SECTION("written: apart from its neighbour, at home with it") {
        w.touch(w.at(2));
        REQUIRE(w.remap(2, 2, 2, there, 8));
        w.map_at(w.at(7), 1);
        CHECK(w.where() == "0+2 7+1 8+2");
        REQUIRE(w.remap(8, 2, 2, there, 20));
        REQUIRE(w.remap(20, 2, 2, there, 2));
        CHECK(w.where() == "0+4 7+1");
    }
    SECTION("its unwritten part is a part of it") {
        w.touch(w.at(0));
        w.map_at(w.at(8), 1);
        REQUIRE(w.remap(3, 1, 1, there, 9));
        CHECK(w.where() == "0+3 8+1 9+1");
    }
}

TEST_CASE("mremap: numbers of file pages move along, and may not wrap") {
    remapped w;
    auto const map = [&](std::uint64_t first_page) {
        return w.space->mmap(*w.me, {.hint = w.at(0),
                                     .pages = page_count{4},
                                     .flags = mmap_flag::fixed,
                                     .kind = vma_kind::file,
                                     .file = 7,
                                     .file_page = first_page});
    };
    REQUIRE(map(10));
    REQUIRE(w.remap(1, 2, 2, there, 8));
    CHECK(w.area_at(8).file_page == 11);
    CHECK(w.area_at(3).file_page == 13);
    REQUIRE(w.remap(3, 1, 3));
    CHECK(w.area_at(4).file_page_at(w.at(5)) == 15);
    REQUIRE(w.space->munmap(*w.me, w.span(0, 10)));
    REQUIRE(map(~std::uint64_t{0} - 5));
    CHECK(w.fails(0, 4, 6) == errc::invalid_argument);
}

TEST_CASE("mremap: swapped pages, guards and poison move as they are") {
    remapped w;
    w.map_at(w.at(0), 3);
    auto number = std::uint64_t{0};
    for (auto const type : {page_marker::guard, page_marker::poisoned, page_marker::swapped}) {
        auto const marker = page_entry::marker_for(static_cast<std::uint8_t>(type), 3);
        REQUIRE(w.space->table().map(*w.me, w.at(number), marker, 0));
        ++number;
    }
    REQUIRE(w.remap(0, 3, 3, there, 8));
    CHECK(is_guard(*w.entry(w.at(8))));
    CHECK(is_poisoned(*w.entry(w.at(9))));
    CHECK(is_swapped(*w.entry(w.at(10))));
    CHECK(slot_of(*w.entry(w.at(10))) == 3);
}

TEST_CASE("mremap: pinned pages move, and stay pinned") {
    remapped w;
    w.map_at(w.at(0), 1);
    auto const page = w.touch(w.at(0));
    REQUIRE(w.frames.try_grab(page, 1, holding::pin));
    REQUIRE(w.remap(0, 1, 1, there, 8));
    CHECK(w.entry(w.at(8))->target == page);
    CHECK(w.frames.maybe_pinned(page));
    CHECK(w.frames.exclusive(page));
    w.frames.unpin(page);
}

TEST_CASE("mremap: limits on the number of mappings leave room for what a move needs") {
    layout_limits limits;
    limits.max_map_count = 12;
    remapped w{limits};
    w.map_at(w.at(0), 4);
    auto const fill = [&](std::uint64_t number) { w.map_at(w.at(100 + 2 * number), 1); };
    for (std::uint64_t i = 1; i < 6; ++i) fill(i);
    CHECK(*w.remap(0, 4, 4, there, 8) == w.at(8));
    CHECK(*w.remap(8, 4, 4, there, 0 + 20) == w.at(20));
    fill(6);  // 7 of 12: a fixed move is refused
    CHECK(w.fails(20, 4, 4, there, 8) == errc::no_memory);
    fill(7);
    CHECK(w.remap(20, 2, 3, anywhere));
    CHECK(w.mappings().size() == 9);
    CHECK(w.fails(22, 1, 3, anywhere) == errc::no_memory);
    CHECK(*w.remap(22, 2, 3) == w.at(22));
}

TEST_CASE("mremap: after a lack of tables everything is as it was") {
    layout_limits limits;
    small_world<watched_config> w{16, 4, limits};
    auto const start = virt_addr{std::uint64_t{1} << 32U};
    w.map_at(start, 2);
    auto const page = w.touch(start);
    auto const far = start.plus(std::uint64_t{1} << 30U);
    auto const moved = mremap(*w.me, *w.space, pages_at(start, 2), page_count{2}, there, far);
    CHECK(moved.error() == errc::no_memory);
    CHECK(w.mappings().size() == 1);
    CHECK(w.entry(start)->target == page);
    CHECK(w.space->resident().anonymous == 1);
    CHECK(mremap(*w.me, *w.space, pages_at(start, 2), page_count{2}, there, start.plus_pages(100)));
}

TEST_CASE("mremap: tables that only the old place needed are freed") {
    remapped w;
    w.map_at(w.at(0), 2);
    w.touch(w.at(0));
    auto const before = w.tables.in_use();
    auto const far = w.at(0).plus(std::uint64_t{1} << 30U);
    REQUIRE(mremap(*w.me, *w.space, w.span(0, 2), page_count{2}, there, far));
    (void)w.domain.reclaim(w.me->record());
    CHECK(w.tables.in_use() == before);
}

TEST_CASE("mremap: a witness that does not hold is refused") {
    remapped w;
    w.map_at(w.at(0), 2);
    remapped other;
    auto const held = *held_exclusive<remapped::lock_type>::try_acquire(other.space->lock());
    CHECK(mremap_locked(held, *w.me, *w.space, w.span(0, 2), page_count{1}).error() ==
          errc::lock_not_held);
}

namespace {

struct shared_object : object_world {
    result<virt_addr> remap(std::uint64_t first, std::uint64_t count, std::uint64_t pages,
                            mremap_flags flags, std::uint64_t to) {
        return mremap(me, one, span(first, count), page_count{pages}, flags, at(to));
    }
};

}  // namespace

TEST_CASE("mremap: an object finds its pages at their new place") {
    shared_object w;
    w.map(w.one, 0, 2, 4);
    w.touch(w.one, 1, 3);
    REQUIRE(w.remap(0, 4, 4, there, 20));
    REQUIRE(w.mapped(w.one, 21));
    SECTION("a truncation takes them away") {
        REQUIRE(w.object.resize(w.me, 3 * page_size));
        CHECK_FALSE(w.mapped(w.one, 21));
        CHECK(w.one.resident().total() == 0);
    }
    SECTION("pages in front of the end stay") {
        REQUIRE(w.object.resize(w.me, 4 * page_size));
        CHECK(w.mapped(w.one, 21));
    }
    SECTION("a middle moves out of it: all three parts are known") {
        w.touch(w.one, 20, 2);
        w.touch(w.one, 23, 5);
        REQUIRE(w.remap(21, 2, 2, there, 40));
        REQUIRE(w.object.resize(w.me, 0));
        for (auto const place : {20U, 23U, 40U}) CHECK_FALSE(w.mapped(w.one, place));
        CHECK(w.one.resident().total() == 0);
    }
}

TEST_CASE("mremap: no old pages of a shared mapping show its object once more") {
    shared_object w;
    w.map(w.one, 0, 2, 4);
    w.touch(w.one, 1, 3);
    REQUIRE(w.remap(1, 0, 6, there, 20));
    CHECK(w.mapped(w.one, 1));
    CHECK_FALSE(w.mapped(w.one, 20));
    w.touch(w.one, 20, 3);
    REQUIRE(w.object.resize(w.me, 3 * page_size));
    CHECK_FALSE(w.mapped(w.one, 1));
    CHECK_FALSE(w.mapped(w.one, 20));
    CHECK(w.remap(1, 0, 2, {}, 0).error() == errc::no_memory);
    // Over the mapping itself: it is gone before it could be shown again.
    CHECK(w.remap(1, 0, 2, there, 1).error() == errc::bad_address);
    CHECK(w.remap(0, 0, 1, there, 1).has_value());
}

TEST_CASE("mremap: shared memory of its own lives as long as its last mapping") {
    shared_object w;
    REQUIRE(w.one.mmap(w.me, {.hint = w.at(0),
                              .pages = page_count{2},
                              .flags = mmap_flags{mmap_flag::fixed, mmap_flag::shared}}));
    REQUIRE(w.remap(0, 2, 2, there, 20));
    REQUIRE(w.remap(20, 0, 2, there, 30));
    REQUIRE(w.one.munmap(w.me, w.span(20, 2)));
    REQUIRE(w.remap(30, 2, 4, there, 40));
    REQUIRE(w.remap(40, 4, 4, keeping, 50));
    REQUIRE(w.one.munmap(w.me, w.span(40, 20)));
}

TEST_CASE("mremap: what once had pages of its own keeps its distance") {
    remapped w;
    w.map_at(w.at(0), 2);
    w.map_at(w.at(4), 2);
    SECTION("though they are gone") {
        w.touch(w.at(4));
        REQUIRE(w.space->dontneed(*w.me, w.span(4, 2)));
        CHECK(w.remap(4, 2, 2, there, 2));
        CHECK(w.where() == "0+2 2+2");
        CHECK(w.fails(0, 4, 5) == errc::bad_address);
        CHECK(w.remap(2, 2, 2, there, 4));
        w.map_at(w.at(6), 2);  // back where it came from
        CHECK(w.where() == "0+2 4+4");
    }
    SECTION("which is not so if there were none") {
        CHECK(w.remap(4, 2, 2, there, 2));
        CHECK(w.where() == "0+4");
    }
    SECTION("nor if they went as a whole, and the mapping stays") {
        w.touch(w.at(4));
        CHECK(w.remap(4, 2, 2, keeping_there, 10));
        CHECK(w.remap(4, 2, 2, there, 2));
        CHECK(w.where() == "0+4 10+2");
        w.map_at(w.at(12), 1);
        CHECK(w.where() == "0+4 10+2 12+1");
    }
    SECTION("what stays of a part does") {
        w.touch(w.at(4));
        CHECK(w.remap(4, 1, 1, keeping_there, 10));
        CHECK(w.remap(4, 2, 2, there, 2));
        CHECK(w.where() == "0+2 2+2 10+1");
    }
}

TEST_CASE("mremap: unused memory of a file's is numbered by its place") {
    remapped w;
    w.map_as(0, 2, {.file = 5});
    CHECK(w.remap(1, 1, 1, there, 9));
    CHECK(w.remap(9, 1, 1, there, 1));
    CHECK(w.where() == "0+1 1+1");
    w.map_as(20, 2, {.file = 6});
    w.touch(w.at(20));
    CHECK(w.remap(21, 1, 1, there, 29));
    CHECK(w.remap(29, 1, 1, there, 21));
    CHECK(w.where() == "0+1 1+1 20+2");
}

TEST_CASE("mremap: what may not be split moves whole") {
    remapped w;
    w.map_as(0, 3, {.properties = vma_flag::unsplittable});
    CHECK(w.fails(1, 2, 2, there, 100) == errc::invalid_argument);
    CHECK(w.fails(0, 2, 2, there, 100) == errc::invalid_argument);
    CHECK(*w.remap(0, 3, 3, there, 100) == w.at(100));
}

TEST_CASE("mremap: what its driver is asked about moves alone") {
    remapped w;
    idle_source driver{source_kind::custom};
    w.map_as(10, 3, {.properties = vma_flag::driver_is_asked, .source = &driver});
    w.map_as(13, 3, {});
    CHECK(w.fails(11, 4, 4, there, 200) == errc::bad_address);
    CHECK(*w.remap(11, 2, 2, there, 200) == w.at(200));
    w.map_as(20, 3, {.source = &driver});
    CHECK(*w.remap(20, 4, 4, there, 300) == w.at(300));  // and the hole behind it
}

TEST_CASE("mremap: a driver that places its pages refuses when the place has been cleared") {
    remapped w;
    idle_source driver{source_kind::custom};
    w.map_as(0, 4,
             {.properties = {vma_flag::driver_places, vma_flag::dont_expand}, .source = &driver});
    w.map_as(20, 4, {});
    CHECK(w.remap(1, 1, 1, there, 21).error() == errc::invalid_argument);
    CHECK(w.where() == "0+4 20+1 22+2");
    CHECK(w.remap(0, 4, 2, there, 22).error() == errc::invalid_argument);
    CHECK(w.where() == "0+2 20+1");
    CHECK(w.remap(0, 1, 1, there, 1).error() == errc::invalid_argument);
    CHECK(w.where() == "0+1 20+1");
    CHECK(w.remap(0, 1, 1, keeping, 20).error() == errc::invalid_argument);
    CHECK(w.remap(0, 1, 2, there, 20).error() == errc::bad_address);  // longer: refused in time
    CHECK(w.where() == "0+1 20+1");
    CHECK(w.remap(0, 1, 1));
}

TEST_CASE("mremap: in constant evaluation") {
    constexpr auto page_moves = [] {
        using config = default_config<constexpr_machine>;
        frame_pool<constexpr_machine> frames{page_count{8}};
        config::tables tables{page_count{16}};
        config::reclaimer domain;
        address_space<config> space{frames, tables, domain};
        cpu<config::reclaimer> me{domain};
        auto const start = *space.mmap(me, {.pages = page_count{2}});
        auto const page = *frames.allocate(frame_kind::anonymous);
        auto const leaf = page_entry::leaf_to(page, prot::rw);
        auto moves = space.table().map(me, start, leaf, 0).has_value();
        space.note_mapped(leaf, 1);
        auto const old = *page_span::from(start, page_count{2});
        auto const to = mremap(me, space, old, page_count{3}, there, virt_addr{1U << 20U});
        moves = moves && to && space.resident().anonymous == 1;
        space.exit(me);
        return moves;
    };
    STATIC_REQUIRE(page_moves());
}
