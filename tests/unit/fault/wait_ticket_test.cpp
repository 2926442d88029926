// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/wait_ticket.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>

#include "unit/fault/counting_machine.hpp"
#include <thread>
#include <type_traits>
#include <utility>

using namespace mmhold_test;
using machine = counting_machine;
using mm::wait_mode;
using ticket = mm::wait_ticket<machine>;

namespace {

/// A waitable that says when it was abandoned.
struct noted : mm::waitable<machine> {
    int* abandoned;
    noted(mm::task<machine>& sleeper, int& count) : waitable{sleeper, &forget}, abandoned{&count} {}
    static void forget(mm::waitable<machine>& self) noexcept {
        ++*static_cast<noted&>(self).abandoned;
    }
};

static_assert(std::is_nothrow_move_constructible_v<ticket>);
static_assert(!std::is_copy_constructible_v<ticket>);
static_assert(!std::is_copy_assignable_v<ticket>);

constexpr bool empty_ticket_in_constant_evaluation() {
    mm::wait_ticket<mm::constexpr_machine> nothing;
    nothing.wait(wait_mode::uninterruptible);
    auto moved = std::move(nothing);
    moved.reset();
    return moved.ready() && nothing.ready();
}
static_assert(empty_ticket_in_constant_evaluation());

}  // namespace

TEST_CASE("an empty ticket is ready and waits for nothing", "[fault][ticket]") {
    ticket nothing;
    CHECK(nothing.ready());
    nothing.wait(wait_mode::uninterruptible);
    nothing.reset();
    CHECK(nothing.ready());
}

TEST_CASE("a ticket abandons its waitable exactly once", "[fault][ticket]") {
    mm::task<machine> sleeper;
    int count = 0;
    noted first{sleeper, count};
    {
        ticket one{first};
        ticket two{std::move(one)};
        CHECK(count == 0);
        CHECK(one.ready());  // moved from: nothing left to wait for
        CHECK_FALSE(two.ready());
    }
    CHECK(count == 1);
}

TEST_CASE("assigning to a ticket abandons what it had", "[fault][ticket]") {
    mm::task<machine> sleeper;
    int first_count = 0;
    int second_count = 0;
    noted first{sleeper, first_count};
    noted second{sleeper, second_count};
    ticket one{first};
    one = ticket{second};
    CHECK(first_count == 1);
    CHECK(second_count == 0);
    auto& itself = one;
    one = std::move(itself);
    CHECK(second_count == 0);
    one.reset();
    one.reset();
    CHECK(second_count == 1);
}

TEST_CASE("resolving makes the ticket ready and wakes the sleeper", "[fault][ticket]") {
    mm::task<machine> sleeper;
    int count = 0;
    noted on{sleeper, count};
    ticket mine{on};
    sleeper.prepare_to_wait();
    on.resolve();
    CHECK(mine.ready());
    mine.wait(wait_mode::uninterruptible);
    CHECK(&on.sleeper() == &sleeper);
}

TEST_CASE("a signal ends the wait in the modes that admit it", "[fault][ticket]") {
    int count = 0;
    mm::task<machine> signalled;
    noted one{signalled, count};
    ticket first{one};
    signalled.signal();
    first.wait(wait_mode::interruptible);
    CHECK_FALSE(first.ready());
    mm::task<machine> killed;
    noted two{killed, count};
    ticket second{two};
    killed.kill();
    second.wait(wait_mode::killable);
    second.wait(wait_mode::interruptible);
    CHECK_FALSE(second.ready());
}

TEST_CASE("stale wakes do not end a wait", "[fault][ticket][threads]") {
    for (int round = 0; round < 50; ++round) {
        mm::task<machine> sleeper;
        int count = 0;
        noted on{sleeper, count};
        mm::spin_lock<machine> queue_lock;
        ticket mine{on};
        sleeper.wake();
        std::thread resolver{[&] {
            sleeper.wake();
            mm::spin_guard<machine> const held{queue_lock};
            on.resolve();
        }};
        mine.wait(wait_mode::uninterruptible);
        CHECK(mine.ready());
        resolver.join();
    }
}
