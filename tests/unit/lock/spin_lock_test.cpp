// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"
#include "support/last_words.hpp"
#include "support/together.hpp"

#include <atomic>
#include <thread>

using namespace mmhold;

namespace {

using lock_type = spin_lock<checked_host_machine>;

/// What spin_lock guards when clang looks (-Wthread-safety).
struct counter {
    lock_type lock;
    long count MMHOLD_GUARDED_BY(lock) = 0;

    void add() {
        spin_guard const held{lock};
        ++count;
    }
    long read() {
        spin_guard const held{lock};
        return count;
    }
};

// Tries a lock that it holds: legal, but not for the static analysis.
constexpr bool is_taken_and_given() MMHOLD_NO_THREAD_SAFETY_ANALYSIS {
    spin_lock<constexpr_machine> lock;
    if (lock.locked()) return false;
    lock.lock();
    if (lock.try_lock() || !lock.locked()) return false;
    lock.unlock();
    if (!lock.try_lock() || lock.try_lock()) return false;
    lock.unlock();
    {
        spin_guard const held{lock};
        if (!lock.locked()) return false;
    }
    return !lock.locked();
}

}  // namespace

static_assert(is_taken_and_given());
static_assert(sizeof(spin_lock<host_machine>) == 4);
static_assert(ExclusiveLockable<lock_type> && !MmLock<lock_type>);

TEST_CASE("spin_lock: keeps others out and lets the next one in") {
    counter shared;
    auto const add = [&shared] {
        for (int i = 0; i < 20'000; ++i) shared.add();
    };
    mmhold_test::in_threads(add, add, add);
    CHECK(shared.read() == 60'000);
}

TEST_CASE("spin_lock: a waiter gets in once the holder is out") {
    lock_type lock;
    std::atomic<bool> waiting{false};
    std::atomic<bool> in{false};
    lock.lock();
    std::thread waiter{[&] {
        waiting = true;
        spin_guard const held{lock};
        in = true;
    }};
    while (!waiting) std::this_thread::yield();
    CHECK_FALSE(in);
    lock.unlock();
    waiter.join();
    CHECK(in);
    CHECK_FALSE(lock.locked());
}

TEST_CASE("spin_lock: unlocking what nobody holds is found out") {
    auto const end = mmhold_test::last_words([]() MMHOLD_NO_THREAD_SAFETY_ANALYSIS {
        lock_type lock;
        lock.unlock();
    });
    CHECK(end.died);
    CHECK(end.words.find("spin_lock: unlocked, but nobody holds it") != std::string::npos);
}
