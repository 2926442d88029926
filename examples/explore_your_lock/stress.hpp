// SPDX-License-Identifier: BSL-1.0
#pragma once

// The same lock on real threads: the laws that every mm lock keeps, and a stress run that hopes to
// meet the bug.

#include <mmhold/laws/mm_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

#include "roster_lock.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace roster {

/// A thread's line. Whoever starts threads gives them out.
inline thread_local std::size_t line_of_this_thread = 0;
struct by_thread {
    std::size_t operator()() const { return line_of_this_thread; }
};

template<class Speech>
using host_lock = roster_lock<mmhold::host_machine, by_thread, 8, Speech>;
static_assert(mmhold::BlockingMmLock<host_lock<repaired>>);

/// Runs callables at the same time, each with a line of its own; returns when all have ended.
inline constexpr auto in_threads = [](auto&&... actors) {
    std::vector<std::jthread> threads;
    auto const start = [&](auto& act) {
        threads.emplace_back([&act, line = threads.size() + 1] {
            line_of_this_thread = line;
            act();
        });
    };
    (start(actors), ...);
};

/// What a stress run saw.
struct stress_result {
    std::uint64_t rounds{0};   ///< the reader was inside so often
    std::uint64_t writes{0};   ///< and the writer
    std::uint64_t clashes{0};  ///< rounds in which the reader met the writer inside
    double seconds{0};
};

/// A reader and a writer at each other's throat, for `duration`.
template<class Speech>
[[nodiscard]] stress_result stress(std::chrono::milliseconds duration) {
    using clock = std::chrono::steady_clock;
    host_lock<Speech> lock;
    mmhold::host_machine::atomic<std::uint32_t> writer_inside{0};
    mmhold::host_machine::atomic<std::uint32_t> over{0};
    stress_result seen;
    auto const read = [&] {
        while (over.load(relaxed) == 0) {
            if (!lock.try_lock_shared()) continue;
            ++seen.rounds;
            seen.clashes += writer_inside.load(relaxed);
            lock.unlock_shared();
        }
    };
    auto const write = [&] {
        auto const end = clock::now() + duration;
        while ((seen.writes & 1023U) != 0 || clock::now() < end) {
            lock.lock();
            writer_inside.store(1, relaxed);
            ++seen.writes;
            writer_inside.store(0, relaxed);
            lock.unlock();
        }
        over.store(1, relaxed);
    };
    auto const begin = clock::now();
    in_threads(read, write);
    seen.seconds = std::chrono::duration<double>(clock::now() - begin).count();
    return seen;
}

}  // namespace roster
