// SPDX-License-Identifier: BSL-1.0
#pragma once

// Reclaimer: when may the memory of an unlinked object be used again?
//
// Linux's lockless page-table walk runs with interrupts off. That stops two things (gup-semantics
// §5.5): page tables are not freed under the walker, and whoever sends an IPI to every CPU waits
// until the walker is done. A Reclaimer gives a program without interrupts the same two promises.
//
//   Reader        enter the section → for every object on the way down: protect(level, key) →
//                 look AGAIN at the entry that led there → unchanged? the object may be read until
//                 the level names another object, is cleared, or the section ends → leave.
//   Remover       clear the entry that leads to the object → retire(object).
//   Synchronizer  clear the entry → synchronize() → no section is left in which the old entry can
//                 have been read.
//
// Not given: that a reader sees the newest entry; that an object is freed soon; any protection for
// a reader that did not look again after protect(). A protection cannot be moved from one level to
// another: the new level needs a new look.

#include <mmhold/machine/machine.hpp>
#include <mmhold/reclaim/retired.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace mmhold {

/// How much a domain has been given and has given back. Exact while no call on the domain is in
/// progress; otherwise a moment's estimate in which held_back never goes below zero.
struct reclaim_statistics {
    std::uint64_t retired{0};    ///< objects ever passed to retire()
    std::uint64_t freed{0};      ///< of these, objects whose free() was called
    std::uint64_t held_back{0};  ///< the difference

    friend constexpr bool operator==(reclaim_statistics const&,
                                     reclaim_statistics const&) = default;
};

/// One cpu's place in a domain: its section and its hazard slots. Used by its owner alone.
///
/// Normally reached through cpu and irq_section, which keep sections balanced and count nesting.
template<class C>
concept SectionRecord = requires(C& mine, C const& readable, unsigned level, std::uint64_t key) {
    { mine.enter_section() } noexcept;      // not inside one; wait-free
    { mine.leave_section() } noexcept;      // ends every protection; wait-free
    { mine.protect(level, key) } noexcept;  // inside a section; key != 0; then look again
    { mine.clear(level) } noexcept;         // ends the protection at this level
    { readable.in_section() } noexcept -> std::same_as<bool>;
    { readable.id() } noexcept -> std::same_as<std::uint32_t>;  // small; unique among the joined
};

/// Cpus come and go while others work.
template<class R>
concept JoinableReclaimer =
    SectionRecord<typename R::record> && requires(R& domain, typename R::record& mine) {
        { domain.join() } -> std::same_as<typename R::record*>;  // nullptr: memory exhausted
        { domain.leave(mine) } noexcept;  // not inside a section; what it retired stays with R
    };

/// Unlinked objects are handed over and come back, freed, later.
template<class R>
concept RetiringReclaimer =
    requires(R& domain, typename R::record& mine, retired_object& object) {
        { domain.retire(mine, object) } noexcept;  // never waits, never allocates
        { domain.reclaim(mine) } noexcept -> std::same_as<std::size_t>;  // frees what may go
        { domain.drain() } noexcept -> std::same_as<std::size_t>;  // at rest only: what has to stay
        { R::levels } -> std::convertible_to<unsigned>;  // protect() accepts 0 … levels - 1
        { R::held_back_per_cpu } -> std::convertible_to<std::size_t>;  // law "bounded garbage"
    };

/// The IPI broadcast: waits until every section that was open at the call has been left.
template<class R>
concept SynchronizingReclaimer = requires(R& domain, typename R::record& mine) {
    { domain.synchronize(mine) } noexcept;  // not from inside one's own section
    { domain.try_synchronize(mine) } noexcept -> std::same_as<bool>;  // never waits; false: not yet
};

/// It can be asked how it is doing.
template<class R>
concept AccountableReclaimer = requires(R const& domain) {
    { domain.statistics() } noexcept -> std::same_as<reclaim_statistics>;
};

/// All of it.
///
/// Laws (laws/reclaimer.hpp):
///   protected objects stay   an object named by a slot inside an open section is not freed;
///   nothing is lost          every retired object is freed exactly once, at the latest by drain()
///                            with no section open;
///   leaving hands over       what a leaving cpu had retired is freed by the calls of others;
///   bounded garbage          a cpu stalled inside its section holds back at most `levels` objects,
///                            a cpu that retires at most one batch more; held_back_per_cpu is the
///                            sum, so n cpus keep at most n * held_back_per_cpu objects waiting;
///   sections are waited for  synchronize() returns only after every section entered before it has
///                            been left; it does not wait for later ones; nesting counts once;
///   cpus are strangers       two cpus never share a section or a slot, whatever thread runs them.
template<class R>
concept Reclaimer = Machine<typename R::machine> && JoinableReclaimer<R> && RetiringReclaimer<R>
                    && SynchronizingReclaimer<R> && AccountableReclaimer<R>;

}  // namespace mmhold
