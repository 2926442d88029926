// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/reclaim/retired.hpp>

using namespace mmhold;

TEST_CASE("a fresh object has neither key nor free function") {
    retired_object const fresh;
    CHECK(fresh.key == 0);
    CHECK(fresh.free == nullptr);
    CHECK(fresh.next == nullptr);
}
