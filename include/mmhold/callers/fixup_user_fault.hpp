// SPDX-License-Identifier: BSL-1.0
#pragma once

// fixup_user_fault – one fault resolved on a task's behalf, without getting a page (gup-semantics
// §2.6). Futexes use it after an access with page faults off has failed; KVM and vfio use it for
// device memory. The lock is held before and after. Who passes may_drop(witness) lets the fault
// give it up meanwhile; who passes the witness keeps it, and a userfault is an error.

#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/drive.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/result.hpp>

#include <utility>

namespace mmhold {

/// Was the lock given up, and taken again, on the way? Then nothing learnt before is valid.
enum class relocked : std::uint8_t { no, yes };

namespace detail {

/// vma_permits_fault: the vma's rights, and the key of the cpu.
[[nodiscard]] constexpr bool permits_fixup(vma const& area, access wanted,
                                           protection_key_rights rights) noexcept {
    return permits(area.prot, wanted) && rights.permit(area.pkey, wanted);
}

/// One round: the outcome of the handler, or why it was not asked.
template<class Space, class Cpu>
[[nodiscard]] constexpr auto fixup_round(Space& mm, Cpu& me,
                                         lock_authority<typename Space::lock_type>& authority,
                                         virt_addr at, access wanted, fault_flags flags) {
    using outcome = typename dispatch<Space>::outcome;
    auto const found = mm.find(at, authority.held());
    if (!found || !permits_fixup(found->view(authority.held()), wanted, me.key_rights())) {
        return outcome::failed(errc::bad_address);
    }
    if (flags.has(fault_flag::killable) && me.current().fatal_signal_pending()) {
        return outcome::failed(errc::interrupted);
    }
    auto answer = dispatch<Space>{mm}.handle({at, flags}, authority, me);
    auto const done = answer.kind() == fault_kind::installed ||
                      answer.kind() == fault_kind::installed_major ||
                      answer.kind() == fault_kind::completed;
    if (done) ++me.stats().faults;
    return answer;
}

[[nodiscard]] constexpr errc fixup_error(errc error) noexcept {
    return error == errc::hardware_poison ? errc::bad_address : error;
}

}  // namespace detail

/// Resolves a fault at `at` under the caller's lock, which stays held. Errors: bad_address – no
/// vma, refused, or the fault would have to wait; no_memory; lock_not_held.
template<class Space, class Cpu>
constexpr result<void> fixup_user_fault(Space& mm, Cpu& me,
                                        held_shared<typename Space::lock_type> const& held,
                                        virt_addr at, access wanted) {
    if (!held.guards(mm.lock())) return errc::lock_not_held;
    auto authority = lock_authority<typename Space::lock_type>::keep(held);
    auto const flags = fault_flags{}.with_if(wanted == access::write, fault_flag::write);
    auto const outcome = detail::fixup_round(mm, me, authority, at, wanted, flags);
    switch (outcome.kind()) {
        case fault_kind::installed:
        case fault_kind::installed_major:
        case fault_kind::completed: return {};
        case fault_kind::failed: return detail::fixup_error(outcome.error());
        default: return errc::bad_address;
    }
}

/// The same for who can bear that the lock is given up meanwhile: `held` holds again afterwards,
/// and the answer tells whether it was lost. Every retry waits for the page, then starts over from
/// the lookup, without bound. Errors as above, and interrupted: killed; then too the lock is held.
template<class Space, class Cpu>
constexpr result<relocked> fixup_user_fault_unlocked(Space& mm, Cpu& me,
                                                     held_shared<typename Space::lock_type>& held,
                                                     virt_addr at, access wanted) {
    using lock_type = typename Space::lock_type;
    using machine = typename Space::machine;
    if (!held.guards(mm.lock())) return errc::lock_not_held;
    auto dropped = relocked::no;
    auto flags = fault_flags{fault_flag::allow_retry, fault_flag::killable}.with_if(
        wanted == access::write, fault_flag::write);
    for (;;) {
        auto authority = lock_authority<lock_type>::may_drop(may_drop(held));
        auto outcome = detail::fixup_round(mm, me, authority, at, wanted, flags);
        auto const kind = outcome.kind();
        if (kind == fault_kind::failed) return detail::fixup_error(outcome.error());
        if (kind == fault_kind::installed || kind == fault_kind::installed_major) return dropped;
        if (kind == fault_kind::pending) {
            machine::relax();
            continue;
        }
        if (kind == fault_kind::retry_lock_dropped) {
            auto ticket = outcome.take_ticket();
            if (!ticket.ready()) ticket.wait(wait_mode::killable);
        }
        if (!held.holding()) {
            // Not killable (§2.6), so there is always a hold to go on with.
            held =
                *detail::take_shared<machine>(mm.lock(), me.current(), wait_mode::uninterruptible);
            dropped = relocked::yes;
        }
        if (kind == fault_kind::completed) return dropped;
        flags = flags.with(fault_flag::tried);
    }
}

}  // namespace mmhold
