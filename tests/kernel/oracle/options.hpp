// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>

namespace oracle {

/// What the command line asks for.
struct options {
    enum class mode : std::uint8_t { random_scripts, duets, replay, deviations, self_test, list };

    mode wanted = mode::random_scripts;
    std::uint64_t seed = 1;
    std::uint64_t scripts = 400;
    std::uint64_t steps = 0;  ///< go on until so many steps were compared; 0: `scripts` counts
    std::string ops_wanted{};
    std::string kinds_wanted{};
    std::string replay{};
    std::string json{};
    std::string folder = ".";
    bool model_alone = false;  ///< without the kernel
    bool pins = false;  ///< compare pin counts, which are the whole machine's
};

/// False: not understood.
bool read_options(int count, char** words, options& out);

/// How to call the program.
std::string usage();

}  // namespace oracle
