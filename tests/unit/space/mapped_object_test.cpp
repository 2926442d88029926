// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/mapped_object.hpp>

#include "object_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

TEST_CASE("an object knows whether somebody maps it", "[object]") {
    object_world w;
    mapped_object<object_world::space_type>& object = w.object;
    CHECK(object.owner() == object_owner::host);
    CHECK(object.unmapped());
    w.map(w.one, 0, 0, 4);
    w.map(w.two, 0, 0, 4);
    CHECK_FALSE(object.unmapped());
    REQUIRE(w.one.munmap(w.me, w.span(1, 2)).has_value());
    REQUIRE(w.two.munmap(w.me, w.span(0, 4)).has_value());
    CHECK_FALSE(object.unmapped());
    REQUIRE(w.one.munmap(w.me, w.span(0, 4)).has_value());
    CHECK(object.unmapped());
}
