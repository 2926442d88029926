// SPDX-License-Identifier: BSL-1.0
// Real threads on every mm lock: with plain data under it (ThreadSanitizer judges), with
// downgrades, and with tasks that are killed while they wait, on stacks that are gone right after.
#include <mmhold/adapt/std_shared_mutex.hpp>
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "support/catch.hpp"
#include "support/stress.hpp"
#include "support/together.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

using namespace mmhold;

namespace {

using machine = checked_host_machine;

/// Two plain numbers that are equal whenever nobody holds the lock exclusively.
struct pair_of_numbers {
    std::uint64_t left = 0;
    std::uint64_t right = 0;

    void step() {
        ++left;
        ++right;
    }
    bool intact() const { return left == right; }
};

class deadline {
public:
    bool passed() const { return std::chrono::steady_clock::now() >= end_; }

private:
    std::chrono::steady_clock::time_point end_ =
        std::chrono::steady_clock::now() + mmhold_test::stress_time() / 3;
};

template<class L>
void readers_and_writers() {
    using shared = held_shared<L>;
    using exclusive = held_exclusive<L>;
    L lock;
    pair_of_numbers numbers;
    std::atomic<std::uint64_t> steps{0};
    std::atomic<std::uint64_t> torn{0};
    deadline const end;
    auto const reader = [&] {
        std::uint64_t last = 0;
        while (!end.passed()) {
            auto const held = shared::acquire(lock);
            if (!numbers.intact() || numbers.left < last) ++torn;
            last = numbers.left;
        }
    };
    auto const writer = [&] {
        while (!end.passed()) {
            auto const held = exclusive::acquire(lock);
            numbers.step();
            ++steps;
        }
    };
    auto const downgrader = [&] {
        while (!end.passed()) {
            auto writing = exclusive::acquire(lock);
            numbers.step();
            ++steps;
            auto const mine = numbers.left;
            auto const reading = std::move(writing).downgrade();
            if (numbers.left != mine || !numbers.intact()) ++torn;
        }
    };
    auto const trier = [&] {
        while (!end.passed()) {
            if (auto const held = exclusive::try_acquire(lock)) {
                numbers.step();
                ++steps;
            }
            if (auto const held = shared::try_acquire(lock); held && !numbers.intact()) ++torn;
        }
    };
    mmhold_test::in_threads(reader, reader, writer, downgrader, trier);
    CHECK(torn == 0);
    CHECK(numbers.left == steps);
    CHECK(numbers.intact());
    CHECK(lock.try_lock());
    lock.unlock();
}

/// Where one task at a time offers itself to be killed.
class scaffold {
public:
    void mount(task<machine>& victim) {
        std::lock_guard const held{mutex_};
        if (victim_ == nullptr) victim_ = &victim;
    }
    /// Afterwards nobody kills it any more.
    void leave(task<machine>& victim) {
        std::lock_guard const held{mutex_};
        if (victim_ == &victim) victim_ = nullptr;
    }
    void kill() {
        std::lock_guard const held{mutex_};
        if (victim_ != nullptr) victim_->kill();
        victim_ = nullptr;
    }

private:
    std::mutex mutex_;
    task<machine>* victim_ = nullptr;
};

/// Waiters come and go by signals: whoever is interrupted must not hold, whoever is not must.
template<class L>
void killed_waiters() {
    L lock;
    scaffold square;
    pair_of_numbers numbers;
    std::atomic<std::uint64_t> steps{0};
    std::atomic<std::uint64_t> interrupted{0};
    std::atomic<std::uint64_t> torn{0};
    deadline const end;
    auto const waiter = [&](unsigned seed) {
        std::minstd_rand random{seed};
        while (!end.passed()) {
            task<machine> me;  // gone after this round: a late waker would touch a dead task
            square.mount(me);
            if (random() % 3 == 0) {
                if (auto const held = held_exclusive<L>::acquire(lock, me, wait_mode::killable)) {
                    numbers.step();
                    ++steps;
                } else {
                    ++interrupted;
                }
            } else if (auto const held = held_shared<L>::acquire(lock, me, wait_mode::killable)) {
                if (!numbers.intact()) ++torn;
            } else {
                ++interrupted;
            }
            square.leave(me);
        }
    };
    auto const killer = [&] {
        while (!end.passed()) {
            square.kill();
            std::this_thread::yield();
        }
    };
    mmhold_test::in_threads([&] { waiter(1); }, [&] { waiter(2); }, [&] { waiter(3); }, killer);
    INFO("interrupted " << interrupted << " times, " << steps << " steps");
    CHECK(torn == 0);
    CHECK(numbers.left == steps);
    CHECK(lock.queue_length() == 0);
    CHECK(lock.try_lock());
    lock.unlock();
}

}  // namespace

TEST_CASE("lock stress: rw_lock with readers, writers, downgraders and triers") {
    readers_and_writers<rw_lock<machine>>();
}

TEST_CASE("lock stress: big_lock with readers, writers, downgraders and triers") {
    readers_and_writers<big_lock<machine>>();
}

TEST_CASE("lock stress: std_shared_mutex with readers, writers, downgraders and triers") {
    readers_and_writers<std_shared_mutex>();
}

TEST_CASE("lock stress: rw_lock with waiters that are killed") {
    killed_waiters<rw_lock<machine>>();
}

TEST_CASE("lock stress: big_lock with waiters that are killed") {
    killed_waiters<big_lock<machine>>();
}

TEST_CASE("lock stress: spin_lock") {
    spin_lock<machine> lock;
    pair_of_numbers numbers;
    std::atomic<std::uint64_t> steps{0};
    deadline const end;
    auto const actor = [&] {
        while (!end.passed()) {
            spin_guard const held{lock};
            numbers.step();
            ++steps;
        }
    };
    mmhold_test::in_threads(actor, actor, actor);
    CHECK(numbers.left == steps);
    CHECK(numbers.intact());
}
