// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/paging/x86_64.hpp>
#include <mmhold/space/page_marker.hpp>

using namespace mmhold;

namespace {

constexpr page_entry tracked_leaf() {
    auto leaf = page_entry::leaf_to(pfn{77}, prot::rw);
    leaf.uffd_wp = true;
    leaf.soft_dirty = true;
    return leaf;
}

}  // namespace

TEST_CASE("a swapped entry names a slot and keeps what was tracked") {
    auto const entry = swapped_entry(tracked_leaf(), 123, exclusivity::shared);
    CHECK(is_swapped(entry));
    CHECK_FALSE(is_moving(entry));
    CHECK_FALSE(entry.present());
    CHECK(slot_of(entry) == 123);
    CHECK(entry.uffd_wp);
    CHECK(entry.soft_dirty);
    CHECK_FALSE(
        swapped_entry(page_entry::leaf_to(pfn{77}, prot::rw), 0, exclusivity::shared).soft_dirty);
}

TEST_CASE("a swapped entry knows whether the page was exclusive, until it is shared") {
    auto const own = swapped_entry(tracked_leaf(), 5, exclusivity::exclusive);
    CHECK(is_swapped(own));
    CHECK(is_marker_of(own, page_marker::swapped_exclusive));
    CHECK(shared_swapped(own) == swapped_entry(tracked_leaf(), 5, exclusivity::shared));
    CHECK(shared_swapped(shared_swapped(own)) == shared_swapped(own));
}

TEST_CASE("a moving entry names the page") {
    auto const entry = moving_entry(tracked_leaf());
    CHECK(is_moving(entry));
    CHECK_FALSE(is_swapped(entry));
    CHECK(entry.target == pfn{77});
    CHECK(entry.uffd_wp);
    CHECK(entry.soft_dirty);
}

TEST_CASE("leaves and markers of the host are neither") {
    for (auto const& entry : {page_entry{}, tracked_leaf(), page_entry::marker_for(3, 123)}) {
        CHECK_FALSE(is_swapped(entry));
        CHECK_FALSE(is_moving(entry));
    }
}

TEST_CASE("x86-64 can express both, with the largest slot and frame number") {
    using format = x86_64<4>;
    auto const last_slot = (std::uint64_t{1} << 50U) - 2;
    auto leaf = tracked_leaf();
    leaf.target = pfn{(std::uint64_t{1} << 40U) - 1};
    for (auto const& entry : {swapped_entry(leaf, 0, exclusivity::exclusive),
                              swapped_entry(leaf, last_slot, exclusivity::shared),
                              moving_entry(leaf), moving_entry(tracked_leaf())}) {
        REQUIRE(format::legal(entry, 0));
        CHECK(format::decode(format::encode(entry, 0), 0) == entry);
    }
}
