// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/hugetlb_pool.hpp>

#include <cstddef>
#include <optional>

using namespace mmhold;
using frames_type = frame_pool<checked_host_machine>;
using pool_type = hugetlb_pool<checked_host_machine>;

TEST_CASE("the pool has as many folios as memory allows, and gives them back", "[hugetlb]") {
    frames_type frames{page_count{40}};
    {
        pool_type pool{frames, 5, 3};
        CHECK(pool.statistics() == hugetlb_statistics{5, 5, 0});
        CHECK(pool.folio_pages() == 8);
        pool_type more{frames, 5, 3};
        CHECK(more.statistics() == hugetlb_statistics{0, 0, 0});
        CHECK(more.take(nullptr, frame_kind::anonymous, 1).error() == errc::no_memory);
    }
    CHECK(frames.statistics().free == 40);
}

TEST_CASE("a folio is zeroed, whole and its taker's, and free again with the last reference",
          "[hugetlb]") {
    frames_type frames{page_count{8}, frame_bytes::owned};
    pool_type pool{frames, 1, 3};
    auto const own = pool.take(nullptr, frame_kind::anonymous, 8);
    REQUIRE(own.has_value());
    CHECK(frames.kind(*own) == frame_kind::anonymous);
    CHECK(frames.exclusive(own->plus(7)));
    CHECK(frames.order_of(own->plus(7)) == 3);
    CHECK(frames.ref_count(*own) == 9);
    CHECK(frames.attributes(*own) == frame_attributes{frame_attribute::hugetlb});
    frames.bytes(own->plus(3)).front() = std::byte{1};
    CHECK(pool.statistics() == hugetlb_statistics{1, 0, 0});
    CHECK(pool.take(nullptr, frame_kind::anonymous, 1).error() == errc::no_memory);
    frames.put(*own, 8);
    CHECK(pool.statistics() == hugetlb_statistics{1, 1, 0});
    auto const shared = pool.take(nullptr, frame_kind::page_cache, 1);
    REQUIRE(shared.has_value());
    CHECK(*shared == *own);
    CHECK(frames.kind(shared->plus(7)) == frame_kind::page_cache);
    CHECK_FALSE(frames.exclusive(*shared));
    CHECK(frames.bytes(shared->plus(3)).front() == std::byte{0});
    frames.put(*shared);
}

TEST_CASE("what is promised is taken by nobody else, and comes back when it is let go",
          "[hugetlb]") {
    frames_type frames{page_count{24}};
    pool_type pool{frames, 3, 3};
    std::optional<pool_type::reservation> two{std::in_place, pool, 2U};
    CHECK(two->valid());
    CHECK(pool.statistics().reserved == 2);
    pool_type::reservation const too_many{pool, 2};
    CHECK_FALSE(too_many.valid());
    auto const others = pool.take(nullptr, frame_kind::anonymous, 1);
    REQUIRE(others.has_value());
    CHECK(pool.take(nullptr, frame_kind::anonymous, 1).error() == errc::no_memory);
    auto const first = pool.take(&*two, frame_kind::anonymous, 1);
    REQUIRE(first.has_value());
    CHECK(pool.statistics() == hugetlb_statistics{3, 1, 1});
    frames.put(*first);
    CHECK(pool.statistics() == hugetlb_statistics{3, 2, 2});
    CHECK(pool.take(nullptr, frame_kind::anonymous, 1).error() == errc::no_memory);
    two.reset();
    CHECK(pool.statistics().reserved == 0);
    frames.put(*others);
}
