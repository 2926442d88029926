// SPDX-License-Identifier: BSL-1.0
#pragma once

// model_machine: the Machine whose every interleaving can be searched.
//
// Its words, fields, fences and allocations ask the exploration that runs on this host thread.
// Where none runs (constant evaluation, a table built beforehand) they are plain variables.
//
// Modelling choices, each deliberate:
//   * A store waits in its actor's buffer until the search drains it; nothing but a locked
//     operation or a full fence hurries it. In particular giving up a lock with a release store
//     drains nothing.
//   * await and poll are one step each: they can run exactly when a value that satisfies the
//     predicate can be read. The predicate is called often; it must look at its argument only.
//   * An await that may have parked needs a notify after the write that ended it (plan::wakes).
//   * plain fields are not steps: their races are judged by happens-before, whichever order ran.
//   * create never fails. relax() does nothing the first plan::retries times; then it ends the
//     execution.
//   * now() counts steps.

#include <mmhold/explore/exploration.hpp>
#include <mmhold/machine/machine.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <source_location>
#include <type_traits>
#include <utility>

namespace mmhold {

namespace detail {

/// A value of at most eight bytes as a number, and back.
template<class T>
[[nodiscard]] constexpr std::uint64_t to_bits(T const& value) noexcept {
    if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
        if constexpr (std::is_enum_v<T>) {
            return to_bits(static_cast<std::underlying_type_t<T>>(value));
        } else {
            return static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<T>>(value));
        }
    } else {
        std::uint64_t bits = 0;
        std::memcpy(&bits, &value, sizeof(T));
        return bits;
    }
}
template<>
[[nodiscard]] constexpr std::uint64_t to_bits<bool>(bool const& value) noexcept {
    return value ? 1 : 0;
}
template<class T>
[[nodiscard]] constexpr T from_bits(std::uint64_t bits) noexcept {
    if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
        return static_cast<T>(bits);
    } else {
        T value;
        std::memcpy(static_cast<void*>(&value), &bits, sizeof(T));
        return value;
    }
}
/// The bits that a T has.
template<class T>
inline constexpr std::uint64_t width_mask = sizeof(T) == 8
                                                ? ~std::uint64_t{0}
                                                : (std::uint64_t{1} << (8 * sizeof(T) % 64)) - 1;

template<class O>
[[nodiscard]] constexpr request request_for(O const& order, std::source_location where) noexcept {
    return {O::order, order.where.name, where};
}
[[nodiscard]] constexpr request fence_request(memory_order order, site where,
                                              std::source_location line) noexcept {
    return {order, where.name, line};
}

/// A word of the model. T: trivially copyable, at most eight bytes.
template<class T>
class model_atomic {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8,
                  "mmhold: a word of the model machine has at most eight bytes");

public:
    constexpr model_atomic() noexcept : model_atomic{T{}} {}
    constexpr explicit model_atomic(T value) noexcept {
        if (std::is_constant_evaluated()) {
            if constexpr (std::is_integral_v<T>) cell_.initial = to_bits(value);
            return;
        }
        cell_.initial = to_bits(value);
        if (running != nullptr) running->born(cell_);
    }
    model_atomic(model_atomic const&) = delete;
    model_atomic& operator=(model_atomic const&) = delete;
    constexpr ~model_atomic() {
        if (!std::is_constant_evaluated() && running != nullptr) running->died(cell_);
    }

    template<LoadOrder O>
    [[nodiscard]] T load(O order, std::source_location at = std::source_location::current()) const {
        if (running == nullptr) return from_bits<T>(cell_.initial);
        return from_bits<T>(running->load(cell_, request_for(order, at)));
    }
    template<StoreOrder O>
    void store(T value, O order, std::source_location at = std::source_location::current()) {
        if (running == nullptr) {
            cell_.initial = to_bits(value);
        } else {
            running->store(cell_, to_bits(value), request_for(order, at));
        }
    }
    template<AccessOrder O>
    T exchange(T value, O order, std::source_location at = std::source_location::current()) {
        return update(op_kind::exchange, value, request_for(order, at));
    }
    template<AccessOrder O>
    bool compare_exchange(T& expected, T desired, O order,
                          std::source_location at = std::source_location::current()) {
        auto bits = to_bits(expected);
        bool equal = false;
        if (running == nullptr) {
            equal = cell_.initial == bits;
            bits = std::exchange(cell_.initial, equal ? to_bits(desired) : cell_.initial);
        } else {
            equal =
                running->compare_exchange(cell_, bits, to_bits(desired), request_for(order, at));
        }
        expected = from_bits<T>(bits);
        return equal;
    }
    template<AccessOrder O>
    T fetch_add(T value, O order, std::source_location at = std::source_location::current()) {
        return update(op_kind::add, value, request_for(order, at));
    }
    template<AccessOrder O>
    T fetch_sub(T value, O order, std::source_location at = std::source_location::current()) {
        return update(op_kind::subtract, value, request_for(order, at));
    }
    template<AccessOrder O>
    T fetch_or(T value, O order, std::source_location at = std::source_location::current()) {
        return update(op_kind::bit_or, value, request_for(order, at));
    }
    template<AccessOrder O>
    T fetch_and(T value, O order, std::source_location at = std::source_location::current()) {
        return update(op_kind::bit_and, value, request_for(order, at));
    }
    void notify_one(std::source_location at = std::source_location::current()) {
        if (running != nullptr) running->notify(cell_, wake_ledger::how_many::one, at);
    }
    void notify_all(std::source_location at = std::source_location::current()) {
        if (running != nullptr) running->notify(cell_, wake_ledger::how_many::all, at);
    }

    /// Only model_machine::await and poll call it.
    template<class Predicate>
    [[nodiscard]] T wait(Predicate const& done, exploration::waiting how, request const& r) const {
        auto const holds = [](void const* context, std::uint64_t value) {
            return static_cast<bool>(
                (*static_cast<Predicate const*>(context))(from_bits<T>(value)));
        };
        return from_bits<T>(running->await(cell_, predicate{holds, &done}, how, r));
    }

private:
    T update(op_kind kind, T operand, request const& r) {
        if (running == nullptr) {
            auto const changed = updated(kind, cell_.initial, to_bits(operand)) & width_mask<T>;
            return from_bits<T>(std::exchange(cell_.initial, changed));
        }
        return from_bits<T>(running->update(kind, cell_, to_bits(operand), width_mask<T>, r));
    }

    cell cell_{};
};

/// A field that some lock or publication protects: its races are found.
template<class T>
class model_plain {
public:
    constexpr model_plain() noexcept : model_plain{T{}} {}
    constexpr explicit model_plain(T value) noexcept : value_{std::move(value)} {
        if (!std::is_constant_evaluated() && running != nullptr) running->born(field_);
    }
    /// A copy is a new field: the source is read, the target written.
    constexpr model_plain(model_plain const& other) noexcept : model_plain{other.get()} {}
    constexpr model_plain& operator=(model_plain const& other) noexcept {
        if (this != &other) set(other.get());
        return *this;
    }
    constexpr ~model_plain() {
        if (!std::is_constant_evaluated() && running != nullptr) running->died(field_);
    }

    [[nodiscard]] constexpr T const& get(
        std::source_location at = std::source_location::current()) const {
        if (!std::is_constant_evaluated() && running != nullptr) running->read(field_, at);
        return value_;
    }
    constexpr void set(T value, std::source_location at = std::source_location::current()) {
        if (!std::is_constant_evaluated() && running != nullptr) running->written(field_, at);
        value_ = std::move(value);
    }

private:
    field_cell field_{};
    T value_;
};

}  // namespace detail

/// The Machine that explore() searches. Which memory model it shows is chosen per search
/// (plan::memory).
struct model_machine {
    template<class T>
    using atomic = detail::model_atomic<T>;
    template<class T>
    using plain = detail::model_plain<T>;

    template<FenceOrder O>
    static void fence(O order, std::source_location at = std::source_location::current()) {
        if (detail::running != nullptr) detail::running->fence(detail::request_for(order, at));
    }
    static void light_fence(site where, std::source_location at = std::source_location::current()) {
        if (detail::running == nullptr) return;
        detail::running->light_fence(detail::fence_request(memory_order::seq_cst, where, at));
    }
    static void heavy_fence(site where, std::source_location at = std::source_location::current()) {
        if (detail::running == nullptr) return;
        detail::running->heavy_fence(detail::fence_request(memory_order::seq_cst, where, at));
    }

    template<class T, class Predicate, LoadOrder O>
    static T await(atomic<T> const& word, Predicate done, O order,
                   std::source_location at = std::source_location::current()) {
        return word.wait(done, detail::exploration::waiting::parks, detail::request_for(order, at));
    }
    template<class T, class Predicate, LoadOrder O>
    static T poll(atomic<T> const& word, Predicate done, O order,
                  std::source_location at = std::source_location::current()) {
        return word.wait(done, detail::exploration::waiting::polls, detail::request_for(order, at));
    }
    static void relax() {
        if (detail::running != nullptr) detail::running->relax();
    }

    template<class T, class... Args>
    [[nodiscard]] static T* create(Args&&... args) {
        void* const memory = detail::running->create(sizeof(T), alignof(T));
        return ::new (memory) T(std::forward<Args>(args)...);
    }
    template<class T>
    static void destroy(T* object) noexcept {
        if (object == nullptr) return;
        detail::running->destroying(object);
        std::destroy_at(object);
        detail::running->destroyed(object);
    }
    template<class T>
    [[nodiscard]] static T* create_array(std::size_t count) {
        auto const bytes = count == 0 ? 1 : count * sizeof(T);
        auto* const first = static_cast<T*>(detail::running->create(bytes, alignof(T)));
        std::uninitialized_value_construct_n(first, count);
        return first;
    }
    template<class T>
    static void destroy_array(T* first, std::size_t count) noexcept {
        if (first == nullptr) return;
        detail::running->destroying(first);
        std::destroy_n(first, count);
        detail::running->destroyed(first);
    }

    static void name(void const* object, char const* text) {
        if (detail::running != nullptr)
            detail::running->name(object, text, detail::object_names::no_index);
    }
    static void name(void const* object, char const* text, std::size_t index) {
        if (detail::running != nullptr) detail::running->name(object, text, index);
    }
    static void expect(bool condition, char const* text) {
        if (!condition && detail::running != nullptr) detail::running->expect(condition, text);
    }
    static void lock_taken(void const* lock, lock_mode mode) {
        if (detail::running != nullptr) detail::running->lock_taken(lock, mode);
    }
    static void lock_given(void const* lock, lock_mode mode) {
        if (detail::running != nullptr) detail::running->lock_given(lock, mode);
    }
    [[nodiscard]] static bool holds(void const* lock) {
        return detail::running == nullptr || detail::running->holds(lock);
    }
    static constexpr void note(claim what, void const* object) {
        if (!std::is_constant_evaluated() && detail::running != nullptr)
            detail::running->note(what, object, nullptr, 1);
    }
    static constexpr void note(claim what, void const* object, void const* lock) {
        if (!std::is_constant_evaluated() && detail::running != nullptr)
            detail::running->note(what, object, lock, 1);
    }
    static constexpr void note(claim what, void const* object, std::uint64_t count) {
        if (!std::is_constant_evaluated() && detail::running != nullptr)
            detail::running->note(what, object, nullptr, count);
    }
    [[nodiscard]] static std::uint64_t now() {
        return detail::running == nullptr ? 0 : detail::running->now();
    }

    /// Who asks: the number of the scenario's actor; -1 during set-up, at the end, and where no
    /// exploration runs. What thread_local is on the host: all actors share one host thread, so
    /// code that keeps something per thread is given a policy that asks here.
    [[nodiscard]] static int actor() {
        return detail::running == nullptr ? -1 : detail::running->who();
    }
};

static_assert(Machine<model_machine>);

}  // namespace mmhold
