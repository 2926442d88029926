// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/operation.hpp>

using namespace mmhold::detail;

TEST_CASE("conflict: same word and at least one write, of different actors", "[explore]") {
    footprint const read{5, 0, footprint::reads};
    footprint const other_read{5, 1, footprint::reads};
    footprint const write{5, 1, footprint::writes};
    footprint const elsewhere{6, 1, footprint::writes};
    CHECK(conflict(read, write));
    CHECK(conflict(write, read));
    CHECK(!conflict(read, other_read));
    CHECK(!conflict(read, elsewhere));
    CHECK(!conflict(footprint{5, 1, footprint::reads}, write));  // its own buffer
}

TEST_CASE("conflict: heavy fences meet stores into buffers, not each other", "[explore]") {
    footprint const heavy{0, 0, footprint::drains_all};
    footprint const other_heavy{0, 1, footprint::drains_all};
    footprint const store{0, 1, footprint::buffers};
    CHECK(conflict(heavy, store));
    CHECK(!conflict(heavy, other_heavy));
    CHECK(!conflict(store, footprint{0, 2, footprint::buffers}));
}
