// SPDX-License-Identifier: BSL-1.0
#pragma once

// free_tables – take away the tables that a range no longer needs.
//
// Order (gup-semantics §6.1, munmap): leaves were unmapped and flushed before → bottom-up: lock
// parent and child, child still empty? clear the parent's entry, unlock → flush (the hardware
// caches links, too) → retire. A lockless reader inside an unlinked table has it protected, finds
// only none in it, and cannot find it anew.

#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/table_tree.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace mmhold {

namespace detail {

/// Unlinked tables on their way to retire(): flushed first, many at once.
template<class Tree, FlushPolicy Flush>
class unlinked_tables {
public:
    constexpr unlinked_tables(Tree const& tree, typename Tree::cpu_type& me, Flush& flush) noexcept
        : tree_{tree}, me_{me}, flush_{flush} {}
    unlinked_tables(unlinked_tables const&) = delete;
    unlinked_tables& operator=(unlinked_tables const&) = delete;
    constexpr ~unlinked_tables() { retire_all(); }

    /// `table` spanned `[start, end)`; no table lock is held.
    constexpr void add(pfn table, virt_addr start, virt_addr end) {
        if (used_ == tables_.size()) retire_all();
        changed_.add(start, end);
        tables_[used_++] = table;
    }

private:
    constexpr void retire_all() {
        changed_.flush_with(flush_);
        for (std::size_t i = 0; i < used_; ++i) tree_.memory().retire(me_, tables_[i]);
        used_ = 0;
    }

    Tree const& tree_;
    typename Tree::cpu_type& me_;
    Flush& flush_;
    changed_range changed_;
    std::array<pfn, 32> tables_{};
    std::size_t used_{0};
};

/// One call of free_tables.
template<class Tree, FlushPolicy Flush>
class table_freer {
public:
    using format = typename Tree::format;

    constexpr table_freer(Tree const& tree, typename Tree::cpu_type& me, virt_addr floor,
                          virt_addr ceiling, Flush& flush) noexcept
        : tree_{tree}, floor_{floor}, ceiling_{ceiling}, unlinked_{tree, me, flush} {}

    /// Unlinks what the entries of `table` for `[at, end)` link, lowest first. Tables need no
    /// protection here: whoever could unlink one waits for the mm lock.
    constexpr void free_below(pfn table, unsigned level, virt_addr at, virt_addr end) {
        while (at < end) {
            auto const next = entry_end<format>(at, level);
            auto const entry = format::decode(tree_.read(table, at, level), level);
            if (entry.is_table()) {
                if (level > 1) free_below(entry.target, level - 1, at, std::min(next, end));
                if (inside_limits(at, level)) unlink_if_empty(table, level, at);
            }
            at = next;
        }
    }

private:
    constexpr bool inside_limits(virt_addr at, unsigned level) const noexcept {
        return entry_start<format>(at, level) >= floor_ && entry_end<format>(at, level) <= ceiling_;
    }
    constexpr void unlink_if_empty(pfn table, unsigned level, virt_addr at) {
        auto const index = format::index(at, level);
        typename Tree::guard parent{tree_.memory(), table, level};
        auto child = tree_.lock_child(parent, index);
        if (!child.empty()) return;
        (void)parent.clear(index);
        auto const name = child.table();
        child.unlock();
        parent.unlock();
        unlinked_.add(name, entry_start<format>(at, level), entry_end<format>(at, level));
    }

    Tree const& tree_;
    virt_addr floor_;
    virt_addr ceiling_;
    unlinked_tables<Tree, Flush> unlinked_;
};

}  // namespace detail

/// Unlinks, flushes and retires the empty tables that serve `span` and nothing outside of `[floor,
/// ceiling)`. The limits are the neighbours: where the mapping below ends and the one above begins
/// (0 and task_size_max if there is none). A table that is not empty stays.
///
/// Mm lock: exclusive. Errors: bad_address – not all user space; invalid_argument – the limits cut
/// into the span.
template<class Tree, FlushPolicy Flush>
constexpr result<void> free_table_range(Tree const& tree, typename Tree::cpu_type& me,
                                        page_span span, virt_addr floor, virt_addr ceiling,
                                        Flush& flush) {
    if (auto const admitted = tree.admit(me, span); !admitted || span.empty()) return admitted;
    if (floor > span.start() || ceiling < span.end()) return errc::invalid_argument;
    // The last table reaches a little beyond user space; nobody else needs it there.
    if (ceiling >= task_size_max(Tree::format::virtual_bits)) ceiling = {~std::uint64_t{0}};
    detail::table_freer<Tree, Flush> freer{tree, me, floor, ceiling, flush};
    if (Tree::top > 0) freer.free_below(tree.root(), Tree::top, span.start(), span.end());
    return {};
}

}  // namespace mmhold
