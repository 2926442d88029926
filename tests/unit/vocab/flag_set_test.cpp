// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/vocab/fault_flags.hpp>
#include <mmhold/vocab/flag_set.hpp>
#include <mmhold/vocab/gup_flags.hpp>

#include <concepts>
#include <cstdint>

using namespace mmhold;

namespace {

enum class colour : std::uint8_t { red = 1, green = 2, blue = 0x80, yellow = 3 };
using colours = flag_set<colour>;

template<class A, class B>
concept mixable = requires(A a, B b) { a | b; } || requires(A a, B b) { a == b; };

}  // namespace

TEST_CASE("a set has the flags it was made of") {
    colours const two{colour::red, colour::blue};
    CHECK(two.has(colour::red));
    CHECK(two.has(colour::blue));
    CHECK_FALSE(two.has(colour::green));
    CHECK(two.bits() == 0x81);
    CHECK(colours{}.empty());
    CHECK(colours{}.bits() == 0);
    CHECK_FALSE(two.empty());
}

TEST_CASE("a group of bits is there if all of them are") {
    CHECK_FALSE(colours{colour::red}.has(colour::yellow));
    CHECK(colours{colour::red, colour::green}.has(colour::yellow));
    CHECK(colours{colour::red}.has_any(colour::yellow));
    CHECK_FALSE(colours{colour::blue}.has_any(colour::yellow));
}

TEST_CASE("sets are united, intersected and reduced") {
    colours const red{colour::red};
    CHECK((red | colour::green) == colours{colour::yellow});
    CHECK((red & colour::yellow) == red);
    CHECK((red & colour::blue).empty());
    CHECK(red.with(colour::blue).without(colour::red) == colours{colour::blue});
    CHECK(red.without(colour::blue) == red);
    CHECK(red.with_if(true, colour::green).has(colour::green));
    CHECK(red.with_if(false, colour::green) == red);
}

TEST_CASE("bits go in and out unchanged, also the highest one") {
    CHECK(colours::from_bits(0xff).bits() == 0xff);
    CHECK(colours::from_bits(0xff).without(colour::blue).bits() == 0x7f);
}

TEST_CASE("two families of flags cannot be mixed up") {
    STATIC_REQUIRE(mixable<gup_flags, gup_flag>);
    STATIC_REQUIRE_FALSE(mixable<gup_flags, fault_flags>);
    STATIC_REQUIRE_FALSE(mixable<gup_flags, fault_flag>);
    STATIC_REQUIRE_FALSE(std::convertible_to<gup_flags, std::uint32_t>);
    STATIC_REQUIRE_FALSE(std::convertible_to<std::uint32_t, gup_flags>);
    STATIC_REQUIRE_FALSE(std::convertible_to<gup_flags, bool>);
}
