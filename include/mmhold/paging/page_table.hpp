// SPDX-License-Identifier: BSL-1.0
#pragma once

// page_table – the page tables of one address space, and everything that is done to them.
//
// This file is the contract; each operation's protocol stands in the header named after it. How
// tables are locked while others come and go: table_tree.hpp. How entries change: table_guard.hpp.
//
//   lock_leaf, map                         faults: one entry, shared mm lock
//   unmap, protect, split, visit           ranges: shared or exclusive mm lock
//   reclaim_empty                          one empty table, shared mm lock
//   move                                   from range to range: exclusive mm lock
//   collapse, free_tables, destroy         structure: exclusive mm lock
//
// Everybody else's view: a lockless reader (walk/) starts at root(), calls read() for an entry,
// protects the table it names in its irq_section, calls read() again, and goes down only if the
// entry is unchanged. It then never touches freed memory; what it finds may be out of date.

#include <mmhold/paging/collapse.hpp>
#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/free_tables.hpp>
#include <mmhold/paging/move.hpp>
#include <mmhold/paging/protect.hpp>
#include <mmhold/paging/reclaim_empty.hpp>
#include <mmhold/paging/split.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/paging/unmap.hpp>
#include <mmhold/paging/visit.hpp>

#include <concepts>
#include <utility>

namespace mmhold {

/// The page tables of one address space in format F, living in the table memory T.
///
/// No function sleeps; each takes table locks only for the time of the call, except lock_leaf,
/// whose guard keeps one. A cpu passed in is not inside an irq_section. All take user addresses
/// (below task_size_max of the format): anything else is bad_address. A cpu or table that could not
/// be built for lack of memory makes every function answer no_memory.
template<PageFormat F, TableMemory T>
    requires std::same_as<typename T::format, F>
class page_table {
public:
    using format = F;
    using memory_type = T;
    using word = typename F::word;
    using tree_type = table_tree<F, T>;
    using machine = typename tree_type::machine;
    using reclaimer = typename tree_type::reclaimer;
    using cpu_type = typename tree_type::cpu_type;
    using guard = leaf_guard<F, T>;

    /// Allocates the root table from `memory`, which must outlive this; see valid(). destroy() must
    /// be called before the end.
    constexpr explicit page_table(T& memory) : tree_{memory} {}

    /// Is there a root? False if memory was exhausted, and after destroy().
    [[nodiscard]] constexpr bool valid() const noexcept { return tree_.valid(); }
    /// The root table, at level F::levels - 1; lives until destroy().
    [[nodiscard]] constexpr pfn root() const noexcept { return tree_.root(); }
    [[nodiscard]] constexpr T& memory() const noexcept { return tree_.memory(); }
    [[nodiscard]] constexpr tree_type const& tree() const noexcept { return tree_; }

    /// The lockless reader's eye: the word that maps `at` in `table`, which is at `level`, and
    /// which is the root, or protected in the caller's section and validated. Wait-free.
    [[nodiscard]] constexpr word read(pfn table, virt_addr at, unsigned level) const noexcept {
        return tree_.read(table, at, level);
    }
    /// The same by index.
    [[nodiscard]] constexpr word read_entry(pfn table, unsigned index) const noexcept {
        return tree_.read_entry(table, index);
    }

    /// Takes the lock of the table that holds `at`'s entry at `level`; `at` may be any address in
    /// the page. Mm lock: shared. Safe against tables being unlinked meanwhile (gup-semantics §6.2
    /// #29), and against others who create the same tables (#20).
    /// Errors, and then nothing is locked: exists – a larger leaf is in the way; bad_address – a
    /// table is absent and if_absent::fail; no_memory; invalid_argument – no leaves at this level.
    [[nodiscard]] constexpr result<guard> lock_leaf(cpu_type& me, virt_addr at, unsigned level,
                                                    if_absent missing) const {
        if (!has_leaves(level)) return errc::invalid_argument;
        if (auto const admitted = tree_.admit(me, at); !admitted) return admitted.error();
        auto locked = tree_.lock_at(me, at, level, missing);
        if (!locked) return locked.error();
        return guard{*std::move(locked), F::index(at, level)};
    }

    /// Maps `leaf` (or a marker) at `at`, creating the tables it needs. Mm lock: shared.
    /// Errors, and then nothing is mapped (tables that were created stay, empty): exists – there is
    /// something, be it a table of smaller leaves; invalid_argument – `at` is not aligned to the
    /// leaf's size, or the format cannot express the entry at this level; no_memory.
    constexpr result<void> map(cpu_type& me, virt_addr at, page_entry const& leaf, unsigned level) {
        if (!has_leaves(level) || !F::legal(leaf, level)) return errc::invalid_argument;
        if (leaf.none() || leaf.is_table()) return errc::invalid_argument;
        if (at != entry_start<F>(at, level)) return errc::invalid_argument;
        auto const span = page_span::from(at, page_count{F::leaf_pages(level)});
        if (!span) return errc::bad_address;
        if (auto const admitted = tree_.admit(me, *span); !admitted) return admitted;
        auto locked = tree_.lock_at(me, at, level, if_absent::create);
        if (!locked) return locked.error();
        return locked->install(F::index(at, level), leaf) ? errc::ok : errc::exists;
    }

    /// Removes every leaf and marker of `span` and tells `sink`; see unmap_range.
    template<LeafSink Sink, FlushPolicy Flush = no_flush>
    constexpr result<void> unmap(cpu_type& me, page_span span, Sink&& sink, Flush&& flush = {}) {
        return unmap_range(tree_, me, span, sink, flush);
    }

    /// Applies `change` to every leaf and marker of `span`; see protect_range.
    template<EntryChange Change, FlushPolicy Flush = no_flush>
    constexpr result<void> protect(cpu_type& me, page_span span, Change&& change,
                                   Flush&& flush = {}) {
        return protect_range(tree_, me, span, change, flush);
    }

    /// Moves every leaf and marker of `from` to the range that begins at `to`; see move_range. Mm
    /// lock: exclusive.
    template<EntryChange Change, FlushPolicy Flush = no_flush>
    constexpr result<void> move(cpu_type& me, page_span from, virt_addr to, Change&& change,
                                Flush&& flush = {}) {
        return move_range(tree_, me, from, to, change, flush);
    }

    /// Splits the leaf that maps `at` into a table of the next smaller ones; see split_at.
    template<FlushPolicy Flush = no_flush>
    constexpr result<void> split(cpu_type& me, virt_addr at, Flush&& flush = {}) {
        return split_at(tree_, me, at, flush);
    }

    /// Replaces the table below `at`'s entry at `level` by one leaf, if `policy` agrees; see
    /// collapse_table. Mm lock: exclusive.
    template<class Policy, LeafSink Sink, FlushPolicy Flush = no_flush>
        requires CollapsePolicy<Policy, collapse_view<F, T>>
    constexpr result<void> collapse(cpu_type& me, virt_addr at, unsigned level, Policy&& policy,
                                    Sink&& sink, Flush&& flush = {}) {
        return collapse_table(tree_, me, at, level, policy, sink, flush);
    }

    /// Retires the empty tables that serve `span` and nothing outside of `[floor, ceiling)`; see
    /// free_table_range. Mm lock: exclusive.
    template<FlushPolicy Flush = no_flush>
    constexpr result<void> free_tables(cpu_type& me, page_span span, virt_addr floor,
                                       virt_addr ceiling, Flush&& flush = {}) {
        return free_table_range(tree_, me, span, floor, ceiling, flush);
    }

    /// Retires the lowest table that serves `at` if it is empty; see reclaim_empty_table. Mm lock:
    /// shared.
    template<FlushPolicy Flush = no_flush>
    constexpr result<table_reclaim> reclaim_empty(cpu_type& me, virt_addr at, Flush&& flush = {}) {
        return reclaim_empty_table(tree_, me, at, flush);
    }

    /// Shows every leaf and marker of `span` to `visitor`; see visit_leaves. Mm lock: shared.
    template<LeafVisitor Visitor>
    constexpr result<void> visit(cpu_type& me, page_span span, Visitor&& visitor) const {
        return visit_leaves(tree_, me, span, visitor);
    }

    /// The end of the address space (gup-semantics §6.1, exit_mmap): retires every table, the root
    /// included; valid() is false afterwards. Leaves that are still mapped are told to `sink`: who
    /// counts pages passes one, or unmaps before. Nobody else may use the table any more, not even
    /// locklessly. A table that has no root any more (or never had) stays as it is.
    template<LeafSink Sink = ignore_leaves, FlushPolicy Flush = no_flush>
    constexpr void destroy(cpu_type& me, Sink&& sink = {}, Flush&& flush = {}) {
        if (!valid()) return;
        auto const end = task_size_max(F::virtual_bits);
        auto const everything = page_span::covering(virt_addr{}, end.value);
        auto const emptied = unmap(me, *everything, sink, flush);
        machine::expect(emptied.has_value(), "destroy: the cpu is not valid");
        auto const freed = free_tables(me, *everything, virt_addr{}, end, flush);
        machine::expect(freed.has_value(), "destroy: the cpu is not valid");
        tree_.drop_root(me);
    }

private:
    static constexpr bool has_leaves(unsigned level) noexcept {
        return level < F::levels && F::leaf_pages(level) != 0;
    }

    tree_type tree_;
};

}  // namespace mmhold
