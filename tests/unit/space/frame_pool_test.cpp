// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/frame_pool.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using pool = frame_pool<machine>;

constexpr std::uint32_t most_references = detail::max_references;

/// A machine whose arrays do not fit, once a frame's worth of bytes is asked for.
template<std::size_t Limit>
struct poor_machine : checked_host_machine {
    template<class T>
    [[nodiscard]] static T* create_array(std::size_t count) {
        return count * sizeof(T) > Limit ? nullptr : checked_host_machine::create_array<T>(count);
    }
};

constexpr bool works_in_constant_evaluation() {
    frame_pool<constexpr_machine> frames{page_count{8}};
    auto const one = frames.allocate(frame_kind::anonymous);
    auto const four = frames.allocate(frame_kind::anonymous, 2);
    if (!one || !four || frames.statistics().free != 3) return false;
    auto const tail = four->plus(3);
    if (!frames.try_grab(tail, 2, holding::pin) || frames.pin_count(*four) != 2) return false;
    if (!frames.try_grab(*one, 1, holding::reference) || frames.ref_count(*one) != 2) return false;
    frames.unpin(tail, 2);
    frames.put(*four);
    frames.put(*one, 2);
    return frames.statistics().free == 8 && !frames.try_grab(tail, 1, holding::pin);
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("a fresh pool has everything free, and one zero page behind it") {
    pool frames{page_count{16}, frame_bytes::none, pfn{100}};
    CHECK(frames.valid());
    CHECK(frames.statistics() == frame_statistics{16, 16, 0, 0});
    CHECK(frames.contains(pfn{100}));
    CHECK(frames.contains(pfn{116}));
    CHECK_FALSE(frames.contains(pfn{117}));
    CHECK_FALSE(frames.contains(pfn{99}));
    CHECK_FALSE(frames.contains(pfn{~std::uint64_t{0}}));
    CHECK(frames.zero_page() == pfn{116});
    CHECK(frames.kind(pfn{116}) == frame_kind::zero);
    CHECK(frames.kind(pfn{115}) == frame_kind::free);
    CHECK(frames.ref_count(pfn{115}) == 0);
}

TEST_CASE("what is allocated has one reference, its kind, and no past") {
    pool frames{page_count{4}};
    auto const page = frames.allocate(frame_kind::page_cache);
    REQUIRE(page);
    CHECK(frames.ref_count(*page) == 1);
    CHECK(frames.kind(*page) == frame_kind::page_cache);
    CHECK(frames.order_of(*page) == 0);
    CHECK(frames.head_of(*page) == *page);
    CHECK_FALSE(frames.exclusive(*page));
    CHECK_FALSE(frames.dirty(*page));
    CHECK_FALSE(frames.accessed(*page));
    CHECK(frames.attributes(*page).empty());
    CHECK(frames.map_count(*page) == 0);
    CHECK(frames.statistics().free == 3);
    frames.put(*page);
    CHECK(frames.statistics().free == 4);
    CHECK(frames.kind(*page) == frame_kind::free);
}

TEST_CASE("exhaustion is no_memory, and over when a frame comes back") {
    pool frames{page_count{3}};
    std::vector<pfn> taken;
    for (int i = 0; i < 3; ++i) taken.push_back(*frames.allocate(frame_kind::anonymous));
    CHECK(frames.allocate(frame_kind::anonymous).error() == errc::no_memory);
    CHECK(frames.allocate(frame_kind::anonymous, 1).error() == errc::no_memory);
    frames.put(taken[1]);
    CHECK(*frames.allocate(frame_kind::anonymous) == taken[1]);
    for (auto const page : taken) frames.put(page);
}

TEST_CASE("kinds and orders that cannot be allocated are invalid arguments") {
    pool frames{page_count{4}};
    CHECK(frames.allocate(frame_kind::free).error() == errc::invalid_argument);
    CHECK(frames.allocate(frame_kind::zero).error() == errc::invalid_argument);
    CHECK(frames.allocate(frame_kind::other, max_frame_order + 1).error()
          == errc::invalid_argument);
    CHECK(frames.allocate(frame_kind::other, max_frame_order).error() == errc::no_memory);
    CHECK(frames.statistics().free == 4);
}

TEST_CASE("a pool without memory is not valid and has no frames to give") {
    SECTION("for the table") {
        frame_pool<poor_machine<1000>> frames{page_count{64}};
        CHECK_FALSE(frames.valid());
        CHECK(frames.allocate(frame_kind::anonymous).error() == errc::no_memory);
        CHECK_FALSE(frames.contains(frames.zero_page()));
        CHECK_FALSE(frames.try_grab(pfn{1U << 20U}, 1, holding::reference));
    }
    SECTION("for the bytes") {
        frame_pool<poor_machine<4000>> frames{page_count{64}, frame_bytes::owned};
        CHECK_FALSE(frames.valid());
        CHECK(frames.allocate(frame_kind::anonymous).error() == errc::no_memory);
    }
    SECTION("because the capacity is absurd") {
        pool frames{page_count{~std::uint64_t{0}}};
        CHECK_FALSE(frames.valid());
        CHECK(frames.allocate(frame_kind::anonymous).error() == errc::no_memory);
    }
    SECTION("an empty pool is no error") {
        pool frames{page_count{0}};
        CHECK(frames.valid());
        CHECK(frames.allocate(frame_kind::anonymous).error() == errc::no_memory);
        CHECK(frames.try_grab(frames.zero_page(), 1, holding::pin));
    }
}

TEST_CASE("folios are contiguous and aligned, freeing one frees all of its pages") {
    pool frames{page_count{2048}};
    auto const single = *frames.allocate(frame_kind::anonymous);
    auto const large = *frames.allocate(frame_kind::anonymous, 9);
    CHECK(large.value % 512 == 0);
    CHECK(frames.order_of(large.plus(511)) == 9);
    CHECK(frames.head_of(large.plus(511)) == large);
    CHECK(frames.kind(large.plus(300)) == frame_kind::anonymous);
    CHECK(frames.statistics().free == 2048 - 513);
    CHECK(frames.try_grab(large.plus(77), 1, holding::reference));
    CHECK(frames.ref_count(large) == 2);
    frames.put(large);
    CHECK(frames.order_of(large.plus(511)) == 9);
    frames.put(large.plus(5));
    CHECK(frames.kind(large.plus(300)) == frame_kind::free);
    CHECK(frames.head_of(large.plus(300)) == large.plus(300));
    CHECK(frames.generation(large.plus(511)) == 1);
    frames.put(single);
    CHECK(frames.statistics().free == 2048);
}

TEST_CASE("a 1 GiB folio fits a pool of its size") {
    pool frames{page_count{std::uint64_t{1} << 18U}};
    auto const gigabyte = frames.allocate(frame_kind::anonymous, 18);
    REQUIRE(gigabyte);
    CHECK(gigabyte->value % (1U << 18U) == 0);
    CHECK(frames.statistics().free == 0);
    CHECK(frames.allocate(frame_kind::anonymous).error() == errc::no_memory);
    CHECK(frames.head_of(gigabyte->plus((1U << 18U) - 1)) == *gigabyte);
    frames.put(*gigabyte);
    CHECK(frames.statistics().free == std::uint64_t{1} << 18U);
}

TEST_CASE("a million frames without bytes are cheap") {
    pool frames{page_count{1'000'000}};
    REQUIRE(frames.valid());
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(frames.allocate(frame_kind::anonymous)->value);
    CHECK(seen.size() == 1000);
    CHECK(frames.statistics().free == 999'000);
}

TEST_CASE("5.4 GET takes references of the folio, PIN of a small folio 1024 each") {
    pool frames{page_count{4}};
    auto const page = *frames.allocate(frame_kind::anonymous);
    REQUIRE(frames.try_grab(page, 3, holding::reference));
    CHECK(frames.counts(page) == frame_counts{4, 0});
    REQUIRE(frames.try_grab(page, 2, holding::pin));
    CHECK(frames.counts(page) == frame_counts{4 + 2048, 2});
    CHECK(frames.maybe_pinned(page));
    frames.unpin(page, 2);
    CHECK_FALSE(frames.maybe_pinned(page));
    frames.put(page, 3);
    CHECK(frames.counts(page) == frame_counts{1, 0});
}

TEST_CASE("5.4 PIN of a large folio takes a reference and a pin per page") {
    pool frames{page_count{64}};
    auto const folio = *frames.allocate(frame_kind::anonymous, 1);  // order 1 is large on 64 bits
    REQUIRE(frames.try_grab(folio.plus(1), 5, holding::pin));
    CHECK(frames.counts(folio) == frame_counts{6, 5});
    frames.unpin(folio, 5);
    CHECK(frames.counts(folio) == frame_counts{1, 0});
}

TEST_CASE("5.4 a frame without references is refused, and so is one that is not there") {
    pool frames{page_count{4}, frame_bytes::none, pfn{64}};
    for (auto const how : {holding::reference, holding::pin}) {
        CHECK_FALSE(frames.try_grab(pfn{64}, 1, how));
        CHECK_FALSE(frames.try_grab(pfn{1}, 1, how));
        CHECK_FALSE(frames.try_grab(pfn{1000}, 1, how));
    }
    auto const page = *frames.allocate(frame_kind::anonymous);
    frames.put(page);
    CHECK_FALSE(frames.try_grab(page, 1, holding::reference));
    CHECK(frames.ref_count(page) == 0);
    CHECK(frames.statistics().pins_acquired == 0);
}

TEST_CASE("5.4 pinning the zero page takes nothing, GET takes a reference") {
    pool frames{page_count{4}};
    auto const zero = frames.zero_page();
    auto const before = frames.ref_count(zero);
    CHECK(frames.try_grab(zero, 7, holding::pin));
    CHECK(frames.ref_count(zero) == before);
    CHECK_FALSE(frames.maybe_pinned(zero));
    frames.unpin(zero, 7);
    CHECK(frames.ref_count(zero) == before);
    CHECK(frames.try_grab(zero, 2, holding::reference));
    CHECK(frames.ref_count(zero) == before + 2);
    frames.put(zero, 2);
    CHECK(frames.statistics() == frame_statistics{4, 4, 0, 0});
}

TEST_CASE("5.4 a peer-to-peer page is refused unless it was asked for") {
    pool frames{page_count{4}};
    auto const page = *frames.allocate(frame_kind::other);
    frames.add_attributes(page, frame_attribute::peer_to_peer);
    CHECK_FALSE(frames.try_grab(page, 1, holding::reference));
    CHECK_FALSE(frames.try_grab(page, 1, holding::pin));
    CHECK(frames.try_grab(page, 1, holding::pin, grab_rule::peer_to_peer_allowed));
    CHECK(frames.pin_count(page) == 1);
}

TEST_CASE("5.4 a longterm pin is refused where the page must stay movable") {
    pool frames{page_count{8}};
    auto const folio = *frames.allocate(frame_kind::anonymous, 2);
    frames.add_attributes(folio, frame_attribute::longterm_forbidden);
    CHECK_FALSE(frames.try_grab(folio.plus(3), 1, holding::pin, grab_rule::longterm));
    CHECK(frames.counts(folio) == frame_counts{1, 0});
    CHECK(frames.try_grab(folio, 1, holding::pin));
    frames.unpin(folio);
    frames.remove_attributes(folio, frame_attribute::longterm_forbidden);
    CHECK(frames.try_grab(folio, 1, holding::pin, grab_rule::longterm));
    frames.unpin(folio);
    CHECK(frames.try_grab(frames.zero_page(), 1, holding::pin, grab_rule::longterm));
}

TEST_CASE("6.2 row 24: a count that would overflow refuses, and stays what it was") {
    pool frames{page_count{4}};
    auto const page = *frames.allocate(frame_kind::anonymous);
    REQUIRE(frames.try_grab(page, most_references - 2, holding::reference));
    CHECK(frames.ref_count(page) == most_references - 1);
    CHECK_FALSE(frames.try_grab(page, 2, holding::reference));
    CHECK_FALSE(frames.try_grab(page, 1, holding::pin));
    CHECK_FALSE(frames.try_grab(page, ~std::uint64_t{0}, holding::reference));
    CHECK(frames.ref_count(page) == most_references - 1);
    CHECK(frames.try_grab(page, 1, holding::reference));
    CHECK_FALSE(frames.try_grab(page, 1, holding::reference));
    frames.put(page, most_references - 1);
    CHECK_FALSE(frames.try_grab(page, most_references / pin_bias + 1, holding::pin));
    CHECK(frames.try_grab(page, most_references / pin_bias, holding::pin));
    frames.unpin(page, most_references / pin_bias);
    CHECK(frames.counts(page) == frame_counts{1, 0});
}

TEST_CASE("holding none takes nothing and is never refused") {
    pool frames{page_count{4}, frame_bytes::none, pfn{8}};
    CHECK(frames.try_grab(pfn{8}, 1, holding::none));
    CHECK(frames.ref_count(pfn{8}) == 0);
}

TEST_CASE("1.3 rule 2: the pin counters move by the number of pages") {
    pool frames{page_count{1024}};
    auto const page = *frames.allocate(frame_kind::anonymous);
    auto const folio = *frames.allocate(frame_kind::anonymous, 9);
    REQUIRE(frames.try_grab(page, 1, holding::pin));
    REQUIRE(frames.try_grab(folio.plus(8), 100, holding::pin));
    REQUIRE(frames.try_grab(folio, 1, holding::reference));
    CHECK(frames.statistics().pins_acquired == 101);
    CHECK(frames.statistics().pins_released == 0);
    frames.unpin(folio, 40);
    CHECK(frames.statistics().pins_released == 40);
    frames.unpin(folio, 60);
    frames.unpin(page);
    CHECK(frames.statistics().pins_released == 101);
}

TEST_CASE("pins are not counted where nobody wants to know") {
    pool frames{page_count{4}, frame_bytes::none, pfn{8}, pin_statistics::off};
    auto const page = *frames.allocate(frame_kind::anonymous);
    REQUIRE(frames.try_grab(page, 1, holding::pin));
    CHECK(frames.pin_count(page) == 1);
    CHECK(frames.statistics().pins_acquired == 0);
}

TEST_CASE("1.3 rule 3: 1024 references look like a pin on a small folio, never on a large one") {
    pool frames{page_count{8}};
    auto const small = *frames.allocate(frame_kind::anonymous);
    auto const large = *frames.allocate(frame_kind::anonymous, 1);
    frames.get(small, 1022);
    CHECK_FALSE(frames.maybe_pinned(small));
    frames.get(small);
    CHECK(frames.maybe_pinned(small));
    frames.get(large, 5000);
    CHECK_FALSE(frames.maybe_pinned(large));
}

TEST_CASE("6.1 share protocol: a pinned page stays exclusive, another one stops being so") {
    pool frames{page_count{4}};
    auto const page = *frames.allocate(frame_kind::anonymous);
    frames.set_exclusive(page);
    REQUIRE(frames.try_grab(page, 1, holding::pin));
    CHECK_FALSE(frames.try_share(page));
    CHECK(frames.exclusive(page));
    frames.unpin(page);
    CHECK(frames.try_share(page));
    CHECK_FALSE(frames.exclusive(page));
    CHECK(frames.look_after_clear(page) == frame_counts{1, 0});
}

TEST_CASE("exclusive is a page's own, dirty, accessed and attributes are the folio's") {
    pool frames{page_count{8}};
    auto const folio = *frames.allocate(frame_kind::anonymous, 2);
    frames.set_exclusive(folio.plus(2));
    CHECK(frames.exclusive(folio.plus(2)));
    CHECK_FALSE(frames.exclusive(folio));
    frames.mark_dirty(folio.plus(3));
    frames.mark_accessed(folio.plus(1));
    frames.add_attributes(folio.plus(1), frame_attribute::shmem);
    CHECK(frames.dirty(folio));
    CHECK(frames.accessed(folio.plus(3)));
    CHECK(frames.attributes(folio.plus(2)) == frame_attribute::shmem);
    frames.put(folio);
    auto const again = *frames.allocate(frame_kind::anonymous, 2);
    REQUIRE(again == folio);
    CHECK_FALSE(frames.exclusive(folio.plus(2)));
    CHECK_FALSE(frames.dirty(folio));
    CHECK_FALSE(frames.accessed(folio));
    CHECK(frames.attributes(folio).empty());
}

TEST_CASE("mappings are counted by folio") {
    pool frames{page_count{8}};
    auto const folio = *frames.allocate(frame_kind::anonymous, 2);
    frames.add_mappings(folio, 4);
    frames.add_mappings(folio.plus(3));
    CHECK(frames.map_count(folio.plus(1)) == 5);
    frames.remove_mappings(folio, 4);
    frames.remove_mappings(folio.plus(2));
    CHECK(frames.map_count(folio) == 0);
}

TEST_CASE("split: every page becomes a folio with one reference, and keeps what it was") {
    pool frames{page_count{8}};
    auto const folio = *frames.allocate(frame_kind::anonymous, 2);
    frames.set_exclusive(folio.plus(1));
    frames.mark_dirty(folio);
    REQUIRE(frames.split_folio(folio.plus(2)));
    for (std::uint64_t i = 0; i < 4; ++i) {
        auto const page = folio.plus(i);
        CHECK(frames.head_of(page) == page);
        CHECK(frames.order_of(page) == 0);
        CHECK(frames.counts(page) == frame_counts{1, 0});
        CHECK(frames.kind(page) == frame_kind::anonymous);
        CHECK(frames.exclusive(page) == (i == 1));
        CHECK(frames.dirty(page));
    }
    frames.put(folio.plus(3));
    CHECK(frames.statistics().free == 5);
    for (std::uint64_t i = 0; i < 3; ++i) frames.put(folio.plus(i));
    CHECK(frames.statistics().free == 8);
    CHECK(frames.allocate(frame_kind::anonymous, 3));
}

TEST_CASE("6.2 row 6: a folio that somebody else holds is not split") {
    pool frames{page_count{8}};
    auto const folio = *frames.allocate(frame_kind::anonymous, 2);
    REQUIRE(frames.try_grab(folio.plus(1), 1, holding::pin));
    CHECK(frames.split_folio(folio).error() == errc::busy);
    CHECK(frames.order_of(folio) == 2);
    CHECK(frames.counts(folio) == frame_counts{2, 1});
    frames.unpin(folio);
    CHECK(frames.split_folio(folio));
}

TEST_CASE("bytes: zero when allocated, poisoned when freed") {
    pool frames{page_count{4}, frame_bytes::owned};
    auto const folio = *frames.allocate(frame_kind::anonymous, 1);
    for (std::uint64_t i = 0; i < 2; ++i) {
        REQUIRE(frames.bytes(folio.plus(i)).size() == page_size);
        CHECK(std::ranges::count(frames.bytes(folio.plus(i)), std::byte{0}) == 4096);
    }
    CHECK(frames.bytes(folio).data() + page_size == frames.bytes(folio.plus(1)).data());
    std::ranges::fill(frames.bytes(folio), std::byte{1});
    frames.put(folio);
    CHECK(std::ranges::count(frames.bytes(folio), pool::poison) == 4096);
    CHECK(std::ranges::count(frames.bytes(folio.plus(1)), pool::poison) == 4096);
    auto const again = *frames.allocate(frame_kind::anonymous, 1);
    CHECK(std::ranges::count(frames.bytes(again), std::byte{0}) == 4096);
    CHECK(frames.generation(again) == 1);
    CHECK(std::ranges::count(frames.bytes(frames.zero_page()), std::byte{0}) == 4096);
    pool bare{page_count{4}};
    CHECK(bare.bytes(bare.zero_page()).empty());
}

TEST_CASE("ABA: the same number, another generation") {
    pool frames{page_count{4}};
    auto const first = *frames.allocate(frame_kind::anonymous);
    auto const born = frames.generation(first);
    frames.put(first);
    auto const second = *frames.allocate(frame_kind::anonymous);
    REQUIRE(second == first);
    CHECK(frames.generation(second) == born + 1);
}

TEST_CASE("6.2 rows 2, 3, 4: grabs against freeing and reallocation in other sizes") {
    using fast_pool = frame_pool<host_machine>;
    fast_pool frames{page_count{8}};
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> wrong{0};
    auto const grabber = [&](holding how) {
        std::uint64_t next = 0;
        while (!stop.load()) {
            auto const page = pfn{(std::uint64_t{1} << 20U) + next++ % 8};
            if (!frames.try_grab(page, 1, how)) continue;
            // While it is held, it cannot be freed, and stays in the folio that is held.
            auto const head = frames.head_of(page);
            auto const generation = frames.generation(head);
            if (frames.kind(page) == frame_kind::free || frames.ref_count(page) == 0) ++wrong;
            if (frames.head_of(page) != head || frames.generation(head) != generation) ++wrong;
            how == holding::pin ? frames.unpin(page) : frames.put(page);
        }
    };
    std::thread by_reference{grabber, holding::reference};
    std::thread by_pin{grabber, holding::pin};
    for (unsigned round = 0; round < 20'000; ++round) {
        auto const page = frames.allocate(frame_kind::anonymous, round % 4);
        if (page) frames.put(*page);
    }
    stop = true;
    by_reference.join();
    by_pin.join();
    CHECK(wrong == 0);
    CHECK(frames.statistics().free == 8);
    CHECK(frames.statistics().pins_acquired == frames.statistics().pins_released);
    for (std::uint64_t i = 0; i < 8; ++i) CHECK(frames.ref_count(pfn{(1U << 20U) + i}) == 0);
}

TEST_CASE("6.1: a frozen page is refused to everybody until it is thawed") {
    frame_pool<checked_host_machine> pool{page_count{2}};
    auto const page = *pool.allocate(frame_kind::anonymous);
    REQUIRE(pool.try_freeze(page, 1));
    CHECK(pool.ref_count(page) == 0);
    CHECK_FALSE(pool.try_grab(page, 1, holding::reference));
    CHECK_FALSE(pool.try_grab(page, 1, holding::pin));
    CHECK_FALSE(pool.try_freeze(page, 1));
    pool.unfreeze(page, 2);
    CHECK(pool.ref_count(page) == 2);
    CHECK_FALSE(pool.try_freeze(page, 1));  // somebody else holds it
    CHECK(pool.try_freeze(page, 2));
    pool.unfreeze(page, 1);
    CHECK(pool.try_grab(page, 1, holding::pin));
    CHECK_FALSE(pool.try_freeze(page, 1));
    pool.unpin(page);
    pool.put(page);
}

TEST_CASE("the movable zone is for user pages, which come from there first", "[space]") {
    frame_pool<checked_host_machine> pool{page_count{6}, frame_bytes::none, pfn{64},
                                          pin_statistics::kept, page_count{4}};
    auto const forbidden = [&](pfn page) {
        return pool.attributes(page).has(frame_attribute::longterm_forbidden);
    };
    auto const other = *pool.allocate(frame_kind::other);
    auto const fixed = *pool.allocate(frame_kind::anonymous, 0, frame_mobility::fixed);
    CHECK_FALSE(forbidden(other));
    CHECK_FALSE(forbidden(fixed));
    CHECK(pool.allocate(frame_kind::other).error() == errc::no_memory);
    auto const pair = *pool.allocate(frame_kind::anonymous, 1);
    auto const one = *pool.allocate(frame_kind::page_cache);
    CHECK(forbidden(pair));
    CHECK(forbidden(one));
    CHECK(pair.value >= 66);
    CHECK(pool.split_folio(pair).has_value());
    CHECK(forbidden(pair.plus(1)));
    auto const last = *pool.allocate(frame_kind::anonymous);
    CHECK(pool.allocate(frame_kind::anonymous).error() == errc::no_memory);
    pool.put(other);
    auto const spill = *pool.allocate(frame_kind::anonymous);  // the other zone is as good
    CHECK(spill == other);
    CHECK_FALSE(forbidden(spill));
    for (auto const page : {pair, pair.plus(1), one, last, spill, fixed}) pool.put(page);
    CHECK(pool.statistics().free == 6);
    auto const large = pool.allocate(frame_kind::anonymous, 1);
    REQUIRE(large);
    CHECK(forbidden(*large));
    pool.put(*large);
}

TEST_CASE("the large zero folio is made for the first who asks, and pins take nothing of it") {
    frame_pool<checked_host_machine> frames{page_count{64}, frame_bytes::owned};
    CHECK(frames.zero_folio(0).error() == errc::invalid_argument);
    CHECK(frames.zero_folio(7).error() == errc::no_memory);
    auto const zeroes = frames.zero_folio(3);
    REQUIRE(zeroes.has_value());
    CHECK(frames.zero_folio(3).value_or(pfn{}) == *zeroes);
    CHECK(frames.zero_folio(4).error() == errc::invalid_argument);
    CHECK(frames.is_zero(zeroes->plus(7)));
    CHECK(frames.is_zero(frames.zero_page()));
    CHECK_FALSE(frames.is_zero(pfn{1}));
    CHECK(frames.statistics().free == 56);
    CHECK(frames.try_grab(zeroes->plus(2), 3, holding::pin));
    CHECK(frames.counts(*zeroes) == frame_counts{1, 0});
    CHECK(frames.statistics().pins_acquired == 0);
    frames.unpin(zeroes->plus(2), 3);
    CHECK(frames.try_grab(*zeroes, 2, holding::reference));
    CHECK(frames.ref_count(*zeroes) == 3);
    frames.put(*zeroes, 2);
    frames.release_zero_folio();
    CHECK(frames.statistics().free == 64);
}
