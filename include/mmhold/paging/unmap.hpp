// SPDX-License-Identifier: BSL-1.0
#pragma once

// unmap – take leaves out of a range, and let go of their pages only when nobody can use them.
//
// Order (gup-semantics §6.1, munmap and MADV_DONTNEED): per table, under its lock: exchange the
// entry for none, tell the sink → after the last, flush → the sink releases the pages. A sink of
// limited room is flushed and emptied on the way; the flush then comes before the table's lock is
// given back. Tables stay: free_tables and reclaim_empty take them away.
//
// Against the lockless pinner (gup-semantics §5.6): we clear the entry, then drop the page's
// reference; it takes a reference, then reads the entry again. Either its reference came first and
// keeps the page, or the count was zero and refuses, or it sees the entry cleared and gives back.

#include <mmhold/paging/split.hpp>

#include <concepts>
#include <optional>

namespace mmhold {

/// Takes notes of leaves and markers that were removed: first address, the entry as it was last
/// (accessed and dirty included), its level. Called under the table's lock, so it only notes; the
/// page is still in use by whoever has an old translation.
template<class S>
concept LeafSink = requires(S& sink, virt_addr at, page_entry const& removed, unsigned level) {
    { sink(at, removed, level) };
};

/// A sink that wants to be told when what it noted may be released – the translations are flushed,
/// no table lock is held – and that can be full before.
template<class S>
concept GatheringSink = LeafSink<S> && requires(S& sink) {
    { sink.full() } -> std::same_as<bool>;  // no room for one more note
    { sink.release() };                     // releases what was noted; makes room
};

/// A sink that wants some entries to stay where they are. keeps() is asked under the table's lock.
template<class S>
concept SelectiveSink = LeafSink<S> && requires(S const& sink, page_entry const& entry) {
    { sink.keeps(entry) } -> std::same_as<bool>;
};
/// A sink that leaves something in the place of what was removed: a marker, or none.
template<class S>
concept LeavingSink = LeafSink<S> && requires(S& sink, page_entry const& removed, unsigned level) {
    { sink.left_behind(removed, level) } -> std::same_as<page_entry>;
};

/// A sink for pages nobody counts.
struct ignore_leaves {
    /// Nothing to note.
    constexpr void operator()(virt_addr, page_entry const&, unsigned) const noexcept {}
};
static_assert(LeafSink<ignore_leaves>);

namespace detail {

template<class Sink>
constexpr bool is_full(Sink& sink) {
    if constexpr (GatheringSink<Sink>) {
        return sink.full();
    } else {
        return false;
    }
}
template<class Sink, class Guard>
constexpr void leave_behind(Sink& sink, Guard& locked, unsigned index, page_entry const& removed) {
    if constexpr (LeavingSink<Sink>) {
        auto const left = sink.left_behind(removed, locked.level());
        if (!left.none()) locked.set(index, left);
    }
}
template<class Sink>
constexpr bool is_kept(Sink const& sink, page_entry const& entry) {
    if constexpr (SelectiveSink<Sink>) {
        return sink.keeps(entry);
    } else {
        return false;
    }
}
template<class Sink>
constexpr void release_from(Sink& sink) {
    if constexpr (GatheringSink<Sink>) sink.release();
}

}  // namespace detail

/// Removes every leaf and marker of `span`, but for what a SelectiveSink keeps or a LeavingSink
/// leaves; leaves that reach over its ends are split first.
///
/// Mm lock: shared (then others may map new leaves behind our back) or exclusive. Sink and flush as
/// said in their concepts; without a GatheringSink the caller releases the pages after the return.
/// Errors: bad_address – not all user space; no_memory, not_supported – a leaf could not be split:
/// nothing is removed, unless a large leaf was mapped across an end meanwhile; then what was
/// removed stays so.
template<class Tree, LeafSink Sink, FlushPolicy Flush>
constexpr result<void> unmap_range(Tree const& tree, typename Tree::cpu_type& me, page_span span,
                                   Sink& sink, Flush& flush) {
    using F = typename Tree::format;
    if (auto const admitted = tree.admit(me, span); !admitted || span.empty()) return admitted;
    if (auto const ready = split_ends(tree, me, span, flush); !ready) return ready;
    changed_range changed;
    result<void> outcome;
    for (auto at = span.start(); at < span.end() && outcome;) {
        std::optional<unsigned> too_large;
        auto const remove = [&](typename Tree::guard& locked, unsigned index, virt_addr here,
                                page_entry const& entry) {
            if (detail::is_kept(sink, entry)) return onward::next;
            if (crosses<F>(here, locked.level(), span)) {
                too_large = locked.level();
                return onward::stop;
            }
            if (detail::is_full(sink)) {
                changed.flush_with(flush);
                return onward::stop;
            }
            auto const removed = locked.clear(index);
            if (removed.present()) changed.add(here, entry_end<F>(here, locked.level()));
            sink(here, removed, locked.level());
            detail::leave_behind(sink, locked, index, removed);
            return onward::next;
        };
        at = tree.visit_one_table(me, at, span.end(), remove);
        if (too_large) outcome = split_leaf(tree, me, at, *too_large, flush);
        if (detail::is_full(sink) && changed.empty()) detail::release_from(sink);
    }
    changed.flush_with(flush);
    detail::release_from(sink);
    return outcome;
}

}  // namespace mmhold
