// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"
#include "support/last_words.hpp"

#include <string>
#include <thread>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using lock_type = big_lock<machine>;

template<class L>
constexpr bool one_holder_at_a_time() {
    L lock;
    lock.lock_shared();
    if (lock.try_lock_shared() || lock.try_lock()) return false;
    lock.unlock_shared();
    lock.lock();
    if (lock.try_lock_shared() || lock.try_lock()) return false;
    lock.downgrade();
    if (lock.try_lock_shared() || lock.try_lock()) return false;
    lock.unlock_shared();
    if (!lock.try_lock()) return false;
    lock.unlock();
    if (!lock.try_lock_shared()) return false;
    lock.unlock_shared();
    return lock.queue_length() == 0;
}

template<class L>
constexpr bool a_pending_signal_ends_a_wait() {
    L lock;
    task<typename L::machine> killed;
    killed.kill();
    if (!lock.lock_shared(killed, wait_mode::killable)) return false;
    if (lock.lock_shared(killed, wait_mode::killable).error() != errc::interrupted) return false;
    if (lock.lock(killed, wait_mode::interruptible).error() != errc::interrupted) return false;
    lock.unlock_shared();
    return lock.try_lock() && lock.queue_length() == 0;
}

static_assert(one_holder_at_a_time<big_lock<constexpr_machine>>());
static_assert(a_pending_signal_ends_a_wait<big_lock<constexpr_machine>>());

void until_in_line(lock_type& lock, std::size_t count) {
    while (lock.queue_length() != count) std::this_thread::yield();
}

}  // namespace

TEST_CASE("big_lock: one holder at a time, shared or not") {
    CHECK(one_holder_at_a_time<lock_type>());
    CHECK(a_pending_signal_ends_a_wait<lock_type>());
}

TEST_CASE("big_lock: the line is served in order") {
    lock_type lock;
    std::string order;
    lock.lock();
    std::thread first{[&] {
        lock.lock_shared();
        order += '1';
        lock.unlock_shared();
    }};
    until_in_line(lock, 1);
    std::thread second{[&] {
        lock.lock();
        order += '2';
        lock.downgrade();
        order += '2';
        lock.unlock_shared();
    }};
    until_in_line(lock, 2);
    std::thread third{[&] {
        lock.lock_shared();
        order += '3';
        lock.unlock_shared();
    }};
    until_in_line(lock, 3);
    order += '0';
    lock.unlock();
    first.join();
    second.join();
    third.join();
    CHECK(order == "01223");
    CHECK(lock.queue_length() == 0);
}

TEST_CASE("big_lock: a killed waiter leaves the line") {
    lock_type lock;
    task<machine> victim;
    auto seen = errc::ok;
    lock.lock_shared();
    std::thread waiter{[&] { seen = lock.lock(victim, wait_mode::killable).error(); }};
    until_in_line(lock, 1);
    victim.signal();
    CHECK(lock.queue_length() == 1);
    victim.kill();
    waiter.join();
    CHECK(seen == errc::interrupted);
    CHECK(lock.queue_length() == 0);
    lock.unlock_shared();
    CHECK(lock.try_lock());
    lock.unlock();
}

TEST_CASE("big_lock: misuse is found out on a checked machine") {
    auto const not_held = mmhold_test::last_words([] {
        lock_type lock;
        lock.unlock();
    });
    CHECK(not_held.died);
    CHECK(not_held.words.find("big_lock: unlocked, but not held like that") != std::string::npos);
    auto const wrong_kind = mmhold_test::last_words([] {
        lock_type lock;
        lock.lock();
        lock.unlock_shared();
    });
    CHECK(wrong_kind.died);
    auto const not_exclusive = mmhold_test::last_words([] {
        lock_type lock;
        lock.lock_shared();
        lock.downgrade();
    });
    CHECK(not_exclusive.words.find("downgrade, but not exclusive") != std::string::npos);
}
