// SPDX-License-Identifier: BSL-1.0
#pragma once

// split – one large leaf becomes a table of smaller leaves that map the same frames.
//
// Order (gup-semantics §6.1, "THP PMD split"): allocate the table with no lock held → lock the
// leaf's table → make the leaf invalid, by exchange: from here on the hardware cannot use it, and
// what it set in accessed and dirty until now is in the answer → flush → fill the new table, which
// nobody knows yet → install it (release). A lockless reader sees the large leaf, then nothing the
// hardware may use, then the table; each of the frames is mapped in both states or in neither.

#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/table_tree.hpp>

namespace mmhold {

/// The `index`-th of the smaller leaves into which `leaf`, at `level`, is split: same rights and
/// bits, its own part of the frames.
template<PageFormat F>
[[nodiscard]] constexpr page_entry piece_of(page_entry leaf, unsigned level,
                                            unsigned index) noexcept {
    leaf.target = leaf.target.plus(index * F::leaf_pages(level - 1));
    leaf.invalidated = false;
    return leaf;
}

namespace detail {

/// `leaf` as it stands in its table while it is being split; none if the format has no such state.
template<PageFormat F>
constexpr page_entry while_split(page_entry leaf, unsigned level) noexcept {
    leaf.global = false;  // x86 keeps both in one bit
    leaf.invalidated = true;
    return F::legal(leaf, level) ? leaf : page_entry{};
}

/// Replaces the leaf at `index` by the table `child`, which is filled here.
template<class Tree, FlushPolicy Flush>
constexpr void replace_by_pieces(Tree const& tree, typename Tree::guard& locked, unsigned index,
                                 virt_addr at, pfn child, Flush& flush) {
    using F = typename Tree::format;
    auto const level = locked.level();
    auto leaf = locked.read(index);
    if (leaf.present()) {
        leaf = locked.exchange(index, while_split<F>(leaf, level));
        changed_range changed;
        changed.add(entry_start<F>(at, level), entry_end<F>(at, level));
        changed.flush_with(flush);
    }
    for (unsigned piece = 0; piece < F::entries_per_table; ++piece) {
        auto const entry = piece_of<F>(leaf, level, piece);
        // Relaxed: nobody knows the table before locked.set() publishes it.
        tree.memory().entry(child, piece).store(F::encode(entry, level - 1), relaxed);
    }
    locked.set(index, page_entry::table_to(child));
}

}  // namespace detail

/// Splits the leaf that maps `at` at `level` (> 0) by one level; if there is none any more –
/// somebody else split or removed it – there is nothing to do, which is success. Mm lock: shared.
/// Errors, and then nothing has changed: no_memory; not_supported – a marker, or the format has no
/// smaller leaves. Precondition: admit().
template<class Tree, FlushPolicy Flush>
constexpr result<void> split_leaf(Tree const& tree, typename Tree::cpu_type& me, virt_addr at,
                                  unsigned level, Flush& flush) {
    using F = typename Tree::format;
    if (F::leaf_pages(level - 1) == 0) return errc::not_supported;
    auto const child = tree.allocate(me, level - 1);
    if (!child) return child.error();
    auto const index = F::index(at, level);
    auto locked = tree.lock_lowest(me, at, level);
    auto const found = locked.level() == level ? locked.read(index) : page_entry{};
    if (found.is_leaf()) {
        detail::replace_by_pieces(tree, locked, index, at, *child, flush);
        return {};
    }
    locked.unlock();
    tree.memory().release(*child);
    return found.is_marker() ? errc::not_supported : errc::ok;
}

/// Splits whatever leaf maps `at` by one level. Mm lock: shared.
/// Errors: bad_address – nothing is mapped there, or not a user address; invalid_argument – it is a
/// smallest leaf already; not_supported – a marker, or a leaf the format has nothing smaller for;
/// no_memory – and nothing has changed.
template<class Tree, FlushPolicy Flush>
constexpr result<void> split_at(Tree const& tree, typename Tree::cpu_type& me, virt_addr at,
                                Flush& flush) {
    using F = typename Tree::format;
    if (auto const admitted = tree.admit(me, at); !admitted) return admitted;
    auto locked = tree.lock_lowest(me, at);
    auto const level = locked.level();
    auto const entry = locked.read(F::index(at, level));
    locked.unlock();
    if (entry.none()) return errc::bad_address;
    if (entry.is_marker()) return errc::not_supported;
    if (level == 0) return errc::invalid_argument;
    return split_leaf(tree, me, at, level, flush);
}

/// Splits until no leaf maps pages on both sides of `boundary` (page-aligned). Mm lock: shared.
/// Error: no_memory; what is mapped has not changed, at most in smaller leaves.
template<class Tree, FlushPolicy Flush>
constexpr result<void> split_across(Tree const& tree, typename Tree::cpu_type& me,
                                    virt_addr boundary, Flush& flush) {
    using F = typename Tree::format;
    for (;;) {
        auto locked = tree.lock_lowest(me, boundary);
        auto const level = locked.level();
        auto const entry = locked.read(F::index(boundary, level));
        locked.unlock();
        if (!entry.is_leaf() || entry_start<F>(boundary, level) == boundary) return {};
        if (auto const done = split_leaf(tree, me, boundary, level, flush); !done) return done;
    }
}

/// Splits at both ends of `span`, so that no leaf crosses them. Mm lock and errors as above.
template<class Tree, FlushPolicy Flush>
constexpr result<void> split_ends(Tree const& tree, typename Tree::cpu_type& me, page_span span,
                                  Flush& flush) {
    if (auto const done = split_across(tree, me, span.start(), flush); !done) return done;
    return split_across(tree, me, span.end(), flush);
}

/// Does the entry at `level` around `at` map pages outside of `span` too?
template<PageFormat F>
[[nodiscard]] constexpr bool crosses(virt_addr at, unsigned level, page_span span) noexcept {
    return entry_start<F>(at, level) < span.start() || entry_end<F>(at, level) > span.end();
}

}  // namespace mmhold
