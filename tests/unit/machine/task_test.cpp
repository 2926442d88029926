// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/machine/task.hpp>

#include <chrono>
#include <thread>
#include <type_traits>

using namespace mmhold;

namespace {

using host_task = task<checked_host_machine>;
using still_task = task<constexpr_machine>;

template<auto Call>
concept compiles_to_a_constant = requires { typename std::bool_constant<(Call(), true)>; };

template<auto Before>
constexpr void prepare_then_wait(wait_mode mode) {
    still_task sleeper;
    sleeper.prepare_to_wait();
    Before(sleeper);
    sleeper.wait(mode);
}

constexpr auto wake = [](still_task& sleeper) { sleeper.wake(); };
constexpr auto signal_it = [](still_task& sleeper) { sleeper.signal(); };
constexpr auto kill_it = [](still_task& sleeper) { sleeper.kill(); };
constexpr auto nothing = [](still_task&) {};

}  // namespace

TEST_CASE("a wait ends by a wake that came before it") {
    STATIC_REQUIRE(compiles_to_a_constant<[] {
        prepare_then_wait<wake>(wait_mode::uninterruptible);
    }>);
    STATIC_REQUIRE_FALSE(compiles_to_a_constant<[] {
        prepare_then_wait<nothing>(wait_mode::interruptible);
    }>);
}

TEST_CASE("an ordinary signal ends interruptible waits only") {
    STATIC_REQUIRE(compiles_to_a_constant<[] {
        prepare_then_wait<signal_it>(wait_mode::interruptible);
    }>);
    STATIC_REQUIRE_FALSE(compiles_to_a_constant<[] {
        prepare_then_wait<signal_it>(wait_mode::killable);
    }>);
}

TEST_CASE("a fatal signal ends killable and interruptible waits") {
    STATIC_REQUIRE(compiles_to_a_constant<[] {
        prepare_then_wait<kill_it>(wait_mode::interruptible);
    }>);
    STATIC_REQUIRE(compiles_to_a_constant<[] {
        prepare_then_wait<kill_it>(wait_mode::killable);
    }>);
    STATIC_REQUIRE_FALSE(compiles_to_a_constant<[] {
        prepare_then_wait<kill_it>(wait_mode::uninterruptible);
    }>);
}

TEST_CASE("prepare_to_wait forgets earlier wakes but no signals") {
    STATIC_REQUIRE_FALSE(compiles_to_a_constant<[] {
        still_task sleeper;
        sleeper.wake();
        sleeper.prepare_to_wait();
        sleeper.wait(wait_mode::uninterruptible);
    }>);
    host_task sleeper;
    sleeper.kill();
    sleeper.prepare_to_wait();
    CHECK(sleeper.fatal_signal_pending());
    sleeper.wait(wait_mode::killable);  // returns at once
}

TEST_CASE("signals are pending until they are taken") {
    host_task one;
    CHECK_FALSE(one.signal_pending(wait_mode::interruptible));
    one.signal();
    CHECK(one.signal_pending(wait_mode::interruptible));
    CHECK_FALSE(one.signal_pending(wait_mode::killable));
    CHECK_FALSE(one.signal_pending(wait_mode::uninterruptible));
    CHECK_FALSE(one.fatal_signal_pending());
    one.take_signal();
    CHECK_FALSE(one.signal_pending(wait_mode::interruptible));
    one.kill();
    one.take_signal();
    CHECK(one.fatal_signal_pending());
    CHECK(one.signal_pending(wait_mode::interruptible));
    CHECK_FALSE(one.signal_pending(wait_mode::uninterruptible));
}

TEST_CASE("a task sleeps until another thread wakes it") {
    host_task sleeper;
    checked_host_machine::plain<bool> done{false};
    sleeper.prepare_to_wait();
    std::thread waker{[&] {
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
        done.set(true);
        sleeper.wake();
    }};
    sleeper.wait(wait_mode::uninterruptible);
    CHECK(done.get());
    waker.join();
}

TEST_CASE("a sleeping task is killed by another thread") {
    host_task sleeper;
    sleeper.prepare_to_wait();
    std::thread killer{[&] {
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
        sleeper.kill();
    }};
    sleeper.wait(wait_mode::killable);
    CHECK(sleeper.fatal_signal_pending());
    killer.join();
}
