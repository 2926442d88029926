// SPDX-License-Identifier: BSL-1.0
#pragma once

// reclaim_empty – give back one empty PTE table while others fault around it.
//
// Order (gup-semantics §6.1, PT_RECLAIM; §6.2 #29): lock the PMD table → lock the PTE table → still
// empty? clear the PMD entry → unlock both → flush → retire. A fault that waits for the PTE table's
// lock meanwhile gets it, sees that the PMD entry has changed, and starts over; a lockless reader
// inside has the table protected and finds nothing in it.

#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/table_tree.hpp>

#include <cstdint>

namespace mmhold {

/// What became of a table that somebody wanted to give back.
enum class table_reclaim : std::uint8_t {
    absent,    ///< there is no lowest table for this address
    in_use,    ///< it maps something
    reclaimed, ///< unlinked and retired
};

/// Unlinks and retires the lowest table (level 0) that serves `at`, if all its entries are none.
/// Mm lock: shared. Error: bad_address – not a user address.
template<class Tree, FlushPolicy Flush>
constexpr result<table_reclaim> reclaim_empty_table(Tree const& tree, typename Tree::cpu_type& me,
                                                    virt_addr at, Flush& flush) {
    using F = typename Tree::format;
    if (auto const admitted = tree.admit(me, at); !admitted) return admitted.error();
    if constexpr (Tree::top == 0) return table_reclaim::absent;
    auto const index = F::index(at, 1);
    auto parent = tree.lock_lowest(me, at, 1);
    if (parent.level() != 1 || !parent.read(index).is_table()) return table_reclaim::absent;
    auto child = tree.lock_child(parent, index);
    if (!child.empty()) return table_reclaim::in_use;
    (void)parent.clear(index);
    auto const table = child.table();
    child.unlock();
    parent.unlock();
    changed_range changed;
    changed.add(entry_start<F>(at, 1), entry_end<F>(at, 1));
    changed.flush_with(flush);
    tree.memory().retire(me, table);
    return table_reclaim::reclaimed;
}

}  // namespace mmhold
