// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <thread>
#include <vector>

namespace mmhold_test {

/// Runs the callables in threads of their own, and returns when all have returned: what the
/// concurrent laws (laws/*.hpp) ask for.
inline constexpr auto in_threads = [](auto&&... actors) {
    std::vector<std::thread> threads;
    (threads.emplace_back([&actors] { actors(); }), ...);
    for (auto& thread : threads) thread.join();
};

}  // namespace mmhold_test
