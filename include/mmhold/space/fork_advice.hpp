// SPDX-License-Identifier: BSL-1.0
#pragma once

// fork_advice – what a child of fork gets of a mapping: all of it, nothing, or the mapping without
// its pages (MADV_DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK). fork.hpp obeys.

#include <mmhold/lock/held.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// What is to become of a mapping at fork.
enum class at_fork : std::uint8_t {
    leave_out,  ///< MADV_DONTFORK: the child does not get the mapping
    inherit,    ///< MADV_DOFORK: it does
    wipe,       ///< MADV_WIPEONFORK: it gets the mapping, zero
    keep,       ///< MADV_KEEPONFORK: with its pages
};

/// May `area` be treated so? inherit: not devices; wipe: only private memory without a file; keep:
/// not what is droppable, which is wiped always. (Measured on 6.18.)
[[nodiscard]] constexpr bool can_be_advised(vma const& area, at_fork what) noexcept {
    switch (what) {
        case at_fork::leave_out: return true;
        case at_fork::inherit: return !area.flags.has(vma_flag::io);
        case at_fork::wipe: return is_anonymous(area) && !area.has_file_pages();
        case at_fork::keep: return !area.flags.has(vma_flag::droppable);
    }
    return false;
}

namespace detail {

/// The flags before, so treated.
[[nodiscard]] constexpr vma_flags flags_for(vma_flags before, at_fork what) noexcept {
    switch (what) {
        case at_fork::leave_out: return before.with(vma_flag::dont_fork);
        case at_fork::inherit: return before.without(vma_flag::dont_fork);
        case at_fork::wipe: return before.with(vma_flag::wipe_on_fork);
        case at_fork::keep: return before.without(vma_flag::wipe_on_fork);
    }
    return before;
}

}  // namespace detail

/// Decides for everything mapped in `span`; vmas are split and joined as needed.
///
/// Mm lock: held exclusively. Errors: invalid_argument – a mapping that cannot be treated so, those
/// below it are, those above it are not; no_memory – there was a hole, everything else is done; or
/// a vma cannot be split; lock_not_held.
template<class Space>
constexpr result<void> fork_advice_locked(held_exclusive<typename Space::lock_type> const& held,
                                          Space& space, page_span span, at_fork what) {
    return change_advised_flags(held, space, span, [&](vma const& area) -> result<vma_flags> {
        if (!can_be_advised(area, what)) return errc::invalid_argument;
        return detail::flags_for(area.flags, what);
    });
}

/// The same under the lock, exclusively, for the time of the call. Also errc::interrupted and
/// errc::again, as mprotect().
template<class Space>
constexpr result<void> fork_advice(typename Space::cpu_type& me, Space& space, page_span span,
                                   at_fork what) {
    return under_exclusive_lock<result<void>>(space.lock(), me.current(), [&](auto const& held) {
        return fork_advice_locked(held, space, span, what);
    });
}

}  // namespace mmhold
