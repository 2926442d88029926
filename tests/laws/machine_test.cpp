// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/skip.hpp"

#include <mmhold/laws/machine.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include <cstdint>
#include <string_view>

using namespace mmhold;

namespace {

void check_holds(law_report const& report) {
    INFO(report.law << ": " << (report.failure == nullptr ? "holds" : report.failure));
    CHECK(report.holds());
}

/// A machine with one thing wrong: its arrays are not value-initialised.
struct untidy_machine : constexpr_machine {
    template<class T>
    static constexpr T* create_array(std::size_t count) {
        auto* const first = constexpr_machine::create_array<T>(count);
        first[count - 1] = 1;
        return first;
    }
};

/// Another one: its compare_exchange fails for no reason now and then.
struct weak_machine : constexpr_machine {
    template<class T>
    struct atomic : constexpr_machine::atomic<T> {
        using constexpr_machine::atomic<T>::atomic;
        constexpr bool compare_exchange(T& expected, T desired, AccessOrder auto order) {
            if (++tries_ % 3 == 0) return false;
            return constexpr_machine::atomic<T>::compare_exchange(expected, desired, order);
        }

    private:
        unsigned tries_{0};
    };
    template<class T, class Predicate>
    static constexpr T await(atomic<T> const& word, Predicate done, LoadOrder auto order) {
        return constexpr_machine::await(word, done, order);
    }
    template<class T, class Predicate>
    static constexpr T poll(atomic<T> const& word, Predicate done, LoadOrder auto order) {
        return constexpr_machine::await(word, done, order);
    }
};

}  // namespace

TEST_CASE("Machine laws: constexpr_machine, at compile time") {
    STATIC_REQUIRE(machine_laws<constexpr_machine>().holds());
}

TEST_CASE("Machine laws: the host machines") {
    check_holds(machine_laws<host_machine>());
    check_holds(machine_laws<checked_host_machine>());
    check_holds(machine_laws<basic_host_machine<asymmetric_fence::locked>>());
}

TEST_CASE("Machine laws: the host machine with membarrier forced") {
    if (!membarrier_available()) {
        mmhold_test::skip("the kernel offers no expedited membarrier to this program");
        return;
    }
    check_holds(machine_laws<basic_host_machine<asymmetric_fence::membarrier>>());
}

TEST_CASE("Machine laws notice broken machines") {
    STATIC_REQUIRE(Machine<untidy_machine>);
    constexpr auto untidy = machine_laws<untidy_machine>();
    CHECK_FALSE(untidy.holds());
    CHECK(std::string_view{untidy.failure} == "create_array does not value-initialise");
    STATIC_REQUIRE(Machine<weak_machine>);
    constexpr auto weak = machine_laws<weak_machine>();
    CHECK_FALSE(weak.holds());
    CHECK(std::string_view{weak.failure} == "it failed without cause");
}
