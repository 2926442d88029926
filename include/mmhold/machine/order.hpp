// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace mmhold {

/// A place in the code where memory order matters, by name. Two things hang on it: the lint that
/// checks that orders come in pairs, and the explorer, which switches each site off in turn and
/// reports which scenario breaks.
struct site {
    char const* name{""};
};

/// Names the site of a fence: `M::light_fence(at("hazard.publish"))`.
[[nodiscard]] consteval site at(char const* name) noexcept { return site{name}; }

/// The orders of the C++ memory model ([intro.races], [atomics.order]); consume is left out on
/// purpose.
enum class memory_order : std::uint8_t { relaxed, acquire, release, acq_rel, seq_cst };

/// An order together with its site. The order is part of the type, so a load cannot be asked to
/// release and the host compiles to the bare instruction even without optimisation.
template<memory_order Order>
struct ordered {
    static constexpr memory_order order = Order;
    site where{};
};

/// No ordering: needs no partner and no name.
inline constexpr ordered<memory_order::relaxed> relaxed{};

/// `slot.load(acquire("walk.descend"))`: what happened before the partner's release is visible
/// afterwards.
[[nodiscard]] consteval ordered<memory_order::acquire> acquire(char const* name) noexcept {
    return {{name}};
}
/// `slot.store(word, release("table.publish"))`: everything before it is visible to the partner's
/// acquire.
[[nodiscard]] consteval ordered<memory_order::release> release(char const* name) noexcept {
    return {{name}};
}
/// Both, for read-modify-write operations.
[[nodiscard]] consteval ordered<memory_order::acq_rel> acq_rel(char const* name) noexcept {
    return {{name}};
}
/// In the single total order of all seq_cst operations.
[[nodiscard]] consteval ordered<memory_order::seq_cst> seq_cst(char const* name) noexcept {
    return {{name}};
}

namespace detail {
template<class T>
inline constexpr bool is_ordered = false;
template<memory_order Order>
inline constexpr bool is_ordered<ordered<Order>> = true;
}  // namespace detail

/// Any order-with-site.
template<class O>
concept AccessOrder = detail::is_ordered<std::remove_cvref_t<O>>;

/// Orders a load can have.
template<class O>
concept LoadOrder =
    AccessOrder<O> && (O::order != memory_order::release) && (O::order != memory_order::acq_rel);

/// Orders a store can have.
template<class O>
concept StoreOrder =
    AccessOrder<O> && (O::order != memory_order::acquire) && (O::order != memory_order::acq_rel);

/// Orders a fence can have.
template<class O>
concept FenceOrder = AccessOrder<O> && (O::order != memory_order::relaxed);

/// The order of the failed half of a compare-exchange: the strongest a load may have under `Order`
/// ([atomics.ref]).
[[nodiscard]] constexpr memory_order failure_order(memory_order order) noexcept {
    switch (order) {
        case memory_order::release: return memory_order::relaxed;
        case memory_order::acq_rel: return memory_order::acquire;
        default: return order;
    }
}

/// Shared or exclusive: how a lock is held, for protocol assertions and observers.
enum class lock_mode : std::uint8_t { shared, exclusive };

/// What a program says about the object of an M::note(). A model machine holds it to that.
enum class claim : std::uint8_t {
    found_under,       ///< it may be used as long as the caller's present hold of a lock lasts
    used,              ///< the caller is using it
    reference_taken,   ///< the caller has so many more references to it, or pins of it
    reference_given,   ///< it gives so many back; after the last one it must not use it
    reference_passed,  ///< it leaves so many to somebody else who will give them back
    wanted,            ///< the caller waits for this lock until it has taken it
    may_sleep,         ///< the same, and may go to sleep meanwhile: not with interrupts off
    not_wanted,        ///< it waits no longer and has not taken it
    interrupts_off,    ///< from here on the caller must not sleep
    interrupts_on,     ///< the end of that; in pairs, and they nest
    plain_read,        ///< it reads this field, which no plain<> can be: its class has no machine
    plain_written,     ///< the same, and it changes it
};

}  // namespace mmhold
