// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "step.hpp"
#include <cstdint>

namespace parity {

/// What the model must be told of the machine it is compared with.
struct surroundings {
    std::uint64_t device_at{0};  ///< where [vvar] is; 0: nowhere
    std::uint64_t device_pages{0};
    std::uint64_t vdso_at{0};  ///< where [vdso] is
    std::uint64_t vdso_pages{0};
};

/// Runs `steps` on an address space of the library: one answer for each.
std::vector<answer> run_on_model(script const& steps, surroundings const& where);

}  // namespace parity
