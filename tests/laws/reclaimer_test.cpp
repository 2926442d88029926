// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/skip.hpp"
#include "support/together.hpp"

#include <mmhold/laws/reclaimer.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

using namespace mmhold;

namespace {

using membarrier_host = basic_host_machine<asymmetric_fence::membarrier, expectation::fatal>;
using locked_host = basic_host_machine<asymmetric_fence::locked, expectation::fatal>;

void check_holds(law_report const& report) {
    INFO(report.law << ": " << (report.failure == nullptr ? "holds" : report.failure));
    CHECK(report.holds());
}

constexpr auto one_after_the_other = [](auto first, auto second) {
    first();
    second();
};

/// Frees at once, whatever readers say: every law that matters is broken.
template<class M>
class hasty_domain {
public:
    using machine = M;
    using record = hazard_record<M>;
    static constexpr unsigned levels = record::levels;
    static constexpr std::size_t held_back_per_cpu = levels;

    constexpr record* join() { return M::template create<record>(next_id_++); }
    constexpr void leave(record& mine) noexcept { M::destroy(&mine); }
    constexpr void retire(record&, retired_object& object) noexcept {
        ++sum_.retired, ++sum_.freed;
        object.free(object);
    }
    constexpr std::size_t reclaim(record&) noexcept { return 0; }
    constexpr std::size_t drain() noexcept { return 0; }
    constexpr void synchronize(record&) noexcept {}
    constexpr bool try_synchronize(record&) noexcept { return true; }
    constexpr reclaim_statistics statistics() const noexcept { return sum_; }

private:
    std::uint32_t next_id_{0};
    reclaim_statistics sum_{};
};

/// Protects what it must, but keeps everything until drain(): no bound.
template<class M>
class hoarding_domain : public hazard_domain<M, 1'000'000> {
public:
    static constexpr std::size_t held_back_per_cpu = 10;
};

}  // namespace

TEST_CASE("Reclaimer laws: hazard_domain, at compile time") {
    STATIC_REQUIRE(reclaimer_laws<hazard_domain<constexpr_machine, 4>>().holds());
    STATIC_REQUIRE(reclaimer_laws<hazard_domain<constexpr_machine, 1>>().holds());
    STATIC_REQUIRE(reclaimer_race_laws<hazard_domain<constexpr_machine, 3>>(one_after_the_other, 9)
                       .holds());
}

TEST_CASE("Reclaimer laws: hazard_domain on the host machine") {
    check_holds(reclaimer_laws<hazard_domain<checked_host_machine>>());
    check_holds(reclaimer_laws<hazard_domain<checked_host_machine, 1>>());
    check_holds(reclaimer_laws<hazard_domain<locked_host, 7>>());
}

TEST_CASE("Reclaimer laws: hazard_domain against a racing remover") {
    check_holds(reclaimer_race_laws<hazard_domain<checked_host_machine, 8>>(mmhold_test::in_threads, 3000));
    check_holds(reclaimer_race_laws<hazard_domain<locked_host, 1>>(mmhold_test::in_threads, 3000));
}

TEST_CASE("Reclaimer laws: hazard_domain with membarrier forced") {
    if (!membarrier_available()) {
        mmhold_test::skip("the kernel offers no expedited membarrier to this program");
        return;
    }
    check_holds(reclaimer_laws<hazard_domain<membarrier_host, 7>>());
    check_holds(reclaimer_race_laws<hazard_domain<membarrier_host, 2>>(mmhold_test::in_threads, 3000));
}

TEST_CASE("Reclaimer laws notice broken reclaimers") {
    STATIC_REQUIRE(Reclaimer<hasty_domain<constexpr_machine>>);
    constexpr auto hasty = reclaimer_laws<hasty_domain<constexpr_machine>>();
    CHECK(std::string_view{hasty.law} == "protected objects stay");
    CHECK_FALSE(hasty.holds());
    constexpr auto hoarding = reclaimer_laws<hoarding_domain<constexpr_machine>>();
    CHECK(std::string_view{hoarding.law} == "bounded garbage");
    CHECK_FALSE(hoarding.holds());
}
