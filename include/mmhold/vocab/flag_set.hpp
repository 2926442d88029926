// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <initializer_list>
#include <type_traits>

namespace mmhold {

/// A set of the enumerators of `Flag`, whose values are single bits (or documented groups of bits).
///
/// Not convertible to or from integers by accident: two flag families (gup flags, fault flags)
/// cannot be mixed up.
template<class Flag>
requires std::is_enum_v<Flag>
class flag_set {
public:
    using bits_type = std::make_unsigned_t<std::underlying_type_t<Flag>>;

    constexpr flag_set() noexcept = default;
    constexpr flag_set(Flag flag) noexcept
        : bits_{static_cast<bits_type>(flag)} {}  // NOLINT(google-explicit-constructor)
    constexpr flag_set(std::initializer_list<Flag> flags) noexcept {
        for (auto const flag : flags)
            bits_ = static_cast<bits_type>(bits_ | static_cast<bits_type>(flag));
    }

    /// Are all bits of `flag` set?
    [[nodiscard]] constexpr bool has(Flag flag) const noexcept {
        auto const wanted = static_cast<bits_type>(flag);
        return (bits_ & wanted) == wanted;
    }
    /// Is any flag of `other` set?
    [[nodiscard]] constexpr bool has_any(flag_set other) const noexcept {
        return (bits_ & other.bits_) != 0;
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
    [[nodiscard]] constexpr bits_type bits() const noexcept { return bits_; }
    [[nodiscard]] static constexpr flag_set from_bits(bits_type bits) noexcept {
        flag_set out;
        out.bits_ = bits;
        return out;
    }

    /// Union: all flags of both.
    [[nodiscard]] constexpr flag_set with(flag_set other) const noexcept {
        return from_bits(static_cast<bits_type>(bits_ | other.bits_));
    }
    /// Difference: the flags that `other` does not have.
    [[nodiscard]] constexpr flag_set without(flag_set other) const noexcept {
        return from_bits(static_cast<bits_type>(bits_ & static_cast<bits_type>(~other.bits_)));
    }
    /// `flag` present exactly if `condition`.
    [[nodiscard]] constexpr flag_set with_if(std::same_as<bool> auto condition,
                                             flag_set flag) const noexcept {
        return condition ? with(flag) : *this;
    }

    /// Union and intersection.
    friend constexpr flag_set operator|(flag_set a, flag_set b) noexcept { return a.with(b); }
    friend constexpr flag_set operator&(flag_set a, flag_set b) noexcept {
        return from_bits(static_cast<bits_type>(a.bits_ & b.bits_));
    }
    friend constexpr bool operator==(flag_set, flag_set) = default;

private:
    bits_type bits_{};
};

}  // namespace mmhold
