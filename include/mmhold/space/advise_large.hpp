// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/space/advised_range.hpp>
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
/// Mm lock: held exclusively. Errors: those of change_advised_flags.
template<class Space>
constexpr result<void> advise_large_folios_locked(
    held_exclusive<typename Space::lock_type> const& held, Space& space, page_span span,
    advise_large what) {
    auto const wanted = what == advise_large::wanted;
    auto const gone = wanted ? vma_flag::large_refused : vma_flag::large_advised;
    auto const come = wanted ? vma_flag::large_advised : vma_flag::large_refused;
    return change_advised_flags(held, space, span, [&](vma const& area) {
        return result<vma_flags>{area.flags.without(gone).with(come)};
    });
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
