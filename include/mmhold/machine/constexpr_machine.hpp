// SPDX-License-Identifier: BSL-1.0
#pragma once

// constexpr_machine: one CPU, no interleaving, plain variables – so that whole scenarios are
// checked by static_assert.
//
// Every member works in constant evaluation. What cannot happen with a single actor (waiting for
// somebody else) and what must not happen (a false expectation) call a function that is not
// constexpr and whose name is the diagnosis.

#include <mmhold/machine/machine.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace mmhold {

namespace detail {

/// Nobody else runs, so this wait would never end.
inline void this_wait_would_never_end() noexcept { __builtin_trap(); }

/// An M::expect() was false.
inline void an_expectation_failed() noexcept { __builtin_trap(); }

template<class T>
class constexpr_atomic {
public:
    constexpr constexpr_atomic() noexcept = default;
    constexpr explicit constexpr_atomic(T value) noexcept : value_{value} {}
    constexpr constexpr_atomic(constexpr_atomic const&) = delete;
    constexpr constexpr_atomic& operator=(constexpr_atomic const&) = delete;
    constexpr ~constexpr_atomic() = default;

    [[nodiscard]] constexpr T load(LoadOrder auto) const noexcept { return value_; }
    constexpr void store(T value, StoreOrder auto) noexcept { value_ = value; }
    constexpr T exchange(T value, AccessOrder auto) noexcept {
        return std::exchange(value_, value);
    }
    constexpr bool compare_exchange(T& expected, T desired, AccessOrder auto) noexcept {
        if (value_ != expected) {
            expected = value_;
            return false;
        }
        value_ = desired;
        return true;
    }
    constexpr T fetch_add(T value, AccessOrder auto) noexcept {
        return std::exchange(value_, static_cast<T>(value_ + value));
    }
    constexpr T fetch_sub(T value, AccessOrder auto) noexcept {
        return std::exchange(value_, static_cast<T>(value_ - value));
    }
    constexpr T fetch_or(T value, AccessOrder auto) noexcept {
        return std::exchange(value_, static_cast<T>(value_ | value));
    }
    constexpr T fetch_and(T value, AccessOrder auto) noexcept {
        return std::exchange(value_, static_cast<T>(value_ & value));
    }
    constexpr void notify_one() noexcept {}
    constexpr void notify_all() noexcept {}

private:
    T value_{};
};

template<class T>
class constexpr_plain {
public:
    constexpr constexpr_plain() noexcept : value_{} {}
    constexpr explicit constexpr_plain(T value) noexcept : value_{std::move(value)} {}
    [[nodiscard]] constexpr T const& get() const noexcept { return value_; }
    constexpr void set(T value) noexcept { value_ = std::move(value); }

private:
    T value_;
};

}  // namespace detail

/// The Machine of constant evaluation; at run time it is a single-threaded machine. Members: see
/// Machine.
struct constexpr_machine {
    template<class T>
    using atomic = detail::constexpr_atomic<T>;
    template<class T>
    using plain = detail::constexpr_plain<T>;

    static constexpr void fence(FenceOrder auto) noexcept {}
    static constexpr void light_fence(site) noexcept {}
    static constexpr void heavy_fence(site) noexcept {}

    template<class T, class Predicate>
    static constexpr T await(atomic<T> const& word, Predicate done, LoadOrder auto order) noexcept {
        auto const value = word.load(order);
        if (!done(value)) detail::this_wait_would_never_end();
        return value;
    }
    template<class T, class Predicate>
    static constexpr T poll(atomic<T> const& word, Predicate done, LoadOrder auto order) noexcept {
        return await(word, done, order);
    }
    static constexpr void relax() noexcept {}

    template<class T, class... Args>
    [[nodiscard]] static constexpr T* create(Args&&... args) {
        return new T(std::forward<Args>(args)...);
    }
    template<class T>
    static constexpr void destroy(T* object) noexcept {
        delete object;
    }
    template<class T>
    [[nodiscard]] static constexpr T* create_array(std::size_t count) {
        return new T[count]{};
    }
    template<class T>
    static constexpr void destroy_array(T* first, std::size_t) noexcept {
        delete[] first;
    }

    static constexpr void name(void const*, char const*) noexcept {}
    static constexpr void name(void const*, char const*, std::size_t) noexcept {}
    static constexpr void expect(bool condition, char const*) noexcept {
        if (!condition) detail::an_expectation_failed();
    }
    static constexpr void lock_taken(void const*, lock_mode) noexcept {}
    static constexpr void lock_given(void const*, lock_mode) noexcept {}
    [[nodiscard]] static constexpr bool holds(void const*) noexcept { return true; }
    static constexpr void note(claim, void const*) noexcept {}
    static constexpr void note(claim, void const*, void const*) noexcept {}
    static constexpr void note(claim, void const*, std::uint64_t) noexcept {}
    [[nodiscard]] static constexpr std::uint64_t now() noexcept { return 0; }
};

static_assert(Machine<constexpr_machine>);

}  // namespace mmhold
