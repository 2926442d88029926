// SPDX-License-Identifier: BSL-1.0
#pragma once

// machine_without<"site">: the model machine on which one named order or fence is missing. A template
// of the library instantiated with it is a mutant of that template – the same source, one defence
// less – and is a type like any other, so it can stand in a scenario_book.

#include <mmhold/explore/model_machine.hpp>

#include <algorithm>
#include <cstddef>
#include <source_location>
#include <string_view>

namespace mmhold_test {

using namespace mmhold;

/// The name of a site as a template argument.
template<std::size_t N>
struct site_name {
    char text[N]{};
    consteval site_name(char const (&name)[N]) { std::ranges::copy(name, text); }
    [[nodiscard]] constexpr bool is(site where) const noexcept {
        return std::string_view{text} == where.name;
    }
};

/// What a missing order becomes: a fence is skipped, an access is relaxed.
template<site_name Missing>
struct machine_without : model_machine {
    template<class T>
    class atomic : public model_machine::atomic<T> {
        using base = model_machine::atomic<T>;

    public:
        using base::base;
        template<LoadOrder O>
        [[nodiscard]] T load(O order,
                             std::source_location at = std::source_location::current()) const {
            return Missing.is(order.where) ? base::load(relaxed, at) : base::load(order, at);
        }
        template<StoreOrder O>
        void store(T value, O order, std::source_location at = std::source_location::current()) {
            Missing.is(order.where) ? base::store(value, relaxed, at)
                                    : base::store(value, order, at);
        }
        template<AccessOrder O>
        T exchange(T value, O order, std::source_location at = std::source_location::current()) {
            return Missing.is(order.where) ? base::exchange(value, relaxed, at)
                                           : base::exchange(value, order, at);
        }
        template<AccessOrder O>
        bool compare_exchange(T& expected, T desired, O order,
                              std::source_location at = std::source_location::current()) {
            return Missing.is(order.where) ? base::compare_exchange(expected, desired, relaxed, at)
                                           : base::compare_exchange(expected, desired, order, at);
        }
        template<AccessOrder O>
        T fetch_add(T value, O order, std::source_location at = std::source_location::current()) {
            return Missing.is(order.where) ? base::fetch_add(value, relaxed, at)
                                           : base::fetch_add(value, order, at);
        }
        template<AccessOrder O>
        T fetch_sub(T value, O order, std::source_location at = std::source_location::current()) {
            return Missing.is(order.where) ? base::fetch_sub(value, relaxed, at)
                                           : base::fetch_sub(value, order, at);
        }
        template<AccessOrder O>
        T fetch_or(T value, O order, std::source_location at = std::source_location::current()) {
            return Missing.is(order.where) ? base::fetch_or(value, relaxed, at)
                                           : base::fetch_or(value, order, at);
        }
        template<AccessOrder O>
        T fetch_and(T value, O order, std::source_location at = std::source_location::current()) {
            return Missing.is(order.where) ? base::fetch_and(value, relaxed, at)
                                           : base::fetch_and(value, order, at);
        }
    };

    template<FenceOrder O>
    static void fence(O order, std::source_location at = std::source_location::current()) {
        if (!Missing.is(order.where)) model_machine::fence(order, at);
    }
    /// A light fence does nothing when it runs: it forbids the compiler something, and tells the
    /// machine where a heavy fence may find us. So its absence must be told as well.
    static void light_fence(site where, std::source_location at = std::source_location::current()) {
        if (!Missing.is(where)) return model_machine::light_fence(where, at);
        if (detail::running != nullptr)
            detail::running->light_fence(detail::fence_request(memory_order::relaxed, where, at));
    }
    static void heavy_fence(site where, std::source_location at = std::source_location::current()) {
        if (!Missing.is(where)) model_machine::heavy_fence(where, at);
    }
    template<class T, class Predicate, LoadOrder O>
    static T await(atomic<T> const& word, Predicate done, O order,
                   std::source_location at = std::source_location::current()) {
        return Missing.is(order.where) ? model_machine::await(word, done, relaxed, at)
                                       : model_machine::await(word, done, order, at);
    }
    template<class T, class Predicate, LoadOrder O>
    static T poll(atomic<T> const& word, Predicate done, O order,
                  std::source_location at = std::source_location::current()) {
        return Missing.is(order.where) ? model_machine::poll(word, done, relaxed, at)
                                       : model_machine::poll(word, done, order, at);
    }
};

static_assert(Machine<machine_without<"some.site">>);

}  // namespace mmhold_test
