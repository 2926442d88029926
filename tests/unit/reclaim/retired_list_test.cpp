// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/reclaim/retired_list.hpp>

#include <cstdint>
#include <set>

using namespace mmhold;

namespace {

using list_type = detail::retired_list<constexpr_machine>;

retired_object with_key(std::uint64_t key) {
    retired_object object;
    object.key = key;
    return object;
}

constexpr std::size_t moved_by_take() {
    retired_object objects[5];
    list_type from;
    list_type to;
    for (auto& object : objects) from.push(&object);
    to.push(from.pop());
    to.take(from);
    return from.empty() && from.count == 0 ? to.count : 0;
}

}  // namespace

TEST_CASE("a list gives back what was put in, and counts") {
    retired_object objects[]{with_key(1), with_key(2), with_key(3)};
    list_type list;
    CHECK(list.empty());
    for (auto& object : objects) list.push(&object);
    CHECK(list.count == 3);
    std::set<std::uint64_t> keys;
    while (!list.empty()) {
        auto const* const object = list.pop();
        CHECK(object->next == nullptr);
        keys.insert(object->key);
    }
    CHECK(keys == std::set<std::uint64_t>{1, 2, 3});
    CHECK(list.count == 0);
}

TEST_CASE("take() moves everything, also nothing") {
    STATIC_REQUIRE(moved_by_take() == 5);
    list_type from;
    list_type to;
    to.take(from);
    CHECK(to.empty());
}

TEST_CASE("move() takes every object with the key and no other") {
    retired_object objects[]{with_key(1), with_key(2), with_key(1), with_key(3)};
    list_type from;
    list_type named;
    for (auto& object : objects) from.push(&object);
    from.move(9, named);
    CHECK(named.empty());
    from.move(1, named);
    CHECK(named.count == 2);
    CHECK(from.count == 2);
    CHECK(named.pop()->key == 1);
    CHECK(named.pop()->key == 1);
    CHECK(from.pop()->key + from.pop()->key == 5);
    CHECK(from.empty());
    CHECK(named.empty());
}
