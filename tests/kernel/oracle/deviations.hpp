// SPDX-License-Identifier: BSL-1.0
#pragma once

// Where the model is known to differ from Linux. Each entry is a test that *still* deviates: once
// the model learns better, the test fails and the entry goes.

#include "comparison.hpp"
#include <string>
#include <vector>

namespace oracle {

/// One known difference: the last step of the script is where it shows.
struct deviation {
    std::string name{};
    std::vector<std::string> lines{};  ///< the script, as --replay reads it
    std::string linux_says{};          ///< to_text() of the last answer
    std::string model_says{};
    std::string differs_in{};  ///< as difference() words it
    std::string reason{};
    std::string section{};  ///< of gup-semantics
    bool everywhere{true};  ///< false: other kernels and drivers may agree with the model
};

/// All of them. None is known now; the self-test makes one, and one that is no more.
std::vector<deviation> known_deviations();

/// Empty if the two still differ as recorded, or need not differ everywhere and do not here; else
/// what is not as recorded.
std::string still_deviates(deviation const& known, parity::surroundings const& where,
                           std::string const& folder);

}  // namespace oracle
