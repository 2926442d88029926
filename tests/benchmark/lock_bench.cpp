// SPDX-License-Identifier: BSL-1.0
// The mm lock beside std::shared_mutex: what a reader pays alone, what two readers pay for each
// other, and how long a writer waits behind readers that never leave a gap.
#include <mmhold/lock/big_lock.hpp>
#include <mmhold/lock/null_lock.hpp>
#include <mmhold/lock/rw_lock.hpp>
#include <mmhold/lock/seq_count.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/host_machine.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <shared_mutex>
#include <thread>
#include <vector>

using namespace mmhold;

namespace {

using rw = rw_lock<host_machine>;
using big = big_lock<host_machine>;
using null = null_lock<host_machine>;
using std_shared = std::shared_mutex;

template<class L>
L shared_by_all_threads;

/// lock_shared + unlock_shared, by one thread or by several at once.
template<class L>
void reader_pair(benchmark::State& state) {
    auto& lock = shared_by_all_threads<L>;
    for (auto _ : state) {
        lock.lock_shared();
        benchmark::ClobberMemory();
        lock.unlock_shared();
    }
}

/// lock + unlock, by one thread.
template<class L>
void writer_pair(benchmark::State& state) {
    L lock;
    for (auto _ : state) {
        lock.lock();
        benchmark::ClobberMemory();
        lock.unlock();
    }
}

void spin_pair(benchmark::State& state) {
    spin_lock<host_machine> lock;
    for (auto _ : state) {
        spin_guard const held{lock};
        benchmark::ClobberMemory();
    }
}

/// What a pin adds to a lockless walk: read_begin + read_retry.
void seq_count_read(benchmark::State& state) {
    seq_count<host_machine> count;
    for (auto _ : state) {
        auto const start = count.read_begin();
        benchmark::DoNotOptimize(count.read_retry(start));
    }
}

/// Holds the lock for about a microsecond: a page fault, a look at a vma.
inline void work() {
    auto const end = std::chrono::steady_clock::now() + std::chrono::microseconds{1};
    while (std::chrono::steady_clock::now() < end) {}
}

/// How long lock() takes while readers take turns of a microsecond, without a pause.
template<class L>
void writer_behind_readers(benchmark::State& state) {
    L lock;
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < state.range(0); ++i) {
        readers.emplace_back([&] {
            while (!stop) {
                lock.lock_shared();
                work();
                lock.unlock_shared();
            }
        });
    }
    for (auto _ : state) {
        auto const begin = std::chrono::steady_clock::now();
        lock.lock();
        auto const end = std::chrono::steady_clock::now();
        lock.unlock();
        state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
        std::this_thread::sleep_for(std::chrono::microseconds{200});
    }
    stop = true;
    for (auto& reader : readers) reader.join();
}

BENCHMARK(reader_pair<rw>)->ThreadRange(1, 2);
BENCHMARK(reader_pair<std_shared>)->ThreadRange(1, 2);
BENCHMARK(reader_pair<big>)->ThreadRange(1, 2);
BENCHMARK(reader_pair<null>);

BENCHMARK(writer_pair<rw>);
BENCHMARK(writer_pair<std_shared>);
BENCHMARK(writer_pair<big>);
BENCHMARK(writer_pair<null>);
BENCHMARK(spin_pair);
BENCHMARK(seq_count_read);

BENCHMARK(writer_behind_readers<rw>)->Arg(1)->Arg(2)->Iterations(500)->UseManualTime();
BENCHMARK(writer_behind_readers<std_shared>)->Arg(1)->Arg(2)->Iterations(500)->UseManualTime();

}  // namespace
