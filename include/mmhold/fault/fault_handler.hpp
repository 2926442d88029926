// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/fault_flags.hpp>

#include <concepts>

namespace mmhold {

/// One fault: where, and what the one who faulted is able to put up with.
struct fault_request {
    virt_addr at{};  ///< the faulting address, not rounded (UFFD_FEATURE_EXACT_ADDRESS wants it so)
    fault_flags flags{};  ///< checked by check_fault_flags()
};

/// How long a task that met this fault may be kept asleep (gup-semantics §3 row 8).
[[nodiscard]] constexpr wait_mode sleep_mode(fault_flags flags) noexcept {
    if (flags.has(fault_flag::interruptible)) return wait_mode::interruptible;
    return flags.has(fault_flag::killable) ? wait_mode::killable : wait_mode::uninterruptible;
}

/// Makes a missing page present, a read-only page writable, a shared page exclusive – or says why
/// not.
///
/// `H::machine` and `H::cpu_type` say where it runs.
///
/// handle(request, authority, me): the mm lock `L` is held shared by the caller on entry,
/// `authority.held()` is the witness. The handler keeps it held, unless `authority.permission()` is
/// engaged (the caller said ALLOW_RETRY and not RETRY_NOWAIT) and it drops the lock through that
/// permission; then the outcome is retry or completed. It never takes the lock again itself.
/// Whatever it learnt from a vma is void from the drop on.
///
/// Laws (laws/fault_handler.hpp): (1) lock_lost() of the outcome says exactly whether the witness
/// still holds;
/// (2) without permission the lock is never lost and the outcome is never retry_lock_dropped or
/// completed;
/// (3) with retry_nowait no outcome has a ticket and nothing is queued; (4) installed means that an
/// immediate walk under the same hold finds an entry that permits the access, or finds a reason to
/// fault again; (5) failed leaves the page tables as they were; (6) pending changes nothing a
/// walker can see.
template<class H, class L>
concept FaultHandler = Machine<typename H::machine> &&
                       requires(H& handler, fault_request const& request,
                                lock_authority<L>& authority, typename H::cpu_type& me) {
                           {
                               handler.handle(request, authority, me)
                           } -> std::same_as<fault_outcome<L, typename H::machine>>;
                       };

}  // namespace mmhold
