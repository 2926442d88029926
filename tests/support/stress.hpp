// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdlib>

namespace mmhold_test {

/// How long a stress test should run: the CMake variable MMHOLD_STRESS_MS, which ctest puts into the environment
/// (short in dev, longer under the sanitizers); 200 ms when a test is started by hand.
inline std::chrono::milliseconds stress_time() {
    char const* const text = std::getenv("MMHOLD_STRESS_MS");
    long const given = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
    return std::chrono::milliseconds{given > 0 ? given : 200};
}

}  // namespace mmhold_test
