// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// What a program says about large folios in a range (may_have_large_folios).
enum class advise_large : std::uint8_t {
    wanted,   ///< MADV_HUGEPAGE
    refused,  ///< MADV_NOHUGEPAGE: neither faults nor collapse() bring any; what is there stays
};

/// madvise(MADV_HUGEPAGE, MADV_NOHUGEPAGE) of `span`: marks its vmas; no page comes or goes.
///
/// Mm lock: held exclusively. Errors: no_memory – a hole, everything else is marked (so does
/// Linux), or a vma cannot be split, and nothing is; invalid_argument – not all user space, or
/// through a page of hugetlb, and nothing is; lock_not_held.
template<class Space>
constexpr result<void> advise_large_folios_locked(
    held_exclusive<typename Space::lock_type> const& held, Space& space, page_span span,
    advise_large what) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    if (span.empty()) return {};
    auto& layout = space.layout_for_change(held);
    if (auto const ready = layout.prepare_flags(span); !ready) return ready;
    auto const whole = layout.mapped_part(span) == span;
    auto const wanted = what == advise_large::wanted;
    layout.change_flags(span, wanted ? vma_flag::large_refused : vma_flag::large_advised,
                        wanted ? vma_flag::large_advised : vma_flag::large_refused);
    return whole ? errc::ok : errc::no_memory;
}

/// The same under a lock of its own. Also errc::interrupted and errc::again, as mmap.
template<class Space>
constexpr result<void> advise_large_folios(typename Space::cpu_type& me, Space& space,
                                           page_span span, advise_large what) {
    return under_exclusive_lock<result<void>>(space.lock(), me.current(), [&](auto const& held) {
        return advise_large_folios_locked(held, space, span, what);
    });
}

}  // namespace mmhold
