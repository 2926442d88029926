// SPDX-License-Identifier: BSL-1.0
#include <mmhold/lock/observed_lock.hpp>

#include <mmhold/laws/mm_lock.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/observe/null_observer.hpp>
#include <mmhold/observe/ring_buffer.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <shared_mutex>
#include <thread>
#include <utility>
#include <vector>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using event_log = ring_buffer<machine>;

/// Counts its holds; a waiter whose task has a signal is interrupted.
struct counting_lock {
    using machine = checked_host_machine;
    bool try_lock_shared() {
        if (writers != 0) return false;
        ++readers;
        return true;
    }
    bool try_lock() {
        if (writers != 0 || readers != 0) return false;
        ++writers;
        return true;
    }
    void lock_shared() { ++readers; }
    void lock() { ++writers; }
    result<void> lock_shared(task<machine>& waiter, wait_mode mode) {
        if (waiter.signal_pending(mode)) return errc::interrupted;
        ++readers;
        return {};
    }
    result<void> lock(task<machine>& waiter, wait_mode mode) {
        if (waiter.signal_pending(mode)) return errc::interrupted;
        ++writers;
        return {};
    }
    void unlock_shared() { --readers; }
    void unlock() { --writers; }
    void downgrade() { --writers, ++readers; }
    int readers{0};
    int writers{0};
};

struct try_only_lock {
    bool try_lock_shared() { return true; }
    void unlock_shared() {}
    bool try_lock() { return false; }
    void unlock() {}
};

using observed = observed_lock<counting_lock, event_log, machine>;

static_assert(InterruptibleMmLock<observed> && Downgradable<observed>);
static_assert(BlockingMmLock<observed_lock<std::shared_mutex, event_log, machine>>);
static_assert(!InterruptibleMmLock<observed_lock<std::shared_mutex, event_log, machine>>);
static_assert(!Downgradable<observed_lock<std::shared_mutex, event_log, machine>>);
static_assert(MmLock<observed_lock<try_only_lock, event_log, machine>>);
static_assert(!BlockingMmLock<observed_lock<try_only_lock, event_log, machine>>);
static_assert(sizeof(observed_lock<counting_lock, null_observer, machine>)
              == sizeof(counting_lock));

constexpr std::uint64_t number = 42;
constexpr auto shared = lock_mode::shared;
constexpr auto exclusive = lock_mode::exclusive;
using enum event_kind;

using entry = std::pair<event_kind, lock_mode>;

/// The log as (kind, mode), after checking what is the same in every event.
std::vector<entry> entries(event_log const& from) {
    std::vector<entry> out;
    std::uint64_t last = 0;
    (void)from.for_each([&](event const& what) {
        CHECK(what.subject == number);
        CHECK(what.actor == unattributed);
        CHECK(what.time_ns >= last);
        last = what.time_ns;
        out.emplace_back(what.kind, static_cast<lock_mode>(what.value));
    });
    return out;
}

}  // namespace

TEST_CASE("observed_lock obeys the laws of the lock inside") {
    constexpr auto quiet = [] {
        observed_lock<null_lock<constexpr_machine>, null_observer, constexpr_machine> lock;
        return mm_lock_laws(lock);
    }();
    STATIC_REQUIRE(quiet.holds());

    event_log seen{64};
    observed_lock<rw_lock<machine>, event_log, machine> lock{seen, number};
    auto const heard = mm_lock_laws(lock);
    INFO((heard.holds() ? "" : heard.failure));
    CHECK(heard);
    CHECK(seen.recorded() > 0);
}

TEST_CASE("observed_lock reports waits and holds of both modes") {
    event_log seen{16};
    observed lock{seen, number};
    lock.lock_shared();
    CHECK(lock.unobserved().readers == 1);
    lock.unlock_shared();
    lock.lock();
    CHECK(lock.unobserved().writers == 1);
    lock.unlock();
    CHECK(lock.unobserved().writers == 0);
    CHECK(entries(seen)
          == std::vector<entry>{{lock_wait, shared}, {lock_acquired, shared},
                                {lock_released, shared}, {lock_wait, exclusive},
                                {lock_acquired, exclusive}, {lock_released, exclusive}});
}

TEST_CASE("observed_lock reports a try only if it succeeds, as a hold without waiting") {
    event_log seen{16};
    observed lock{seen, number};
    REQUIRE(lock.try_lock());
    CHECK_FALSE(lock.try_lock());
    CHECK_FALSE(lock.try_lock_shared());
    lock.unlock();
    REQUIRE(lock.try_lock_shared());
    lock.unlock_shared();
    CHECK(entries(seen)
          == std::vector<entry>{{lock_wait, exclusive}, {lock_acquired, exclusive},
                                {lock_released, exclusive}, {lock_wait, shared},
                                {lock_acquired, shared}, {lock_released, shared}});
}

TEST_CASE("observed_lock reports a wait that a signal ended as abandoned") {
    event_log seen{16};
    observed lock{seen, number};
    task<machine> killed;
    killed.kill();
    CHECK(lock.lock_shared(killed, wait_mode::killable).error() == errc::interrupted);
    CHECK(lock.lock(killed, wait_mode::killable).error() == errc::interrupted);
    task<machine> unharmed;
    CHECK(lock.lock(unharmed, wait_mode::killable).has_value());
    lock.unlock();
    CHECK(entries(seen)
          == std::vector<entry>{{lock_wait, shared}, {lock_abandoned, shared},
                                {lock_wait, exclusive}, {lock_abandoned, exclusive},
                                {lock_wait, exclusive}, {lock_acquired, exclusive},
                                {lock_released, exclusive}});
}

TEST_CASE("observed_lock reports a downgrade as the end of one hold and the start of another") {
    event_log seen{16};
    observed lock{seen, number};
    auto held = held_exclusive<observed>::acquire(lock);
    {
        auto weaker = std::move(held).downgrade();
        CHECK(lock.unobserved().readers == 1);
    }
    CHECK(lock.unobserved().readers == 0);
    CHECK(entries(seen)
          == std::vector<entry>{{lock_wait, exclusive}, {lock_acquired, exclusive},
                                {lock_released, exclusive}, {lock_wait, shared},
                                {lock_acquired, shared}, {lock_released, shared}});
}

TEST_CASE("observed_lock without an observer is quiet until it gets one") {
    event_log seen{16};
    observed lock;
    lock.lock();
    lock.unlock();
    CHECK(seen.recorded() == 0);
    lock.report_to(seen, number);
    lock.lock();
    lock.unlock();
    CHECK(seen.recorded() == 3);
}

TEST_CASE("observed_lock works with an observer that does not listen") {
    null_observer nobody;
    observed_lock<counting_lock, null_observer, machine> lock{nobody, number};
    auto const held = held_shared<decltype(lock)>::acquire(lock);
    CHECK(held.holding());
    CHECK(lock.unobserved().readers == 1);
}

TEST_CASE("observed_lock shows in its log that writers exclude everybody") {
    event_log seen{1 << 15};
    observed_lock<std::shared_mutex, event_log, machine> lock{seen, number};
    auto const work = [&lock] {
        for (int round = 0; round < 500; ++round) {
            lock.lock();
            lock.unlock();
            lock.lock_shared();
            lock.unlock_shared();
        }
    };
    std::thread other{work};
    work();
    other.join();

    // Holds in the order of their stamps: between an exclusive begin and its end nothing happens.
    std::vector<event> holds;
    (void)seen.for_each([&](event const& what) {
        if (what.kind != lock_wait) holds.push_back(what);
    });
    std::sort(holds.begin(), holds.end(), [](event const& a, event const& b) {
        if (a.time_ns != b.time_ns) return a.time_ns < b.time_ns;
        return a.kind == lock_released && b.kind != lock_released;
    });
    REQUIRE(holds.size() == 4000);
    int readers = 0;
    int writers = 0;
    int violations = 0;
    for (auto const& what : holds) {
        auto& count = static_cast<lock_mode>(what.value) == exclusive ? writers : readers;
        count += what.kind == lock_acquired ? 1 : -1;
        if (writers > 1 || (writers == 1 && readers != 0)) ++violations;
    }
    CHECK(violations == 0);
    CHECK(readers == 0);
    CHECK(writers == 0);
}
