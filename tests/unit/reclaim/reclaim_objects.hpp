// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/retired.hpp>

#include <cstdint>
#include <utility>

namespace mmhold_test {

/// An object that counts how often it was freed.
struct tracked : mmhold::retired_object {
    unsigned freed{0};

    constexpr tracked() noexcept { mmhold::retired_object::free = count; }
    constexpr explicit tracked(std::uint64_t its_key) noexcept : tracked{} { key = its_key; }

private:
    static constexpr void count(mmhold::retired_object& object) noexcept {
        ++static_cast<tracked&>(object).freed;
    }
};

/// A checked host whose memory ends after a while.
struct poor_machine : mmhold::basic_host_machine<mmhold::asymmetric_fence::automatic,
                                                 mmhold::expectation::fatal> {
    static inline int creations_left = 0;

    template<class T, class... Args>
    [[nodiscard]] static T* create(Args&&... args) {
        if (creations_left <= 0) return nullptr;
        --creations_left;
        return checked_base::create<T>(std::forward<Args>(args)...);
    }

private:
    using checked_base = mmhold::basic_host_machine<mmhold::asymmetric_fence::automatic,
                                                    mmhold::expectation::fatal>;
};

/// What the tests of this folder run on: small batches, so that every path is short.
using small_domain = mmhold::hazard_domain<mmhold::checked_host_machine, 4>;

}  // namespace mmhold_test
