// SPDX-License-Identifier: BSL-1.0
#pragma once

// Machine: what the library knows about the computer it runs on – and all it knows.
//
// Everything above this folder is a template on a Machine, passed by type. No other header names an
// atomic, a fence, a thread, a clock or an allocator, so the same lock, walk or reclaimer runs
//   on host_machine       real threads; each operation below compiles to the instruction it names,
//                         the annotations to nothing;
//   on constexpr_machine  plain variables inside constant evaluation;
//   on a model machine    where every access is a scheduling point, stores sit in buffers and
//                         waiting is modelled.
//
// Two families of members: what the program *does* (atomic, fence, await, create ...) and what it
// *says* (name, expect, lock_taken ...). The second family costs nothing on the host; a model
// machine turns it into findings: use after free, lock-order cycles, protocol violations, readable
// reports.

#include <mmhold/machine/order.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace mmhold {

struct host_machine;  // host_machine.hpp: the machine of every template that is not told another

/// One shared word. `A` is `M::atomic<T>`.
///
/// Laws (laws/machine.hpp): a fresh word reads its initial value; a thread reads its own last
/// store; modification order is total per word; compare_exchange succeeds exactly if the word
/// equals `expected` (never spuriously) and writes the word's value into `expected` if not; fetch_*
/// return the old value.
template<class A, class T>
concept AtomicWord = requires(A& word, A const& readable, T value, T& expected) {
    requires std::constructible_from<A, T>;
    { readable.load(relaxed) } -> std::same_as<T>;  // read, ordered as said
    { readable.load(acquire("")) } -> std::same_as<T>;
    { readable.load(seq_cst("")) } -> std::same_as<T>;
    { word.store(value, relaxed) };  // write, ordered as said
    { word.store(value, release("")) };
    { word.store(value, seq_cst("")) };
    { word.exchange(value, acq_rel("")) } -> std::same_as<T>;  // write, answering what was there
    // strong: no spurious failure
    { word.compare_exchange(expected, value, acq_rel("")) } -> std::same_as<bool>;
    { word.notify_one() };  // wake one await() on this word
    { word.notify_all() };  // wake every await() on this word
};

/// A shared word with arithmetic and bit operations. `T` is an unsigned integer.
template<class A, class T>
concept AtomicInteger = AtomicWord<A, T> && requires(A& word, T value) {
    { word.fetch_add(value, acq_rel("")) } -> std::same_as<T>;
    { word.fetch_sub(value, acq_rel("")) } -> std::same_as<T>;
    { word.fetch_or(value, acq_rel("")) } -> std::same_as<T>;
    { word.fetch_and(value, acq_rel("")) } -> std::same_as<T>;
};

/// A shared field that is *not* atomic: some lock or publication protects it. A model machine
/// reports a data race on it; elsewhere it is the value itself.
template<class P, class T>
concept PlainField = requires(P& field, P const& readable, T value) {
    requires std::constructible_from<P, T>;
    { readable.get() } -> std::convertible_to<T>;  // the value now
    { field.set(value) };                          // replace it
};

/// Fences, each with a site.
///
/// Law of the asymmetric pair: if thread A does [store x; light_fence; load y] and thread B does
/// [store y; heavy_fence; load x], at least one of the loads sees the other's store. Light is meant
/// for the hot side and may cost nothing; heavy for the rare side and may cost microseconds
/// (membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED).
template<class M>
concept FencingMachine = requires {
    { M::fence(seq_cst("")) };
    { M::fence(acquire("")) };
    { M::fence(release("")) };
    { M::light_fence(at("")) };
    { M::heavy_fence(at("")) };
};

/// Waiting, instead of any hand-written spin.
///
/// await(word, predicate, order) returns the first value it reads that satisfies the predicate; it
/// may park, so whoever makes the predicate true must notify the word. poll(...) is the same for
/// words whose writers do not notify (a reader leaving its section must not pay for a system call):
/// it looks again and again, yielding. relax() gives way once. Laws: both return only with the
/// predicate true of the returned value; neither returns a value that was never in the word.
template<class M>
concept WaitingMachine =
    requires(typename M::template atomic<std::uint32_t> const& word, bool (*done)(std::uint32_t)) {
        { M::await(word, done, acquire("")) } -> std::same_as<std::uint32_t>;
        { M::poll(word, done, acquire("")) } -> std::same_as<std::uint32_t>;
        { M::relax() };
    };

/// Memory for objects that several CPUs share: table pages, frames, retired objects, bookkeeping
/// arrays.
///
/// create/create_array answer nullptr when memory is exhausted – never an exception. destroy ends
/// the object's life: a model machine reports any later access, a second destroy, and what is left
/// at the end.
template<class M>
concept AllocatingMachine = requires(std::uint64_t* one, std::size_t count) {
    { M::template create<std::uint64_t>() } -> std::same_as<std::uint64_t*>;
    { M::destroy(one) } noexcept;
    // value-initialised
    { M::template create_array<std::uint64_t>(count) } -> std::same_as<std::uint64_t*>;
    { M::destroy_array(one, count) } noexcept;
};

/// What the program says about itself. All of it vanishes on the host, except that a false expect()
/// stops checked_host_machine.
template<class M>
concept AnnotatedMachine = requires(void const* object, bool condition, std::size_t index,
                                    void const* lock, std::uint64_t count) {
    { M::name(object, "pmd") };                    // reports say pmd instead of an address
    { M::name(object, "pmd", index) };             // pmd[index]
    { M::expect(condition, "text") };              // must hold whenever control passes here
    { M::lock_taken(object, lock_mode::shared) };  // the caller now holds this lock
    { M::lock_given(object, lock_mode::shared) };  // and now no longer
    { M::holds(object) } -> std::same_as<bool>;    // may the caller rely on it? (host: always true)
    { M::note(claim::used, object) };              // the protocol the caller follows: see claim
    { M::note(claim::found_under, object, lock) };
    { M::note(claim::reference_taken, object, count) };
};

/// A clock for observers only: nanoseconds that never run backwards. No algorithm may depend on it.
template<class M>
concept ClockedMachine = requires {
    { M::now() } -> std::same_as<std::uint64_t>;
};

/// All of it.
template<class M>
concept Machine =
    AtomicInteger<typename M::template atomic<std::uint64_t>, std::uint64_t> &&
    AtomicInteger<typename M::template atomic<std::uint32_t>, std::uint32_t> &&
    AtomicWord<typename M::template atomic<void*>, void*> &&
    PlainField<typename M::template plain<int>, int> && FencingMachine<M> && WaitingMachine<M> &&
    AllocatingMachine<M> && AnnotatedMachine<M> && ClockedMachine<M>;

}  // namespace mmhold
