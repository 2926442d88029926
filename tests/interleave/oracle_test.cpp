// SPDX-License-Identifier: BSL-1.0
// The oracle in CI: 2,000 random programs in three memory models. MMHOLD_ORACLE_PROGRAMS and
// MMHOLD_ORACLE_SEED in the environment ask for more (the deep preset: 340,000 programs, 10^6
// comparisons).
#include "interleave/oracle.hpp"

#include "support/catch.hpp"

#include <cstdlib>

namespace {

std::uint64_t number_from(char const* variable, std::uint64_t otherwise) {
    char const* const text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

TEST_CASE("oracle: the reduced search reaches exactly what brute force reaches",
          "[explore][oracle]") {
    auto const result = mmhold_test::consult_oracle(number_from("MMHOLD_ORACLE_SEED", 1),
                                                    number_from("MMHOLD_ORACLE_PROGRAMS", 2010));
    INFO(result.first_mismatch);
    CHECK(result.mismatches == 0);
    CHECK(result.comparisons >= 6'000 - result.skipped);
    CHECK(result.skipped * 100 < result.comparisons);
    CHECK(result.redundant * 20 < result.reduced);
}
