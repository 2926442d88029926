// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/pinned.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

using namespace mmhold;

namespace {

using pool = frame_pool<checked_host_machine>;

static_assert(!std::is_copy_constructible_v<pinned<pool>>);
static_assert(!std::is_copy_assignable_v<pinned<pool>>);
static_assert(std::is_nothrow_move_constructible_v<pinned<pool>>);

/// Writes down what it is told.
struct recording_pool {
    struct call {
        char what;
        std::uint64_t page;
        std::uint64_t pages;
        friend bool operator==(call, call) = default;
    };
    void put(pfn page, std::uint64_t n) { calls.push_back({'p', page.value, n}); }
    void unpin(pfn page, std::uint64_t n) { calls.push_back({'u', page.value, n}); }
    void mark_dirty(pfn page) { calls.push_back({'d', page.value, 0}); }
    pfn head_of(pfn page) const { return {page.value / 10}; }  // ten pages each
    std::vector<call> calls;
};

constexpr bool works_in_constant_evaluation() {
    frame_pool<constexpr_machine> frames{page_count{4}};
    std::array const pages{*frames.allocate(frame_kind::anonymous)};
    (void)frames.try_grab(pages[0], 1, holding::pin);
    {
        pinned const held{frames, pages, holding::pin};
        if (held.size() != 1 || held[0] != pages[0]) return false;
    }
    return frames.pin_count(pages[0]) == 0;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("pinned gives back what it holds at the end of the scope, in the way it is held") {
    pool frames{page_count{8}};
    std::array const pages{*frames.allocate(frame_kind::anonymous),
                           *frames.allocate(frame_kind::anonymous)};
    for (auto const page : pages) {
        REQUIRE(frames.try_grab(page, 1, holding::pin));
        REQUIRE(frames.try_grab(page, 1, holding::reference));
    }
    {
        pinned const held{frames, pages, holding::pin};
        CHECK(held.size() == 2);
        CHECK(held.how() == holding::pin);
    }
    CHECK(frames.counts(pages[1]) == frame_counts{2, 0});
    { pinned const held{frames, pages, holding::reference}; }
    CHECK(frames.counts(pages[0]) == frame_counts{1, 0});
    { pinned const held{frames, pages, holding::none}; }
    CHECK(frames.counts(pages[0]) == frame_counts{1, 0});
}

TEST_CASE("a moved pinned gives back once, assignment gives back what it had") {
    pool frames{page_count{8}};
    std::array const a{*frames.allocate(frame_kind::anonymous)};
    std::array const b{*frames.allocate(frame_kind::anonymous)};
    REQUIRE(frames.try_grab(a[0], 1, holding::pin));
    REQUIRE(frames.try_grab(b[0], 1, holding::pin));
    pinned first{frames, a, holding::pin};
    pinned second{std::move(first)};
    CHECK(first.empty());
    CHECK(frames.pin_count(a[0]) == 1);
    second = pinned{frames, b, holding::pin};
    CHECK(frames.pin_count(a[0]) == 0);
    CHECK(frames.pin_count(b[0]) == 1);
    second.release();
    second.release();
    CHECK(second.empty());
    CHECK(frames.pin_count(b[0]) == 0);
    pinned<pool> nothing;
    nothing = std::move(second);
    CHECK(nothing.empty());
}

TEST_CASE("forget leaves the pages to somebody else") {
    pool frames{page_count{8}};
    std::array const pages{*frames.allocate(frame_kind::anonymous)};
    REQUIRE(frames.try_grab(pages[0], 1, holding::pin));
    {
        pinned held{frames, pages, holding::pin};
        CHECK(held.forget().size() == 1);
        CHECK(held.empty());
    }
    CHECK(frames.pin_count(pages[0]) == 1);
}

TEST_CASE("1.3 rule 4: dirty is set only if asked for") {
    pool frames{page_count{8}};
    std::array const pages{*frames.allocate(frame_kind::page_cache)};
    REQUIRE(frames.try_grab(pages[0], 2, holding::pin));
    pinned{frames, pages, holding::pin}.release();
    CHECK_FALSE(frames.dirty(pages[0]));
    pinned{frames, pages, holding::pin}.release_dirty();
    CHECK(frames.dirty(pages[0]));
    CHECK(frames.pin_count(pages[0]) == 0);
}

TEST_CASE("neighbours of one folio are given back in one operation") {
    recording_pool frames;
    std::vector<pfn> const pages{{11}, {12}, {13}, {20}, {14}, {15}};
    using call = recording_pool::call;
    pinned{frames, std::span<pfn const>{pages}, holding::pin}.release();
    CHECK(frames.calls == std::vector<call>{{'u', 11, 3}, {'u', 20, 1}, {'u', 14, 2}});
    frames.calls.clear();
    pinned{frames, std::span<pfn const>{pages}.first(4), holding::reference}.release_dirty();
    CHECK(frames.calls
          == std::vector<call>{{'d', 11, 0}, {'p', 11, 3}, {'d', 20, 0}, {'p', 20, 1}});
}

TEST_CASE("the zero page may stand among pinned pages: nothing is taken, nothing given back") {
    pool frames{page_count{8}};
    std::array const pages{frames.zero_page()};
    auto const before = frames.ref_count(pages[0]);
    REQUIRE(frames.try_grab(pages[0], 1, holding::pin));
    pinned{frames, pages, holding::pin}.release();
    CHECK(frames.ref_count(pages[0]) == before);
}
