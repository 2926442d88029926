// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/split_folio.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <algorithm>

namespace mmhold {

namespace detail {

/// The leaf of a large folio that begins or ends outside of `span`, but reaches over `at`.
template<class Space>
constexpr bool is_cut_by(Space& space, typename Space::cpu_type& me, page_span span, virt_addr at) {
    using format = typename Space::format;
    auto found = false;
    auto const look = [&](virt_addr, page_entry const& entry, unsigned level) {
        found = level == 1 && entry.is_leaf();
        return onward::stop;
    };
    (void)space.table().visit(me, pages_between(at, at.plus_pages(1)), look);
    auto const inside =
        span.start() <= entry_start<format>(at, 1) && entry_end<format>(at, 1) <= span.end();
    return found && !inside;
}

}  // namespace detail

/// madvise(MADV_COLD): the pages of `span` are not wanted soon. There is no reclaim by age here, so
/// they are as warm as before; but a large folio that `span` cuts through is split, if it is
/// nobody else's, and its pages of zeroes become the zero page (measured on 6.18).
///
/// Mm lock: held shared or exclusively. Errors: invalid_argument – a mapping whose pages must stay
/// (locked, device memory, hugetlb): those above it are left alone; no_memory – there was a hole,
/// everything else is done; lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<void> cool_down_locked(W const& held, typename Space::cpu_type& me, Space& space,
                                        page_span span) {
    return for_each_advised(held, space, span, [&](vma const& area, page_span part) {
        if (!can_be_discarded(area)) return result<void>{errc::invalid_argument};
        if constexpr (Space::format::levels > 1) {
            for (auto const at : {part.start(), part.page(part.pages() - 1)}) {
                if (!detail::is_cut_by(space, me, part, at)) continue;
                (void)split_sharing_zeroes_at(space, me, at);  // somebody else's stays
            }
        }
        return result<void>{};
    });
}

/// The same under the lock, shared, for the time of the call. Also errc::again, as dontneed().
template<class Space>
constexpr result<void> cool_down(typename Space::cpu_type& me, Space& space, page_span span) {
    return under_shared_lock<result<void>>(
        space.lock(), [&](auto const& held) { return cool_down_locked(held, me, space, span); });
}

}  // namespace mmhold
