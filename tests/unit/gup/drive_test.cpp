// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/scripted_mm.hpp"

#include <mmhold/gup/drive.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/lock/null_lock.hpp>

#include <array>

using namespace mmhold_test;

TEST_CASE("take_shared: as interruptibly as the lock allows", "[gup]") {
    mm::task<test_machine> me;
    SECTION("a lock with killable waits") {
        mm::rw_lock<test_machine> lock;
        REQUIRE(lock.try_lock());
        me.kill();
        CHECK_FALSE(mm::detail::take_shared<test_machine>(lock, me, mm::wait_mode::killable).has_value());
        lock.unlock();
        auto const held = mm::detail::take_shared<test_machine>(lock, me, mm::wait_mode::uninterruptible);
        CHECK(held->guards(lock));
    }
    SECTION("a lock that can only be tried gives in after some tries, or to a signal") {
        try_only_lock lock;
        lock.refusals = 3;
        CHECK(mm::detail::take_shared<test_machine>(lock, me, mm::wait_mode::killable).has_value());
        lock.refusals = 100;
        me.kill();
        CHECK_FALSE(mm::detail::take_shared<test_machine>(lock, me, mm::wait_mode::killable).has_value());
        CHECK(lock.refusals == 99);
    }
}

TEST_CASE("a pending fault is asked again with the lock held, then the statistics add up", "[gup]") {
    scripted_mm host;
    using step = scripted_pages::step;
    host.absent(0, {step::pending, step::pending, step::retry});
    std::array<mm::pfn, 2> out{};
    CHECK(mm::gup_unlocked(host.cards, host.me, scripted_pages::span(2), {}, out).complete());
    CHECK(host.pages.faults.size() == 3);
    CHECK(host.me.stats().slow_pages == 2);
    CHECK(host.me.stats().lock_drops == 1);
    CHECK(host.lock.taken == 2);
    CHECK(host.lock.given == 2);
}
