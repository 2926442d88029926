// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/last_words.hpp"

#include <mmhold/machine/constexpr_machine.hpp>

#include <cstdint>
#include <type_traits>

using namespace mmhold;

namespace {

using M = constexpr_machine;

template<auto Call>
concept compiles_to_a_constant = requires { typename std::bool_constant<(Call(), true)>; };

constexpr bool is_odd(std::uint32_t value) { return value % 2 == 1; }

constexpr std::uint32_t count_down() {
    M::atomic<std::uint32_t> word{10};
    while (word.load(relaxed) > 3) (void)word.fetch_sub(1, relaxed);
    return word.load(relaxed);
}

constexpr int sum_of_created() {
    auto* const one = M::create<int>(4);
    auto* const three = M::create_array<int>(3);
    int const sum = *one + three[0] + three[2];
    M::destroy(one);
    M::destroy_array(three, 3);
    return sum;
}

}  // namespace

TEST_CASE("words, memory and waiting work in constant evaluation") {
    STATIC_REQUIRE(count_down() == 3);
    STATIC_REQUIRE(sum_of_created() == 4);
    STATIC_REQUIRE(M::await(M::atomic<std::uint32_t>{5}, is_odd, relaxed) == 5);
    STATIC_REQUIRE(M::poll(M::atomic<std::uint32_t>{7}, is_odd, relaxed) == 7);
    STATIC_REQUIRE(M::now() == 0);
    STATIC_REQUIRE(M::holds(nullptr));
}

TEST_CASE("what never ends and what must not be is no constant expression") {
    STATIC_REQUIRE(compiles_to_a_constant<[] { M::expect(true, ""); }>);
    STATIC_REQUIRE_FALSE(compiles_to_a_constant<[] { M::expect(false, "it is false"); }>);
    STATIC_REQUIRE_FALSE(compiles_to_a_constant<[] {
        (void)M::await(M::atomic<std::uint32_t>{4}, is_odd, relaxed);
    }>);
    STATIC_REQUIRE_FALSE(compiles_to_a_constant<[] { (void)M::create<int>(1); }>);  // leaked
}

TEST_CASE("at run time the same things stop the program") {
    CHECK(mmhold_test::last_words([] { M::expect(false, "it is false"); }).died);
    CHECK(mmhold_test::last_words([] {
              (void)M::poll(M::atomic<std::uint32_t>{4}, is_odd, relaxed);
          }).died);
    CHECK_FALSE(mmhold_test::last_words([] { M::expect(true, ""); }).died);
}

TEST_CASE("a word of the constexpr machine can be a pointer") {
    int here = 0;
    M::atomic<int*> word{&here};
    int* expected = nullptr;
    CHECK_FALSE(word.compare_exchange(expected, nullptr, relaxed));
    CHECK(expected == &here);
    CHECK(word.exchange(nullptr, relaxed) == &here);
    CHECK(word.load(relaxed) == nullptr);
}
