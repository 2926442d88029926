// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/space/lazy_free.hpp>
#include <mmhold/space/swap_out.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// Memory is short: every page of `span` that may be forgotten is – clean ones that MADV_FREE has
/// named, and all of droppable mappings –, except where it is pinned, held, shared or locked. How
/// many went. Ordinary pages stay. For the host to call when it wants frames back.
///
/// Mm lock: held, shared or exclusively. Errors: no_memory – the cpu is not valid(); lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<std::uint64_t> reclaim_lazy_free(W const& held, typename Space::cpu_type& me,
                                                  Space& space, page_span span) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    if (!me.valid() || !space.valid()) return errc::no_memory;
    std::uint64_t gone = 0;
    detail::pages_to_swap<Space> next;
    space.for_each_vma_in(held, span, [&](vma const& area, page_span part) {
        if (!can_be_lazily_free(area)) return;
        for (auto from = part.start(); from < part.end();) {
            if (!next.find(space, me, part, from)) return;
            for (std::size_t i = 0; i < next.count; ++i) {
                if (!may_be_dropped(me, space, area, next.at[i])) continue;
                if (drop_lazy_page(held, me, space, area, next.at[i])) ++gone;
            }
        }
    });
    return gone;
}

}  // namespace mmhold
