// SPDX-License-Identifier: BSL-1.0
#pragma once

// collapse – a full table of leaves becomes one large leaf.
//
// Order (gup-semantics §6.1, "anon THP collapse"): lock the parent, lock the table → clear the
// parent's entry → unlock → flush → synchronize: every lockless reader that came in by the old
// entry has left → only now ask, under the table's lock, whether the pages may go: no new pin can
// come from a walk, so a page without a pin stays without → yes: empty the table, install the leaf,
// retire the table; no: put the table back as it was.
//
//   Pinner     read the parent's entry → protect → ... → read the PTE → pin → read the parent's
//              entry and the PTE AGAIN: the table was unlinked? unpin.      (#5 of §6.2)
//   Collapser  clear the parent's entry → wait for the sections → look at the pins.
// Either the pinner's second look sees the entry cleared, or its section began early enough for the
// collapser to wait for it, and then the collapser sees the pin. The flush comes before the release
// of the old pages, and the large leaf after the flush, so no CPU ever uses both translations.

#include <mmhold/paging/unmap.hpp>

#include <concepts>
#include <optional>

namespace mmhold {

/// The table that is to be collapsed: unlinked, locked, and out of every reader's sight.
template<PageFormat F, TableMemory T>
class collapse_view {
public:
    /// Views the locked `table`, which mapped what begins at `start`.
    constexpr collapse_view(table_guard<F, T> const& table, virt_addr start) noexcept
        : table_{table}, start_{start} {}

    /// How many entries there are.
    [[nodiscard]] static constexpr unsigned size() noexcept { return F::entries_per_table; }
    /// The first address of the range that becomes one leaf.
    [[nodiscard]] constexpr virt_addr start() const noexcept { return start_; }
    /// Entry `index`: none, a leaf or a marker.
    [[nodiscard]] constexpr page_entry entry(unsigned index) const noexcept {
        return table_.read(index);
    }

private:
    table_guard<F, T> const& table_;
    virt_addr start_;
};

/// Decides whether the table's pages may be replaced: answers the leaf to install, or nothing to
/// keep the table. This is the place to compare reference and pin counts with what the mappings
/// explain, and to copy the contents. Runs under the table's lock: neither waits nor takes one.
template<class P, class View>
concept CollapsePolicy = requires(P& policy, View const& view) {
    { policy(view) } -> std::same_as<std::optional<page_entry>>;
};

namespace detail {

/// The entries of the unlinked `table`, at `level`, become none; what was there goes to the sink,
/// which may release it at once: it was flushed.
template<class Tree, LeafSink Sink>
constexpr void empty_into(Tree const& tree, pfn table, unsigned level, virt_addr start,
                          Sink& sink) {
    using F = typename Tree::format;
    for (unsigned index = 0; index < F::entries_per_table;) {
        typename Tree::guard locked{tree.memory(), table, level};
        for (; index < F::entries_per_table && !is_full(sink); ++index) {
            if (locked.none(index)) continue;
            sink(start.plus(index * entry_bytes<F>(level)), locked.clear(index), level);
        }
        locked.unlock();
        if (is_full(sink)) release_from(sink);
    }
}

/// A table without a place in the tree, and the table that linked it.
struct unlinked_table {
    pfn table;
    pfn parent;
};

template<PageFormat F, TableMemory T>
constexpr bool links_tables(table_guard<F, T> const& table) noexcept {
    if (table.level() == 0) return false;
    for (unsigned index = 0; index < F::entries_per_table; ++index) {
        if (table.read(index).is_table()) return true;
    }
    return false;
}

/// Unlinks the table that serves `at` below `level`, if it links no further tables. Its name, and
/// its parent's.
template<class Tree>
constexpr result<unlinked_table> unlink_leaves(Tree const& tree, typename Tree::cpu_type& me,
                                               virt_addr at, unsigned level) {
    using F = typename Tree::format;
    auto parent = tree.lock_lowest(me, at, level);
    auto const index = F::index(at, parent.level());
    auto const entry = parent.read(index);
    if (entry.none()) return errc::bad_address;
    if (!entry.is_table()) return errc::exists;
    auto const table = tree.lock_child(parent, index);
    if (links_tables(table)) return errc::busy;
    (void)parent.clear(index);
    return unlinked_table{table.table(), parent.table()};
}

/// Asks the policy under the table's lock: the leaf to install, or why not.
template<class Tree, class Policy>
constexpr result<page_entry> ask(Tree const& tree, pfn table, virt_addr start, unsigned level,
                                 Policy& policy) {
    using F = typename Tree::format;
    using shown = collapse_view<F, typename Tree::memory_type>;
    typename Tree::guard const locked{tree.memory(), table, level - 1};
    std::optional<page_entry> const leaf = policy(shown{locked, start});
    if (!leaf) return errc::busy;
    if (!leaf->is_leaf() || !F::legal(*leaf, level)) return errc::invalid_argument;
    return *leaf;
}

/// Writes the entry that was cleared when the table was unlinked: the table again, or the leaf.
template<class Tree>
constexpr void link_again(Tree const& tree, pfn parent, virt_addr at, unsigned level,
                          page_entry const& entry) {
    // The parent is still linked: whoever unlinks it needs the mm lock, which the caller holds.
    typename Tree::guard locked{tree.memory(), parent, level};
    auto const installed = locked.install(Tree::format::index(at, level), entry);
    Tree::machine::expect(installed, "collapse: somebody mapped there without the mm lock");
}

}  // namespace detail

/// Replaces the table below `at`'s entry at `level` by one leaf, if `policy` agrees; its old leaves
/// and markers go to `sink`, and may be released when collapse returns (a GatheringSink is told).
///
/// Mm lock: exclusive. It synchronizes: no lockless reader may be waiting for the caller.
/// Errors, and then nothing has changed: bad_address – no table there, or not a user address;
/// exists – it is a leaf already; busy – the policy refused, or there are further tables below;
/// invalid_argument – no leaves at this level, or the policy's leaf cannot stand there.
template<class Tree, class Policy, LeafSink Sink, FlushPolicy Flush>
    requires CollapsePolicy<Policy,
                            collapse_view<typename Tree::format, typename Tree::memory_type>>
constexpr result<void> collapse_table(Tree const& tree, typename Tree::cpu_type& me, virt_addr at,
                                      unsigned level, Policy& policy, Sink& sink, Flush& flush) {
    using F = typename Tree::format;
    if (level == 0 || level > Tree::top || F::leaf_pages(level) == 0) return errc::invalid_argument;
    if (auto const admitted = tree.admit(me, at); !admitted) return admitted;
    auto const start = entry_start<F>(at, level);
    auto const unlinked = detail::unlink_leaves(tree, me, at, level);
    if (!unlinked) return unlinked.error();
    changed_range changed;
    changed.add(start, entry_end<F>(at, level));
    changed.flush_with(flush);
    me.domain().synchronize(me.record());
    auto const leaf = detail::ask(tree, unlinked->table, start, level, policy);
    if (!leaf) {
        auto const link = page_entry::table_to(unlinked->table);
        detail::link_again(tree, unlinked->parent, at, level, link);
        return leaf.error();
    }
    detail::empty_into(tree, unlinked->table, level - 1, start, sink);
    detail::link_again(tree, unlinked->parent, at, level, *leaf);
    tree.memory().retire(me, unlinked->table);
    detail::release_from(sink);
    return {};
}

}  // namespace mmhold
