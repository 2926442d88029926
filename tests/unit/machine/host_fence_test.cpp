// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/skip.hpp"

#include <mmhold/machine/host_fence.hpp>
#include <mmhold/machine/host_machine.hpp>

#include <atomic>
#include <cstdint>
#include <thread>

using namespace mmhold;

namespace {

/// Store buffering with the asymmetric pair: how often did both sides miss the other's store?
template<class M>
unsigned both_missed(unsigned rounds) {
    typename M::template atomic<std::uint32_t> x{0};
    typename M::template atomic<std::uint32_t> y{0};
    std::atomic<unsigned> gate{0};
    std::uint32_t light_saw = 0;
    unsigned bad = 0;
    std::thread light{[&] {
        for (unsigned round = 1; round <= rounds; ++round) {
            while (gate.load() != 2 * round - 1) std::this_thread::yield();
            x.store(round, relaxed);
            M::light_fence(at("test.light"));
            light_saw = y.load(relaxed);
            gate.store(2 * round);
        }
    }};
    for (unsigned round = 1; round <= rounds; ++round) {
        gate.store(2 * round - 1);
        y.store(round, relaxed);
        M::heavy_fence(at("test.heavy"));
        auto const heavy_saw = x.load(relaxed);
        while (gate.load() != 2 * round) std::this_thread::yield();
        if (light_saw != round && heavy_saw != round) ++bad;
    }
    light.join();
    return bad;
}

}  // namespace

TEST_CASE("of a light and a heavy fence at least one side sees the other: locked form") {
    CHECK(both_missed<basic_host_machine<asymmetric_fence::locked>>(2000) == 0);
}

TEST_CASE("of a light and a heavy fence at least one side sees the other: membarrier form") {
    if (!membarrier_available()) {
        mmhold_test::skip("the kernel offers no expedited membarrier to this program");
        return;
    }
    CHECK(both_missed<basic_host_machine<asymmetric_fence::membarrier>>(2000) == 0);
}

TEST_CASE("of a light and a heavy fence at least one side sees the other: automatic form") {
    CHECK(both_missed<basic_host_machine<asymmetric_fence::automatic>>(2000) == 0);
}

TEST_CASE("the automatic form follows the kernel, the others do as they are told") {
    CHECK(detail::uses_membarrier<asymmetric_fence::automatic>() == membarrier_available());
    CHECK(detail::uses_membarrier<asymmetric_fence::membarrier>());
    CHECK_FALSE(detail::uses_membarrier<asymmetric_fence::locked>());
}

TEST_CASE("under ThreadSanitizer the fence is the locked form") {
    if (!detail::under_thread_sanitizer()) {
        mmhold_test::skip("this program is not built with ThreadSanitizer");
        return;
    }
    CHECK_FALSE(membarrier_available());
}
