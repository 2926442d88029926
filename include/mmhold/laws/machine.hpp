// SPDX-License-Identifier: BSL-1.0
#pragma once

// The laws of Machine that one actor can judge. What takes two (visibility, fences, waking) is
// judged by laws/mm_lock.hpp and laws/reclaimer.hpp on top of a machine, with real concurrency.

#include <mmhold/laws/law_report.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/machine.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

namespace detail {

template<Machine M, class T>
constexpr law_report law_of_words() {
    law_check law{"a word keeps what was last stored"};
    typename M::template atomic<T> fresh;
    law.require(fresh.load(relaxed) == T{0}, "a fresh word is not zero");
    typename M::template atomic<T> word{T{7}};
    law.require(word.load(relaxed) == T{7}, "a fresh word does not read its initial value");
    word.store(T{8}, relaxed);
    law.require(word.load(relaxed) == T{8}, "a relaxed store is not read back");
    // (law.word_store) release: any order will do; alone: one actor.
    word.store(T{9}, release("law.word_store"));
    // (law.word_load) acquire: any order will do; alone: one actor.
    law.require(word.load(acquire("law.word_load")) == T{9}, "a release store is not read back");
    law.require(word.exchange(T{10}, relaxed) == T{9}, "exchange does not answer the old value");
    law.require(word.load(relaxed) == T{10}, "exchange does not write the new value");
    return law.report();
}

template<Machine M, class T>
constexpr law_report law_of_compare_exchange() {
    law_check law{"compare_exchange succeeds exactly if the word equals `expected`"};
    typename M::template atomic<T> word{T{5}};
    for (T round = 5; round < 15; ++round) {
        T expected = round;
        auto const next = static_cast<T>(round + 1);
        law.require(word.compare_exchange(expected, next, relaxed), "it failed without cause");
        law.require(word.load(relaxed) == next, "it succeeded and did not write");
    }
    T expected = 1;
    law.require(!word.compare_exchange(expected, T{2}, relaxed), "it succeeded on another value");
    law.require(expected == T{15}, "it failed and did not say what is in the word");
    law.require(word.load(relaxed) == T{15}, "it failed and wrote nevertheless");
    return law.report();
}

template<Machine M, class T>
constexpr law_report law_of_arithmetic() {
    law_check law{"fetch_* answer the old value"};
    typename M::template atomic<T> word{T{12}};
    law.require(word.fetch_add(T{3}, relaxed) == T{12}, "fetch_add answers something else");
    law.require(word.fetch_sub(T{5}, relaxed) == T{15}, "fetch_add or fetch_sub is wrong");
    law.require(word.fetch_or(T{5}, relaxed) == T{10}, "fetch_sub or fetch_or is wrong");
    law.require(word.fetch_and(T{6}, relaxed) == T{15}, "fetch_or or fetch_and is wrong");
    law.require(word.load(relaxed) == T{6}, "fetch_and is wrong");
    word.store(static_cast<T>(~T{0}), relaxed);
    (void)word.fetch_add(T{1}, relaxed);
    law.require(word.load(relaxed) == T{0}, "fetch_add does not wrap modulo the word's size");
    (void)word.fetch_sub(T{1}, relaxed);
    law.require(word.load(relaxed) == static_cast<T>(~T{0}), "fetch_sub does not wrap");
    return law.report();
}

template<Machine M>
constexpr law_report law_of_plain_fields() {
    law_check law{"a plain field is the value itself"};
    typename M::template plain<int> fresh;
    law.require(fresh.get() == 0, "a fresh field is not value-initialised");
    typename M::template plain<int> field{41};
    law.require(field.get() == 41, "a field does not keep its initial value");
    field.set(42);
    law.require(field.get() == 42, "a field does not keep what was set");
    return law.report();
}

template<Machine M>
constexpr law_report law_of_waiting() {
    law_check law{"await and poll return a value that satisfies the predicate"};
    typename M::template atomic<std::uint32_t> narrow{3};
    typename M::template atomic<std::uint64_t> wide{4};
    auto const odd = [](std::uint64_t value) { return value % 2 == 1; };
    auto const even = [](std::uint64_t value) { return value % 2 == 0; };
    narrow.notify_one();
    wide.notify_all();
    law.require(M::await(narrow, odd, relaxed) == 3, "await answers another value");
    law.require(M::poll(narrow, odd, relaxed) == 3, "poll answers another value");
    law.require(M::await(wide, even, relaxed) == 4, "await of a 64-bit word is wrong");
    law.require(M::poll(wide, even, relaxed) == 4, "poll of a 64-bit word is wrong");
    M::relax();
    return law.report();
}

template<Machine M>
constexpr law_report law_of_memory() {
    law_check law{"created objects are constructed, arrays value-initialised"};
    auto* const one = M::template create<std::uint64_t>(std::uint64_t{17});
    if (!law.require(one != nullptr, "create of one word answered nullptr")) return law.report();
    law.require(*one == 17, "create does not pass its arguments on");
    M::destroy(one);
    constexpr std::size_t count = 9;
    auto* const many = M::template create_array<std::uint64_t>(count);
    if (!law.require(many != nullptr, "create_array of nine words answered nullptr")) {
        return law.report();
    }
    for (std::size_t index = 0; index < count; ++index) {
        law.require(many[index] == 0, "create_array does not value-initialise");
    }
    M::destroy_array(many, count);
    return law.report();
}

template<Machine M>
constexpr law_report law_of_annotations() {
    law_check law{"annotations and fences change nothing"};
    typename M::template atomic<std::uint32_t> word{1};
    M::name(&word, "word");
    M::name(&word, "word", 0);
    M::expect(word.load(relaxed) == 1, "what is true");
    M::lock_taken(&word, lock_mode::exclusive);
    law.require(M::holds(&word), "holds() denies a lock that was just taken");
    M::lock_given(&word, lock_mode::exclusive);
    M::light_fence(at("law.light_fence"));  // (law.light_fence) alone: one actor
    M::heavy_fence(at("law.heavy_fence"));  // (law.heavy_fence) alone: one actor
    law.require(word.load(relaxed) == 1, "an annotation or a fence changed a word");
    auto const earlier = M::now();
    law.require(M::now() >= earlier, "the clock runs backwards");
    return law.report();
}

}  // namespace detail

/// Judges a Machine with one actor: the first broken law, or the last one if all hold.
template<Machine M>
[[nodiscard]] constexpr law_report machine_laws() {
    using narrow = std::uint32_t;
    using wide = std::uint64_t;
    return first_broken(detail::law_of_words<M, narrow>(), detail::law_of_words<M, wide>(),
                        detail::law_of_compare_exchange<M, narrow>(),
                        detail::law_of_compare_exchange<M, wide>(),
                        detail::law_of_arithmetic<M, narrow>(),
                        detail::law_of_arithmetic<M, wide>(), detail::law_of_plain_fields<M>(),
                        detail::law_of_waiting<M>(), detail::law_of_memory<M>(),
                        detail::law_of_annotations<M>());
}

static_assert(machine_laws<constexpr_machine>());

}  // namespace mmhold
