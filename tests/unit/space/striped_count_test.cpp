// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/striped_count.hpp>

TEST_CASE("a striped count is the sum of what was added, wherever that was", "[space]") {
    mmhold::striped_count<mmhold::host_machine> count;
    CHECK(count.sum() == 0);
    for (std::uint32_t place = 0; place < 40; ++place) count.add(place, 3);
    count.add(~std::uint32_t{0}, ~std::uint32_t{0});
    CHECK(count.sum() == 120 + std::uint64_t{0xffffffff});
}
