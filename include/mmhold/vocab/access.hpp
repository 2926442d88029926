// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/flag_set.hpp>

#include <cstdint>

namespace mmhold {

/// What one access wants to do to a page.
enum class access : std::uint8_t { read, write, execute };

/// What a mapping permits (PROT_READ, PROT_WRITE, PROT_EXEC).
enum class protection_bit : std::uint8_t { read = 1, write = 2, execute = 4 };
using protection = flag_set<protection_bit>;

/// The usual protections by name.
namespace prot {
inline constexpr protection none{};
inline constexpr protection r{protection_bit::read};
inline constexpr protection w{protection_bit::write};
inline constexpr protection x{protection_bit::execute};
inline constexpr protection rw{protection_bit::read, protection_bit::write};
inline constexpr protection rx{protection_bit::read, protection_bit::execute};
inline constexpr protection rwx{protection_bit::read, protection_bit::write,
                                protection_bit::execute};
}  // namespace prot

/// May a mapping with `allowed` be accessed by `wanted`?
[[nodiscard]] constexpr bool permits(protection allowed, access wanted) noexcept {
    switch (wanted) {
        case access::read: return allowed.has(protection_bit::read);
        case access::write: return allowed.has(protection_bit::write);
        case access::execute: return allowed.has(protection_bit::execute);
    }
    return false;
}

/// Protection-key rights of one CPU: two bits per key, as in the PKRU register (access-disable,
/// write-disable).
struct protection_key_rights {
    std::uint32_t pkru{0};
    friend constexpr bool operator==(protection_key_rights, protection_key_rights) = default;

    /// May this CPU touch a page that carries `key` (0 … 15)? Keys never forbid execution.
    [[nodiscard]] constexpr bool permit(std::uint8_t key, access wanted) const noexcept {
        auto const rights = pkru >> (2U * (key & 15U));
        if (wanted == access::execute) return true;
        if ((rights & 1U) != 0) return false;
        return wanted == access::read || (rights & 2U) == 0;
    }
    /// The same rights with `key` set to `wanted_rights` (bit 0 disables access, bit 1 disables
    /// writes).
    [[nodiscard]] constexpr protection_key_rights with(std::uint8_t key,
                                                       std::uint32_t rights) const noexcept {
        auto const shift = 2U * (key & 15U);
        return {(pkru & ~(3U << shift)) | ((rights & 3U) << shift)};
    }
};

}  // namespace mmhold
