// SPDX-License-Identifier: BSL-1.0
#pragma once

// What all advice has in common (madvise_walk_vmas): it works through the mappings of a range from
// the lowest on; a hole does not stop it, but is told at the end; a mapping that refuses does, and
// what lies above is left alone. (Measured on 6.18.)

#include <mmhold/lock/held.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

namespace mmhold {

/// Calls each(area, part) -> result<void> for the mappings in `span`, lowest first, with the part
/// of `span` that lies in each, until one answers with an error. `each` must not change the layout.
///
/// Mm lock: held through `held`. Errors: what `each` answers; no_memory – there was a hole,
/// everything else is done; lock_not_held. No pages: success.
template<class Space, WitnessOf<typename Space::lock_type> W, class Each>
constexpr result<void> for_each_advised(W const& held, Space const& space, page_span span,
                                        Each&& each) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    result<void> outcome;
    auto hole = false;
    auto expected = span.start();
    space.for_each_vma_in(held, span, [&](vma const& area, page_span part) {
        hole = hole || part.start() != expected;
        expected = part.end();
        outcome = each(area, part);
        return outcome.has_value();
    });
    if (!outcome) return outcome;
    return hole || expected != span.end() ? errc::no_memory : errc::ok;
}

/// Gives the mappings in `span` the flags that change(area) -> result<vma_flags> answers, lowest
/// first, until it answers with an error; vmas are split and joined as needed.
///
/// Mm lock: held exclusively. Errors: what `change` answers; no_memory – there was a hole,
/// everything else is done; or a vma cannot be split: those below it are done; invalid_argument –
/// one may not be split (layout::cuts_the_unsplittable); lock_not_held.
template<class Space, class Change>
constexpr result<void> change_advised_flags(held_exclusive<typename Space::lock_type> const& held,
                                            Space& space, page_span span, Change&& change) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    auto& layout = space.layout_for_change(held);
    auto const& map = layout.map();
    auto hole = false;
    for (auto at = span.start(); at < span.end();) {
        auto const index = map.find_at_or_above(at);
        if (index == map.size()) return errc::no_memory;
        auto const part = detail::common_pages(map[index].span, span);
        if (part.empty()) return errc::no_memory;
        hole = hole || part.start() > at;
        auto const before = map[index].flags;
        result<vma_flags> const after = change(map[index]);
        if (!after) return after.error();
        if (*after != before) {
            if (auto const ready = layout.prepare_flags(part); !ready) return ready;
            layout.change_flags(part, before.without(*after), after->without(before));
        }
        at = part.end();
    }
    return hole ? errc::no_memory : errc::ok;
}

}  // namespace mmhold
