// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/space/split_folio.hpp>

using namespace mmhold;
using small = mmhold_test::small_space<>;

TEST_CASE("a large leaf becomes small leaves of single pages, with the same frames", "[large]") {
    small host;
    REQUIRE(host.map(512));
    auto const folio = host.fill(0, prot::rw, 1);
    CHECK(split_folio_at(host.mm, host.me, small::page(7)).has_value());
    CHECK(host.entry(7).target == folio.plus(7));
    CHECK(host.entry(7).writable);
    CHECK(host.frames.order_of(folio.plus(7)) == 0);
    CHECK(host.frames.ref_count(folio.plus(7)) == 1);
    CHECK(host.frames.map_count(folio.plus(7)) == 1);
    CHECK(host.frames.exclusive(folio.plus(7)));
    CHECK(host.mm.resident().anonymous == 512);
    CHECK(split_folio_at(host.mm, host.me, small::page(7)).has_value());
}

TEST_CASE("pages of the folio that are mapped no more are freed by the split", "[large]") {
    small host;
    REQUIRE(host.map(512));
    auto const folio = host.fill(0, prot::rw, 1);
    CHECK(host.mm.dontneed(host.me, small::span(1, 500)).has_value());
    CHECK(host.frames.ref_count(folio) == 12);
    CHECK(split_folio_at(host.mm, host.me, small::page(0)).has_value());
    CHECK(host.frames.kind(folio.plus(1)) == frame_kind::free);
    CHECK(host.frames.kind(folio.plus(501)) == frame_kind::anonymous);
    CHECK(host.frames.statistics().capacity - host.frames.statistics().free == 12);
}

TEST_CASE("a folio that somebody holds stays whole", "[large]") {
    small host;
    REQUIRE(host.map(512));
    auto const folio = host.fill(0, prot::rw, 1);
    REQUIRE(host.frames.try_grab(folio.plus(3), 1, holding::pin));
    CHECK(split_folio_at(host.mm, host.me, small::page(0)).error() == errc::busy);
    CHECK(host.entry(0, 1).is_leaf());
    CHECK(host.mm.dontneed(host.me, small::span(9, 1)).has_value());
    CHECK(split_folio_at(host.mm, host.me, small::page(0)).error() == errc::busy);
    CHECK(host.frames.order_of(folio) == 9);
    host.frames.unpin(folio.plus(3));
    CHECK(split_folio_at(host.mm, host.me, small::page(0)).has_value());
    CHECK(split_folio_at(host.mm, host.me, small::page(9)).error() == errc::bad_address);
}

TEST_CASE("a large leaf is split, and its pages of zeroes are shared but for those to be kept",
          "[large]") {
    small host{2048, frame_bytes::owned};
    REQUIRE(host.map(512));
    auto const folio = host.fill(0, prot::rw, 1);
    host.frames.bytes(folio.plus(7)).back() = std::byte{1};
    auto const kept = small::span(500, 12);
    CHECK(split_sharing_zeroes_at(host.mm, host.me, small::page(3), kept).has_value());
    CHECK(host.entry(0).target == host.frames.zero_page());
    CHECK(host.entry(7).target == folio.plus(7));
    CHECK(host.entry(499).target == host.frames.zero_page());
    CHECK(host.entry(500).target == folio.plus(500));
    CHECK(host.mm.resident().anonymous == 13);
}

TEST_CASE("a page of zeroes becomes the zero page, another does not", "[large]") {
    small host{2048, frame_bytes::owned};
    REQUIRE(host.map(2));
    auto const first = host.fill(0);
    host.frames.bytes(host.fill(1)).back() = std::byte{1};
    host.frames.get(first);
    CHECK(share_zeroes_at(host.mm, host.me, small::page(0)).error() == errc::busy);
    CHECK(host.entry(0).target == first);
    host.frames.put(first);
    CHECK(share_zeroes_at(host.mm, host.me, small::page(0)).has_value());
    CHECK(host.entry(0).target == host.frames.zero_page());
    CHECK_FALSE(host.entry(0).writable);
    CHECK(share_zeroes_at(host.mm, host.me, small::page(1)).has_value());
    CHECK(host.entry(1).writable);
    CHECK(host.mm.resident().anonymous == 1);
}
