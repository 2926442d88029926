// SPDX-License-Identifier: BSL-1.0
#include "../../../examples/proc_reader_stall/lock_history.hpp"

#include "support/catch.hpp"

#include <chrono>

using namespace stall;
using namespace std::chrono_literals;
using enum mmhold::event_kind;

TEST_CASE("lock history: waits end with the lock, holds with its release") {
    lock_history history;
    history.see({lock_wait, 1, 100, 0, 0});
    history.see({lock_acquired, 1, 130, 0, 0});
    history.see({lock_released, 1, 180, 0, 0});
    history.see({lock_wait, 1, 200, 0, 0});
    history.see({lock_acquired, 1, 205, 0, 0});
    history.see({lock_released, 1, 210, 0, 0});
    auto const waits = summarise(history.waits_of(1));
    CHECK(waits.count == 2);
    CHECK(waits.p50 == 5ns);
    CHECK(waits.max == 30ns);
    CHECK(history.longest_hold() == 50ns);
}

TEST_CASE("lock history: actors are kept apart though their events interleave") {
    lock_history history;
    history.see({lock_wait, 1, 100, 0, 0});
    history.see({lock_wait, 2, 110, 0, 0});
    history.see({lock_acquired, 1, 120, 0, 0});
    history.see({lock_released, 1, 125, 0, 0});
    history.see({lock_acquired, 2, 130, 0, 0});
    history.see({lock_released, 2, 230, 0, 0});
    CHECK(history.waits_of(1).max() == 20ns);
    CHECK(history.waits_of(2).max() == 20ns);
    CHECK(history.longest_hold() == 100ns);
    CHECK(history.waits_of(3).count() == 0);
}

TEST_CASE("lock history: a wait that was abandoned is no wait") {
    lock_history history;
    history.see({lock_wait, 1, 100, 0, 0});
    history.see({lock_abandoned, 1, 500, 0, 0});
    CHECK(history.waits_of(1).count() == 0);
    CHECK(history.longest_hold() == 0ns);
}

TEST_CASE("lock history: other events say nothing about the lock") {
    lock_history history;
    history.see({gup_begin, 1, 5, 0, 0});
    history.see({fault_begin, 1, 6, 0, 0});
    history.see({user_mark, 1, 7, 0, 0});
    CHECK(history.waits_of(1).count() == 0);
}
