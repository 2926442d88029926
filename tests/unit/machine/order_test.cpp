// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/machine/order.hpp>

#include <string_view>

using namespace mmhold;

namespace {

template<memory_order Order>
using order_of = ordered<Order>;

}  // namespace

TEST_CASE("an order carries the name of its site") {
    constexpr auto look = acquire("walk.look");
    STATIC_REQUIRE(std::string_view{look.where.name} == "walk.look");
    STATIC_REQUIRE(look.order == memory_order::acquire);
    STATIC_REQUIRE(release("a.b").order == memory_order::release);
    STATIC_REQUIRE(acq_rel("a.b").order == memory_order::acq_rel);
    STATIC_REQUIRE(seq_cst("a.b").order == memory_order::seq_cst);
    STATIC_REQUIRE(std::string_view{at("x.fence").name} == "x.fence");
    STATIC_REQUIRE(std::string_view{mmhold::relaxed.where.name}.empty());
}

TEST_CASE("a load neither releases nor does both") {
    STATIC_REQUIRE(LoadOrder<order_of<memory_order::relaxed>>);
    STATIC_REQUIRE(LoadOrder<order_of<memory_order::acquire>>);
    STATIC_REQUIRE(LoadOrder<order_of<memory_order::seq_cst>>);
    STATIC_REQUIRE_FALSE(LoadOrder<order_of<memory_order::release>>);
    STATIC_REQUIRE_FALSE(LoadOrder<order_of<memory_order::acq_rel>>);
}

TEST_CASE("a store neither acquires nor does both") {
    STATIC_REQUIRE(StoreOrder<order_of<memory_order::relaxed>>);
    STATIC_REQUIRE(StoreOrder<order_of<memory_order::release>>);
    STATIC_REQUIRE(StoreOrder<order_of<memory_order::seq_cst>>);
    STATIC_REQUIRE_FALSE(StoreOrder<order_of<memory_order::acquire>>);
    STATIC_REQUIRE_FALSE(StoreOrder<order_of<memory_order::acq_rel>>);
}

TEST_CASE("a fence orders something") {
    STATIC_REQUIRE_FALSE(FenceOrder<order_of<memory_order::relaxed>>);
    STATIC_REQUIRE(FenceOrder<order_of<memory_order::acquire>>);
    STATIC_REQUIRE(FenceOrder<order_of<memory_order::seq_cst>>);
}

TEST_CASE("only our orders are orders") {
    STATIC_REQUIRE_FALSE(AccessOrder<int>);
    STATIC_REQUIRE_FALSE(AccessOrder<memory_order>);
    STATIC_REQUIRE(AccessOrder<order_of<memory_order::acquire> const&>);
}

TEST_CASE("a failed compare-exchange is a load of the strongest order it may have") {
    CHECK(failure_order(memory_order::relaxed) == memory_order::relaxed);
    CHECK(failure_order(memory_order::acquire) == memory_order::acquire);
    CHECK(failure_order(memory_order::release) == memory_order::relaxed);
    CHECK(failure_order(memory_order::acq_rel) == memory_order::acquire);
    CHECK(failure_order(memory_order::seq_cst) == memory_order::seq_cst);
}
