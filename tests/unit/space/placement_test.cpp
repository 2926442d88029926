// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/placement.hpp>

#include "support/catch.hpp"

#include <cstdint>

using namespace mmhold;

namespace {

using machine = checked_host_machine;

constexpr virt_addr page(std::uint64_t number) { return {number * page_size}; }

/// A small user space: pages 16 … 999, searched downwards from 900.
constexpr layout_limits small() {
    layout_limits limits;
    limits.end = page(1000);
    limits.window = page(1000);
    limits.mmap_base = page(900);
    return limits;
}

struct world {
    vma_map<machine> map;
    layout_limits limits = small();

    void occupy(std::uint64_t first, std::uint64_t count, vma_flags flags = {}) {
        vma area;
        area.span = *page_span::from(page(first), page_count{count});
        area.flags = flags;
        REQUIRE(map.insert(area));
    }
    result<virt_addr> place(std::uint64_t count, virt_addr hint = {}, mmap_flags flags = {}) const {
        return place_mapping(map, limits,
                             {.hint = hint, .pages = page_count{count}, .flags = flags});
    }
};

static_assert(layout_limits::of(48).mmap_base.value
              == task_size_max(48).value - 128ULL * 1024 * 1024);
static_assert(layout_limits::of(57).window == task_size_max(48));
static_assert(layout_limits::of(57).mmap_base == layout_limits{}.mmap_base);
static_assert(layout_limits::of(39).end == task_size_max(39));
static_assert(layout_limits::of(20).mmap_base < task_size_max(20));

}  // namespace

TEST_CASE("without a hint: the highest place below mmap_base") {
    world w;
    CHECK(*w.place(10) == page(890));
    w.occupy(890, 10);
    CHECK(*w.place(10) == page(880));
    w.occupy(870, 5);
    CHECK(*w.place(15) == page(875));
    CHECK(*w.place(16) == page(854));
}

TEST_CASE("a mapping across mmap_base is no obstacle") {
    world w;
    w.occupy(895, 50);
    CHECK(*w.place(10) == page(885));
}

TEST_CASE("a full lower part: the lowest place above a third of user space") {
    world w;
    w.occupy(16, 884);
    CHECK(*w.place(50) == page(900));
    CHECK(*w.place(100) == page(900));
    CHECK(w.place(101).error() == errc::no_memory);
    w.occupy(950, 50);
    CHECK(w.place(51).error() == errc::no_memory);
}

TEST_CASE("nothing is placed below the lowest address") {
    world w;
    w.occupy(20, 980);
    CHECK(*w.place(4) == page(16));
    CHECK(w.place(5).error() == errc::no_memory);
}

TEST_CASE("a hint is taken if there is room, and rounded down to its page") {
    world w;
    w.occupy(100, 10);
    CHECK(*w.place(10, page(90)) == page(90));
    CHECK(*w.place(10, virt_addr{page(110).value + 5}) == page(110));
    CHECK(*w.place(11, page(90)) == page(889));
    CHECK(*w.place(1, page(105)) == page(899));
    CHECK(*w.place(1, page(950)) == page(950));
    CHECK(*w.place(2, page(999)) == page(898));
    CHECK(*w.place(1, page(5000)) == page(899));
    CHECK(*w.place(1, virt_addr{~std::uint64_t{0}}) == page(899));
}

TEST_CASE("a hint below the lowest address moves up to it") {
    world w;
    CHECK(*w.place(1, page(3)) == page(16));
    CHECK(*w.place(1, virt_addr{1}) == page(899));
}

TEST_CASE("room stays free below a stack") {
    world w;
    w.limits.stack_gap_pages = 20;
    w.occupy(850, 10, vma_flag::grows_down);
    CHECK(*w.place(40) == page(860));
    CHECK(*w.place(41) == page(789));
    CHECK(*w.place(1, page(829)) == page(829));
    CHECK(*w.place(1, page(830)) == page(899));
    CHECK(*w.place(1, page(849), mmap_flag::fixed) == page(849));
    w.limits.stack_gap_pages = 5000;
    CHECK(w.place(200).error() == errc::no_memory);
}

TEST_CASE("fixed: exactly there or not at all") {
    world w;
    w.occupy(100, 10);
    CHECK(*w.place(1, page(105), mmap_flag::fixed) == page(105));
    CHECK(*w.place(1, page(0), mmap_flag::fixed) == page(0));
    CHECK(*w.place(1, page(999), mmap_flag::fixed) == page(999));
    CHECK(w.place(1, page(1000), mmap_flag::fixed).error() == errc::no_memory);
    CHECK(w.place(2, page(999), mmap_flag::fixed).error() == errc::no_memory);
    CHECK(w.place(1, virt_addr{~std::uint64_t{0}}, mmap_flag::fixed).error() == errc::no_memory);
    CHECK(w.place(1, virt_addr{7}, mmap_flag::fixed).error() == errc::invalid_argument);
}

TEST_CASE("fixed_noreplace: exists where something is") {
    world w;
    w.occupy(100, 10);
    CHECK(w.place(1, page(105), mmap_flag::fixed_noreplace).error() == errc::exists);
    CHECK(w.place(10, page(91), mmap_flag::fixed_noreplace).error() == errc::exists);
    CHECK(*w.place(9, page(91), mmap_flag::fixed_noreplace) == page(91));
    CHECK(w.place(1, page(5000), mmap_flag::fixed_noreplace).error() == errc::no_memory);
}

TEST_CASE("anonymous memory of whole large leaves is aligned to them") {
    vma_map<machine> map;
    layout_limits limits;
    mmap_request request{.pages = page_count{1024}};
    auto const large = 512 * page_size;
    CHECK(place_mapping(map, limits, request)->value % large == 0);
    SECTION("other sizes, files, shared memory and hints are not") {
        auto const highest = limits.mmap_base.value - 1024 * page_size;
        request.pages.value = 1023;
        CHECK(place_mapping(map, limits, request)->value == highest + page_size);
        request = {.pages = page_count{1024}, .kind = vma_kind::file, .file = 1};
        CHECK(place_mapping(map, limits, request)->value == highest);
        request = {.pages = page_count{1024}, .flags = mmap_flag::shared};
        CHECK(place_mapping(map, limits, request)->value == highest);
        request = {.hint = page(17), .pages = page_count{1024}};
        CHECK(*place_mapping(map, limits, request) == page(17));
    }
    SECTION("without room for that it goes where it fits") {
        limits.mmap_base = page(2 * 512 + 100);
        limits.window = limits.end = page(2 * 512 + 200);
        request.pages.value = 1024;
        CHECK(*place_mapping(map, limits, request) == page(100));
    }
    SECTION("nor if that is not wanted") {
        limits.large_leaf_pages = 0;
        CHECK(place_mapping(map, limits, request)->value % large != 0);
    }
}

TEST_CASE("5-level: above 47 bits only for who hints there") {
    vma_map<machine> map;
    auto const limits = layout_limits::of(57);
    auto const one = page_count{1};
    CHECK(*place_mapping(map, limits, {.pages = one}) < limits.window);
    auto const high = virt_addr{std::uint64_t{1} << 50U};
    CHECK(*place_mapping(map, limits, {.hint = high, .pages = one}) == high);
    // Across the border a hint is not taken; a search from a high hint begins at the top.
    auto const across = virt_addr{limits.window.value - page_size};
    CHECK(*place_mapping(map, limits, {.hint = across, .pages = page_count{2}}) < limits.window);
    vma taken;
    taken.span = *page_span::from(high, one);
    REQUIRE(map.insert(taken));
    CHECK(*place_mapping(map, limits, {.hint = high, .pages = one}) > high);
}
