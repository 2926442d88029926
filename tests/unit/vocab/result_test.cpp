// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/last_words.hpp"

#include <mmhold/vocab/result.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

using namespace mmhold;

namespace {

/// Counts its living instances.
struct counted {
    explicit counted(int& alive) : alive_{&alive} { ++*alive_; }
    counted(counted const& other) : alive_{other.alive_} { ++*alive_; }
    counted& operator=(counted const&) = default;
    ~counted() { --*alive_; }

private:
    int* alive_;
};

template<auto Call>
concept compiles_to_a_constant = requires { typename std::bool_constant<(Call(), true)>; };

constexpr int twice_of(result<int> number) { return *number * 2; }

}  // namespace

TEST_CASE("a result holds a value or an error") {
    result<int> const five{5};
    CHECK(five.has_value());
    CHECK(static_cast<bool>(five));
    CHECK(*five == 5);
    CHECK(five.error() == errc::ok);

    result<int> const none{errc::no_memory};
    CHECK_FALSE(none.has_value());
    CHECK(none.error() == errc::no_memory);
    CHECK(none.value_or(9) == 9);
    CHECK(five.value_or(9) == 5);
}

TEST_CASE("failing with ok is an invalid argument: a success needs a value") {
    result<int> const odd{errc::ok};
    CHECK_FALSE(odd.has_value());
    CHECK(odd.error() == errc::invalid_argument);
}

TEST_CASE("results of move-only values move") {
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
    result<std::unique_ptr<int>> first{std::make_unique<int>(3)};
    auto second = std::move(first);
    REQUIRE(second.has_value());
    CHECK(**second == 3);
    auto taken = *std::move(second);
    CHECK(*taken == 3);
}

TEST_CASE("assignment goes between values and errors in every direction") {
    result<std::string> to{std::string{"old"}};
    to = result<std::string>{errc::busy};
    CHECK(to.error() == errc::busy);
    to = result<std::string>{errc::exists};
    CHECK(to.error() == errc::exists);
    to = result<std::string>{std::string(100, 'x')};
    CHECK(to->size() == 100);
    result<std::string> const source{std::string(50, 'y')};
    to = source;
    CHECK(*to == *source);
    auto& same = to;
    to = same;
    CHECK(to->size() == 50);
    to = std::move(same);
    CHECK(to->size() == 50);
}

TEST_CASE("a result ends exactly the values that it began") {
    int alive = 0;
    {
        result<counted> one{counted{alive}};
        CHECK(alive == 1);
        auto two = one;
        CHECK(alive == 2);
        two = result<counted>{errc::again};
        CHECK(alive == 1);
        two = one;
        CHECK(alive == 2);
        auto three = std::move(one);
        CHECK(alive == 3);
    }
    CHECK(alive == 0);
}

TEST_CASE("a result works in constant evaluation and of cheap values costs no destructor") {
    STATIC_REQUIRE(twice_of(21) == 42);
    STATIC_REQUIRE(std::is_trivially_destructible_v<result<int>>);
    STATIC_REQUIRE_FALSE(std::is_trivially_destructible_v<result<std::string>>);
}

TEST_CASE("asking a failure for its value is no constant expression") {
    STATIC_REQUIRE(compiles_to_a_constant<[] { return twice_of(2); }>);
    STATIC_REQUIRE_FALSE(compiles_to_a_constant<[] { return twice_of(errc::busy); }>);
}

TEST_CASE("asking a failure for its value stops the program") {
    auto const end = mmhold_test::last_words([] {
        result<int> none{errc::busy};
        [[maybe_unused]] int volatile const read = *none;
    });
    CHECK(end.died);
}

TEST_CASE("a result without a value is ok or an error") {
    CHECK(result<void>{}.has_value());
    CHECK(result<void>{errc::ok}.has_value());
    CHECK_FALSE(result<void>{errc::interrupted}.has_value());
    CHECK(result<void>{errc::interrupted}.error() == errc::interrupted);
    CHECK_FALSE(static_cast<bool>(result<void>{errc::interrupted}));
}
