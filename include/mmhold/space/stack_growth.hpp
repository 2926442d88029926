// SPDX-License-Identifier: BSL-1.0
#pragma once

// stack_growth – a mapping that grows down becomes longer when somebody touches what lies below.
//
// Grower    mm lock shared: nothing is mapped there → gives the lock back → takes it exclusively,
//           killable → looks everything up again → the vma begins lower → downgrades: shared again.
//           (gup-semantics §7 item 7; §6.2 #28, StackRot)
// Who grows cpus, in user and kernel mode; ptrace and /proc/PID/mem. gup, and everybody else who
//           goes through it, does not (6.5 and later; §4.6).
//
// The range is between two holds of the lock, so whatever was found in the first is void. What is
// below the mapping keeps its distance: stack_gap_pages, unless it grows down itself or cannot be
// touched at all. No page is brought in, even of a locked stack. (Measured on 6.18.)

#include <mmhold/lock/held.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/space/vma_map.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstddef>
#include <utility>

namespace mmhold {

/// Makes the mapping above `at` longer, so that it contains `at`; its rights are not looked at. If
/// something is mapped at `at` already – others may have been faster – that is success.
///
/// Mm lock: held exclusively. Errors, and then nothing has changed: bad_address – nothing above, or
/// it does not grow, or `at` is below all mappings allowed; no_memory – it would be longer than
/// layout_limits::stack_pages, or come too close to what is below; lock_not_held.
template<class Space>
constexpr result<void> expand_stack_locked(held_exclusive<typename Space::lock_type> const& held,
                                           Space& space, virt_addr at) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    auto& layout = space.layout_for_change(held);
    auto const& map = layout.map();
    auto const& limits = layout.limits();
    auto const start = at.page_start();
    auto const index = map.find_at_or_above(start);
    if (index == map.size()) return errc::bad_address;
    auto const& stack = map[index];
    if (stack.span.start() <= start) return {};
    if (!stack.flags.has(vma_flag::grows_down) || start < limits.lowest) return errc::bad_address;
    if (stack.span.end().value - start.value > limits.stack_pages << page_shift) {
        return errc::no_memory;
    }
    if (index > 0) {
        auto const& below = map[index - 1];
        auto const gap = (start.value - below.span.end().value) >> page_shift;
        auto const minds = !below.flags.has(vma_flag::grows_down) && !below.prot.empty();
        if (minds && gap < limits.stack_gap_pages) return errc::no_memory;
    }
    layout.grow_down(index, start);
    return {};
}

namespace detail {

/// Exclusive becomes shared, without a gap if the lock can do that. Error: again.
template<class L>
constexpr result<held_shared<L>> shared_from(held_exclusive<L>&& whole, L& lock) {
    if constexpr (Downgradable<L>) {
        return std::move(whole).downgrade();
    } else {
        (void)whole.give_up();
        if constexpr (SharedLockable<L>) return held_shared<L>::acquire(lock);
        auto taken = held_shared<L>::try_acquire(lock);
        if (!taken) return errc::again;
        return *std::move(taken);
    }
}

}  // namespace detail

/// The same for who holds the lock shared: gives it up, takes it exclusively – a fatal signal of
/// `waiter` ends the wait – and answers it held shared again. Whatever was found under the old hold
/// is void.
///
/// Errors, and then the lock is not held: as expand_stack_locked(); interrupted. A lock that cannot
/// downgrade is taken anew, and a lock that cannot be waited for is tried once: again.
template<class Space>
constexpr result<held_shared<typename Space::lock_type>> expand_stack(
    held_shared<typename Space::lock_type>&& held, task<typename Space::machine>& waiter,
    Space& space, virt_addr at) {
    auto& lock = space.lock();
    if (!held.guards(lock)) return errc::lock_not_held;
    (void)held.give_up();
    auto whole = take_exclusive(lock, waiter);
    if (!whole) return whole.error();
    if (auto const grown = expand_stack_locked(*whole, space, at); !grown) return grown.error();
    return detail::shared_from(*std::move(whole), lock);
}

}  // namespace mmhold
