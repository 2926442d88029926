// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/errc.hpp>

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace mmhold {

/// A value or the errc that explains its absence. (std::expected is C++23; this is the part of it
/// that is needed.)
///
/// Never throws, works under -fno-exceptions, usable in constant evaluation, holds move-only
/// values. Ignoring one is a compile-time warning (an error in this project's builds).
template<class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    /// Success. Implicit, so that `return value;` reads as it should.
    constexpr result(T value) noexcept(
        std::is_nothrow_move_constructible_v<T>)  // NOLINT(google-explicit-constructor)
        : value_{std::move(value)}, error_{errc::ok} {}

    /// Failure. `error` must not be errc::ok: success needs a value; ok is turned into
    /// invalid_argument.
    constexpr result(errc error) noexcept  // NOLINT(google-explicit-constructor)
        : nothing_{}, error_{error == errc::ok ? errc::invalid_argument : error} {}

    constexpr result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
        : nothing_{}, error_{other.error_} {
        if (other.has_value()) std::construct_at(std::addressof(value_), std::move(other.value_));
    }
    constexpr result(result const& other)
    requires std::copy_constructible<T>
        : nothing_{}, error_{other.error_} {
        if (other.has_value()) std::construct_at(std::addressof(value_), other.value_);
    }
    constexpr result& operator=(result const& other)
    requires std::copy_constructible<T>
    {
        if (this != &other) *this = result{other};
        return *this;
    }
    constexpr result& operator=(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
        if (this != &other) {
            reset();
            error_ = other.error_;
            if (other.has_value())
                std::construct_at(std::addressof(value_), std::move(other.value_));
        }
        return *this;
    }
    constexpr ~result()
    requires std::is_trivially_destructible_v<T>
    = default;
    constexpr ~result() { reset(); }

    /// Is there a value?
    [[nodiscard]] constexpr bool has_value() const noexcept { return error_ == errc::ok; }
    constexpr explicit operator bool() const noexcept { return has_value(); }

    /// Why there is none; errc::ok if there is one.
    [[nodiscard]] constexpr errc error() const noexcept { return error_; }

    /// The value. Precondition: has_value(); asking a failure for its value stops the program (in
    /// constant evaluation: the compilation) rather than reading an object that does not exist.
    [[nodiscard]] constexpr T& operator*() & noexcept { return require(), value_; }
    [[nodiscard]] constexpr T const& operator*() const& noexcept { return require(), value_; }
    [[nodiscard]] constexpr T&& operator*() && noexcept { return require(), std::move(value_); }
    [[nodiscard]] constexpr T* operator->() noexcept { return require(), std::addressof(value_); }
    [[nodiscard]] constexpr T const* operator->() const noexcept {
        return require(), std::addressof(value_);
    }

    /// The value, or `fallback`.
    [[nodiscard]] constexpr T value_or(T fallback) const&
    requires std::copy_constructible<T>
    {
        return has_value() ? value_ : std::move(fallback);
    }

private:
    constexpr void require() const noexcept {
        if (!has_value()) __builtin_trap();
    }
    constexpr void reset() noexcept {
        if (has_value()) std::destroy_at(std::addressof(value_));
        error_ = errc::invalid_argument;
    }

    struct nothing {};
    union {
        nothing nothing_;
        T value_;
    };
    errc error_;
};

/// Success without a value, or an errc.
template<>
class [[nodiscard]] result<void> {
public:
    using value_type = void;
    constexpr result() noexcept = default;
    /// ok means success here: there is no value to miss.
    constexpr result(errc error) noexcept : error_{error} {}  // NOLINT(google-explicit-constructor)
    [[nodiscard]] constexpr bool has_value() const noexcept { return error_ == errc::ok; }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] constexpr errc error() const noexcept { return error_; }

private:
    errc error_{errc::ok};
};

}  // namespace mmhold
