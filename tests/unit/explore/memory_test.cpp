// SPDX-License-Identifier: BSL-1.0
// Store buffers and views on their own.
#include "support/catch.hpp"
#include <mmhold/explore/memory.hpp>

#include <cstdint>

using namespace mmhold::detail;

namespace {

buffered_store& put(store_buffer& buffer, std::uint32_t where, std::uint64_t value) {
    auto& entry = buffer.push();
    entry = buffered_store{};
    entry.location = where;
    entry.value = value;
    return entry;
}

}  // namespace

TEST_CASE("store_buffer: first in, first out, and own loads see the youngest", "[explore]") {
    store_buffer buffer;
    CHECK(buffer.empty());
    CHECK(buffer.youngest(5) == nullptr);
    put(buffer, 5, 1);
    put(buffer, 6, 2);
    put(buffer, 5, 3);
    CHECK(buffer.size() == 3);
    CHECK(buffer.oldest().value == 1);
    REQUIRE(buffer.youngest(5) != nullptr);
    CHECK(buffer.youngest(5)->value == 3);
    buffer.pop(0);
    CHECK(buffer.oldest().value == 2);
    CHECK(buffer.youngest(5)->value == 3);
    buffer.pop(1);
    buffer.pop(2);
    CHECK(buffer.empty());
    CHECK(buffer.youngest(5) == nullptr);
}

TEST_CASE("store_buffer: goes round, and forgets", "[explore]") {
    store_buffer buffer;
    for (unsigned i = 0; i < 3 * store_buffer::capacity; ++i) {
        put(buffer, 4, i);
        CHECK(buffer.oldest().value == i);
        buffer.pop(static_cast<std::int16_t>(i));
    }
    for (unsigned i = 0; i < store_buffer::capacity; ++i) put(buffer, 4, 100 + i);
    CHECK(buffer.size() == store_buffer::capacity);
    CHECK(buffer.oldest().value == 100);
    CHECK(buffer[store_buffer::capacity - 1].value == 100 + store_buffer::capacity - 1);
    buffer.clear();
    CHECK(buffer.empty());
}

TEST_CASE("store_buffer: says which drain made room", "[explore]") {
    store_buffer buffer;
    CHECK(buffer.room_since(2) == -1);
    put(buffer, 4, 0);
    CHECK(buffer.room_since(2) == -1);  // there is one place left
    put(buffer, 4, 1);
    buffer.pop(7);
    CHECK(buffer.room_since(2) == 7);
    put(buffer, 4, 2);
    buffer.pop(9);
    CHECK(buffer.room_since(2) == 9);
}

TEST_CASE("store_buffer: a heavy fence waits for what a light fence covers", "[explore]") {
    store_buffer buffer;
    CHECK_FALSE(buffer.stops_heavy_fence());
    put(buffer, 4, 0);
    CHECK(buffer.stops_heavy_fence());
    buffer.expose();
    CHECK_FALSE(buffer.stops_heavy_fence());
    put(buffer, 4, 1);
    CHECK(buffer.stops_heavy_fence());
}

TEST_CASE("view: what was seen never becomes unseen", "[explore]") {
    view mine;
    view others;
    mine.raise(3, 5);
    mine.raise(3, 2);
    CHECK(mine.oldest[3] == 5);
    others.raise(3, 4);
    others.raise(9, 1);
    mine.join(others);
    CHECK(mine.oldest[3] == 5);
    CHECK(mine.oldest[9] == 1);
}
