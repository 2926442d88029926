#pragma once
#include <atomic>
#include <boost/atomic.hpp>
#include <chrono>
#include <cstdint>
#include <range/v3/all.hpp>
#define MMHOLD_SPIN 1
// std::mutex in a comment, and "std::mutex" in a string, are nobody's business.
inline char const* words = "std::mutex sleep rand()";
struct bad_lock {
    std::atomic<int> word;
    boost::atomic<int> other;
};
thread_local int who;
inline int spin() { usleep(1); return rand(); }
inline void sleepy_operand(int operand) {}
