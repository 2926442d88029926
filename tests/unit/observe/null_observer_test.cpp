// SPDX-License-Identifier: BSL-1.0
#include <mmhold/observe/null_observer.hpp>

#include "support/catch.hpp"

#include <mmhold/machine/constexpr_machine.hpp>

#include <type_traits>

using namespace mmhold;

TEST_CASE("null_observer does not listen and has no state") {
    STATIC_REQUIRE(Observer<null_observer>);
    STATIC_REQUIRE(!null_observer::enabled);
    STATIC_REQUIRE(std::is_empty_v<null_observer>);
    STATIC_REQUIRE(std::is_trivially_default_constructible_v<null_observer>);
}

TEST_CASE("notify to a null_observer does not read the clock") {
    // On this machine a look at the clock would end constant evaluation.
    struct timeless : constexpr_machine {
        static constexpr std::uint64_t now() noexcept {
            expect(false, "the clock was read");
            return 0;
        }
    };
    constexpr auto silent = [] {
        null_observer nobody;
        notify<timeless>(nobody, event_kind::gup_begin, 1, 2, 3);
        return true;
    }();
    STATIC_REQUIRE(silent);
}
