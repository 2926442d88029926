// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/swap_store.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>

using namespace mmhold;

namespace {

using store_type = memory_swap<checked_host_machine>;
using page = std::array<std::byte, page_size>;

constexpr bool works_in_constant_evaluation() {
    memory_swap<constexpr_machine> store{page_count{2}};
    auto const slot = store.allocate();
    auto const good = slot && store.duplicate(*slot) && store.ref_count(*slot) == 2;
    store.release(*slot);
    store.release(*slot);
    return good && store.in_use() == 0;
}
static_assert(works_in_constant_evaluation());

page filled(int value) {
    page bytes;
    bytes.fill(static_cast<std::byte>(value));
    return bytes;
}

}  // namespace

TEST_CASE("slots are different until they are given back, then no more are to be had") {
    store_type store{page_count{3}};
    std::set<std::uint64_t> slots;
    for (int i = 0; i < 3; ++i) slots.insert(*store.allocate());
    CHECK(slots.size() == 3);
    CHECK(store.in_use() == 3);
    CHECK(store.allocate().error() == errc::no_memory);
    store.release(*slots.begin());
    CHECK(store.in_use() == 2);
    CHECK(*store.allocate() == *slots.begin());
    for (auto const slot : slots) store.release(slot);
    CHECK(store.in_use() == 0);
}

TEST_CASE("a slot keeps the bytes of a page, each its own") {
    store_type store{page_count{2}, frame_bytes::owned};
    auto const first = *store.allocate();
    auto const second = *store.allocate();
    store.write(first, filled(1));
    store.write(second, filled(2));
    page read{};
    store.read(first, read);
    CHECK(read == filled(1));
    store.read(second, read);
    CHECK(read == filled(2));
    store.release(first);
    store.release(second);
}

TEST_CASE("without bytes there is nothing to keep") {
    store_type store{page_count{1}};
    auto const slot = *store.allocate();
    store.write(slot, filled(1));
    auto read = filled(9);
    store.read(slot, read);
    CHECK(read == filled(9));
    store.read(slot, {});
    store.release(slot);
}

TEST_CASE("the last reference frees the slot") {
    store_type store{page_count{1}};
    auto const slot = *store.allocate();
    REQUIRE(store.duplicate(slot));
    CHECK(store.ref_count(slot) == 2);
    store.release(slot);
    CHECK(store.in_use() == 1);
    store.release(slot);
    CHECK(store.in_use() == 0);
}

TEST_CASE("a store of nothing is always full") {
    store_type nothing{page_count{0}};
    CHECK_FALSE(nothing.valid());
    CHECK(nothing.allocate().error() == errc::no_memory);
    store_type too_much{page_count{~std::uint64_t{0}}};
    CHECK_FALSE(too_much.valid());
    CHECK(too_much.allocate().error() == errc::no_memory);
}
