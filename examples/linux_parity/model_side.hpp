// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "step.hpp"
#include <cstdint>

namespace parity {

/// A bug put into the model on purpose, to see whether it would be noticed.
enum class planted_bug : std::uint8_t {
    none,
    short_discard,  ///< MADV_DONTNEED forgets the last page of several
    short_read,     ///< process_vm_readv stops in front of its last page
    weak_populate,  ///< MADV_POPULATE_WRITE populates for reading
    lost_frame,     ///< munmap keeps a frame
};

/// What the model must be told of the machine it is compared with.
struct surroundings {
    std::uint64_t device_at{0};  ///< where [vvar] is; 0: nowhere
    std::uint64_t device_pages{0};
    std::uint64_t vdso_at{0};  ///< where [vdso] is
    std::uint64_t vdso_pages{0};
    bool has_swap{false};  ///< is there a device that pages can be swapped out to?
    planted_bug bug{planted_bug::none};
    bool counts_pins{false};  ///< are pins compared?
    std::uint64_t frames{0};  ///< how much memory there is; 0: enough
    std::uint64_t tables{192};
};

/// Runs `steps` on an address space of the library: one answer for each.
std::vector<answer> run_on_model(script const& steps, surroundings const& where);

}  // namespace parity
