// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/paging/table_tree.hpp>

#include <concepts>

namespace mmhold {

/// Looks at one leaf or marker: the first address it maps, the entry, its level. Called under the
/// table's lock: takes no other table lock and does not wait. May answer onward::stop to end the
/// visit.
template<class V>
concept LeafVisitor = requires(V& visitor, virt_addr at, page_entry const& entry, unsigned level) {
    { visitor(at, entry, level) };
};

/// Shows every leaf and marker of `span` to `visitor`, in address order, changing nothing; a large
/// leaf that reaches over an end is shown once, whole. Mm lock: shared. Each table is seen at one
/// instant, the range is not. Error: bad_address – not all user space.
template<class Tree, LeafVisitor Visitor>
constexpr result<void> visit_leaves(Tree const& tree, typename Tree::cpu_type& me, page_span span,
                                    Visitor& visitor) {
    using F = typename Tree::format;
    if (auto const admitted = tree.admit(me, span); !admitted || span.empty()) return admitted;
    auto answer = onward::next;
    auto const show = [&](typename Tree::guard& locked, unsigned, virt_addr here,
                          page_entry const& entry) {
        auto const start = entry_start<F>(here, locked.level());
        if constexpr (std::same_as<decltype(visitor(start, entry, 0U)), onward>) {
            answer = visitor(start, entry, locked.level());
        } else {
            visitor(start, entry, locked.level());
        }
        return answer;
    };
    for (auto at = span.start(); at < span.end() && answer == onward::next;) {
        at = tree.visit_one_table(me, at, span.end(), show);
    }
    return {};
}

}  // namespace mmhold
