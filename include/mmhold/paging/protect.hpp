// SPDX-License-Identifier: BSL-1.0
#pragma once

// protect – change what is allowed, entry by entry.
//
// Order (gup-semantics §6.1, mprotect): per table, under its lock: exchange the entry for none (now
// the hardware cannot set bits in it, and all it has set is known) → compute → write the new entry;
// after the last, flush, before the caller gives the mm lock back. A lockless reader sees the old
// entry, none, or the new one; a page it pinned by the old rights it looks at again and lets go.

#include <mmhold/paging/split.hpp>

#include <concepts>
#include <optional>

namespace mmhold {

/// Computes the new entry from the old one. Called under the table's lock, for leaves and markers;
/// the answer is a leaf or a marker that the format can express at the same level; a marker may
/// also become none.
template<class C>
concept EntryChange = requires(C& change, page_entry const& old) {
    { change(old) } -> std::same_as<page_entry>;
};

/// Applies `change` to every leaf and marker of `span`; leaves that reach over its ends are split
/// first. Mm lock: exclusive for mprotect's promise; shared is enough for the tables' sake.
/// Errors: bad_address – not all user space; no_memory, not_supported – a leaf could not be split:
/// nothing is changed, unless a large leaf was mapped across an end meanwhile; then what was
/// changed stays so.
template<class Tree, EntryChange Change, FlushPolicy Flush>
constexpr result<void> protect_range(Tree const& tree, typename Tree::cpu_type& me, page_span span,
                                     Change& change, Flush& flush) {
    using F = typename Tree::format;
    if (auto const admitted = tree.admit(me, span); !admitted || span.empty()) return admitted;
    if (auto const ready = split_ends(tree, me, span, flush); !ready) return ready;
    changed_range changed;
    result<void> outcome;
    for (auto at = span.start(); at < span.end() && outcome;) {
        std::optional<unsigned> too_large;
        auto const apply = [&](typename Tree::guard& locked, unsigned index, virt_addr here,
                               page_entry const&) {
            if (crosses<F>(here, locked.level(), span)) {
                too_large = locked.level();
                return onward::stop;
            }
            auto const old = locked.clear(index);
            auto const fresh = change(old);
            auto const dropped = fresh.none() && old.is_leaf();
            Tree::machine::expect(!dropped && !fresh.is_table(),
                                  "protect: a page was dropped or replaced by a table");
            locked.set(index, fresh);
            if (old.present()) changed.add(here, entry_end<F>(here, locked.level()));
            return onward::next;
        };
        at = tree.visit_one_table(me, at, span.end(), apply);
        if (too_large) outcome = split_leaf(tree, me, at, *too_large, flush);
    }
    changed.flush_with(flush);
    return outcome;
}

}  // namespace mmhold
