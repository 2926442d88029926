// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/lock/null_lock.hpp>

#include "unit/fault/counting_machine.hpp"
#include <type_traits>

using namespace mmhold_test;
using lock_type = mm::null_lock<counting_machine>;
using outcome = mm::fault_outcome<lock_type, counting_machine>;
using held = mm::held_shared<lock_type>;
using mm::errc;
using mm::fault_kind;

static_assert(!std::is_copy_constructible_v<outcome>);
static_assert(std::is_nothrow_move_constructible_v<outcome>);

TEST_CASE("2.1: the outcomes that keep the lock", "[fault][outcome]") {
    CHECK(outcome::installed().kind() == fault_kind::installed);
    CHECK(outcome::installed_major().kind() == fault_kind::installed_major);
    CHECK(outcome::retry_kept().kind() == fault_kind::retry_lock_kept);
    CHECK(outcome::pending().kind() == fault_kind::pending);
    CHECK_FALSE(outcome::installed().lock_lost());
    CHECK_FALSE(outcome::installed_major().lock_lost());
    CHECK_FALSE(outcome::retry_kept().lock_lost());
    CHECK_FALSE(outcome::pending().lock_lost());
    CHECK(outcome::retry_kept().take_ticket().ready());
}

TEST_CASE("2.1: an error is final and keeps the lock", "[fault][outcome]") {
    for (auto const why : {errc::bad_address, errc::no_memory, errc::hardware_poison}) {
        auto const failed = outcome::failed(why);
        CHECK(failed.kind() == fault_kind::failed);
        CHECK(failed.error() == why);
        CHECK_FALSE(failed.lock_lost());
    }
    CHECK(outcome::installed().error() == errc::ok);
    CHECK(outcome::failed(errc::bad_address).signal() == mm::fatal_signal::bus_error);
    CHECK(outcome::failed(errc::bad_address, mm::fatal_signal::segmentation).signal() ==
          mm::fatal_signal::segmentation);
}

TEST_CASE("2.1: RETRY and COMPLETED that lose the lock come with the proof", "[fault][outcome]") {
    lock_type lock;
    auto first = held::acquire(lock);
    auto completed = outcome::completed(first.give_up());
    CHECK(completed.kind() == fault_kind::completed);
    CHECK(completed.lock_lost());
    CHECK(completed.take_ticket().ready());
    auto second = held::acquire(lock);
    mm::task<counting_machine> sleeper;
    int abandoned = 0;
    struct noted : mm::waitable<counting_machine> {
        int* count;
        noted(mm::task<counting_machine>& who, int& n)
            : waitable{who,
                       [](mm::waitable<counting_machine>& self) noexcept {
                           ++*static_cast<noted&>(self).count;
                       }},
              count{&n} {}
    } on{sleeper, abandoned};
    {
        auto retry = outcome::retry(second.give_up(), mm::wait_ticket<counting_machine>{on});
        CHECK(retry.kind() == fault_kind::retry_lock_dropped);
        CHECK(retry.lock_lost());
        CHECK_FALSE(second.holding());
        auto const ticket = retry.take_ticket();
        CHECK_FALSE(ticket.ready());
        CHECK(retry.take_ticket().ready());  // there was only one
    }
    CHECK(abandoned == 1);
}
