// SPDX-License-Identifier: BSL-1.0
#pragma once

// Is the computer itself on time?
//
// The rows claim that nobody waits longer than a fraction of a millisecond. On a busy or virtual
// machine a thread may be kept from running for longer than that, with no lock involved. So beside
// the rows threads run that do nothing but sleep for a millisecond, one bound to each processor,
// and note how late they wake up. A failed check of a row during which even they were late says
// nothing about locks.

#include "samples.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <pthread.h>
#include <sched.h>
#include <thread>
#include <vector>

namespace stall {

/// Asks to be scheduled before ordinary work: lock holders then are not kept from running by
/// other programs. Threads started later inherit it. Answers whether it was granted (root is).
inline bool ask_for_real_time() {
    sched_param wanted{};
    wanted.sched_priority = sched_get_priority_min(SCHED_RR);
    return sched_setscheduler(0, SCHED_RR, &wanted) == 0;
}

/// Watches the processors this process may run on, from construction to destruction.
class host_probe {
public:
    host_probe() {
        cpu_set_t usable;
        CPU_ZERO(&usable);
        if (sched_getaffinity(0, sizeof usable, &usable) != 0) CPU_SET(0, &usable);
        for (int cpu = 0; cpu < CPU_SETSIZE && threads_.size() < most_threads; ++cpu) {
            if (CPU_ISSET(cpu, &usable)) threads_.emplace_back([this, cpu] { watch(cpu); });
        }
    }
    host_probe(host_probe const&) = delete;
    host_probe& operator=(host_probe const&) = delete;
    ~host_probe() {
        stop_.store(true, std::memory_order_relaxed);
        for (auto& one : threads_) one.join();
    }

    /// How late a thread was woken at worst since the last call of this function.
    duration worst_since_last_look() {
        return duration{worst_.exchange(0, std::memory_order_relaxed)};
    }

private:
    static constexpr std::size_t most_threads = 8;
    using clock = std::chrono::steady_clock;

    void watch(int cpu) {
        cpu_set_t only;
        CPU_ZERO(&only);
        CPU_SET(cpu, &only);
        (void)pthread_setaffinity_np(pthread_self(), sizeof only, &only);
        while (!stop_.load(std::memory_order_relaxed)) {
            auto const expected = clock::now() + std::chrono::milliseconds{1};
            std::this_thread::sleep_until(expected);
            note(clock::now() - expected);
        }
    }
    void note(duration late) {
        auto worst = worst_.load(std::memory_order_relaxed);
        while (worst < late.count() &&
               !worst_.compare_exchange_weak(worst, late.count(), std::memory_order_relaxed)) {}
    }

    std::atomic<bool> stop_{false};
    std::atomic<duration::rep> worst_{0};
    std::vector<std::thread> threads_{};
};

}  // namespace stall
