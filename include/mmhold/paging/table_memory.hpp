// SPDX-License-Identifier: BSL-1.0
#pragma once

// TableMemory: where page tables live.
//
// A table is named by a page frame number and has F::entries_per_table words and one lock (the
// split page-table lock). Whether the words are host memory or a simulator's guest-physical bytes
// is the model's business: entry() may answer a reference or a small handle by value.
//
//   Builder    allocate → fill → link it into a parent's entry. Never linked after all? release()
//   Reader     read the parent's entry → protect(level, table) → look at the parent's entry AGAIN →
//              read entries.
//   Remover    lock the parent, lock the table, all entries none → clear the parent's entry →
//              unlock → flush → retire(). The memory stays readable while a protection names it.

#include <mmhold/paging/page_format.hpp>
#include <mmhold/reclaim/reclaimer.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <concepts>
#include <type_traits>

namespace mmhold {

template<Reclaimer R>
class cpu;

/// One page-table entry in memory, or a handle to it.
template<class W, class T>
concept TableWord = requires(W& entry, T value, T& expected) {
    { entry.load(relaxed) } -> std::same_as<T>;
    { entry.load(acquire("")) } -> std::same_as<T>;
    { entry.store(value, relaxed) };
    { entry.store(value, release("")) };
    { entry.exchange(value, release("")) } -> std::same_as<T>;  // loses no bit set meanwhile
    { entry.compare_exchange(expected, value, release("")) } -> std::same_as<bool>;
    { entry.fetch_or(value, relaxed) } -> std::same_as<T>;
};

/// The split page-table lock of one table, or a handle to it. unlock() touches nothing after the
/// store that gives the lock back: the table may be freed right then.
template<class L>
concept TableLock = requires(L& lock) {
    { lock.lock() };
    { lock.unlock() };
};

/// Memory for the page tables of one or more address spaces.
///
/// Laws (laws/table_memory.hpp):
///   fresh          an allocated table has a name that is not 0 and differs from every other live
///                  table's, and all its entries are the zero word;
///   private words  entries of different tables or indexes are different words;
///   exhaustion     allocate() answers no_memory or a table; after a no_memory everything given
///                  back can be allocated again;
///   retirement     a retired table stays readable while a protection that was validated names it.
template<class T>
concept TableMemory =
    PageFormat<typename T::format> && Reclaimer<typename T::reclaimer>
    && requires(T& memory, cpu<typename T::reclaimer>& me, pfn table, unsigned number) {
           // a table for this level, all entries none; errc::no_memory; any actor, no lock needed
           { memory.allocate(number) } -> std::same_as<result<pfn>>;
           // the entry with this index; wait-free
           requires TableWord<std::remove_reference_t<decltype(memory.entry(table, number))>,
                              typename T::format::word>;
           // the table's lock; wait-free
           requires TableLock<std::remove_reference_t<decltype(memory.lock(table))>>;
           // takes back a table that was never linked: nobody can know it
           { memory.release(table) } noexcept;
           // takes an unlinked table; its memory is used again when no protection names it
           { memory.retire(me, table) } noexcept;
       };

}  // namespace mmhold
