// SPDX-License-Identifier: BSL-1.0
// The oracle in CI: 2,050 random programs in three memory models, of which brute force can finish
// 6,000. MMHOLD_ORACLE_PROGRAMS and MMHOLD_ORACLE_SEED in the environment ask for others; the
// preset `deep` for 10^6 comparisons (cmake --workflow --preset deep).
#include "interleave/oracle.hpp"

#include "support/catch.hpp"

#include <cstdio>
#include <cstdlib>

namespace {

std::uint64_t number_from(char const* variable, std::uint64_t otherwise) {
    char const* const text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void print(mmhold_test::oracle_result const& r) {
    auto const number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf(
        "oracle: %llu comparisons (%llu of wrong programs), %llu too large for brute force, "
        "%llu mismatches; executions: %llu reduced, %llu begun in vain, %llu by brute force\n",
        number(r.comparisons), number(r.wrong), number(r.skipped), number(r.mismatches),
        number(r.reduced), number(r.redundant), number(r.brute));
}

}  // namespace

TEST_CASE("oracle: the reduced search reaches exactly what brute force reaches",
          "[explore][oracle]") {
    auto const programs = number_from("MMHOLD_ORACLE_PROGRAMS", 2050);
    auto const result =
        mmhold_test::consult_oracle(number_from("MMHOLD_ORACLE_SEED", 1), programs, 5000);
    print(result);
    INFO(result.first_mismatch);
    CHECK(result.mismatches == 0);
    CHECK(result.comparisons + result.skipped == 3 * programs);
    CHECK(result.skipped * 40 < result.comparisons);
    CHECK(result.wrong * 10 < result.comparisons);
    CHECK(result.redundant * 20 < result.reduced);
}

TEST_CASE("oracle: programs of every flavour find something and finish", "[explore][oracle]") {
    using namespace mmhold_test;
    for (std::uint64_t flavour = 0; flavour < 5; ++flavour) {
        oracle_result result;
        for (std::uint64_t seed = 1000 + flavour; seed < 1200; seed += 5)
            compare_one(seed, memory_model::tso, result, 5000);
        INFO("flavour " << flavour << ": " << result.first_mismatch);
        CHECK(result.comparisons > 30);
        CHECK(result.brute > result.reduced);
        CHECK(result.mismatches == 0);
    }
}
