// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/host_probe.hpp"

#include "support/catch.hpp"

#include <chrono>
#include <thread>

using namespace stall;
using namespace std::chrono_literals;

TEST_CASE("host probe: notes some lateness, once, and ends promptly") {
    host_probe probe;
    duration worst{0};
    for (int look = 0; look < 500 && worst == 0ns; ++look) {
        std::this_thread::sleep_for(10ms);
        worst = probe.worst_since_last_look();
    }
    CHECK(worst > 0ns);  // no computer wakes a thread in no time
}
