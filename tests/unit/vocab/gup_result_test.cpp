// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/vocab/gup_result.hpp>

#include <cerrno>

using namespace mmhold;

TEST_CASE("1.2 rule 1: no pages asked for gives 0") {
    gup_result const nothing{};
    CHECK(nothing.complete());
    CHECK(to_linux(nothing) == 0);
}

TEST_CASE("1.2 rule 2: the result counts pages if there are any") {
    CHECK(to_linux({.pages = 7, .lock = lock_fate::kept}) == 7);
    gup_result const cut_short{.pages = 3, .stop = gup_stop::error, .error = errc::bad_address};
    CHECK(to_linux(cut_short) == 3);
    CHECK_FALSE(cut_short.complete());
    CHECK(cut_short.error == errc::bad_address);  // what Linux loses
}

TEST_CASE("1.2 rule 2: an error is reported only when no page was obtained") {
    CHECK(to_linux({.stop = gup_stop::error, .error = errc::bad_address}) == -EFAULT);
    CHECK(to_linux({.stop = gup_stop::error, .error = errc::interrupted}) == -EINTR);
    CHECK(to_linux({.stop = gup_stop::error, .error = errc::hardware_poison}) == -EHWPOISON);
}

TEST_CASE("1.2 rule 3: 0 comes from NOWAIT, FAST_ONLY and refused pins only") {
    CHECK(to_linux({.stop = gup_stop::would_wait}) == 0);
    CHECK(to_linux({.stop = gup_stop::not_fast}) == 0);
    CHECK(to_linux({.stop = gup_stop::bad_pin_arguments, .error = errc::invalid_argument}) == 0);
}

TEST_CASE("a partial count survives every way of stopping") {
    for (auto const stop : {gup_stop::would_wait, gup_stop::not_fast, gup_stop::error}) {
        CHECK(to_linux({.pages = 2, .stop = stop, .error = errc::ok}) == 2);
    }
}

TEST_CASE("2.4 step 7: *locked is 1 exactly if the lock was never released") {
    CHECK(to_linux_locked(lock_fate::kept) == 1);
    CHECK(to_linux_locked(lock_fate::lost) == 0);
    CHECK(to_linux_locked(lock_fate::never_held) == 0);
}

TEST_CASE("results compare by all their parts") {
    gup_result const one{.pages = 1, .lock = lock_fate::kept};
    CHECK(one == gup_result{.pages = 1, .lock = lock_fate::kept});
    CHECK_FALSE(one == gup_result{.pages = 1, .lock = lock_fate::lost});
    CHECK_FALSE(one == gup_result{.pages = 2, .lock = lock_fate::kept});
}
