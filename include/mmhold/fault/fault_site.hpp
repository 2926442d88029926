// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>
#include <mmhold/vocab/result.hpp>

namespace mmhold {

/// A fault that has been found worth answering: where, in which vma, with flags that make sense
/// there.
struct fault_site {
    vma const* area{nullptr};  ///< good as long as the hold of the mm lock it was found under
    virt_addr at{};            ///< the faulting address, not rounded
    fault_flags flags{};

    /// The page that is to be present.
    [[nodiscard]] constexpr virt_addr page() const noexcept { return at.page_start(); }
    [[nodiscard]] constexpr bool write() const noexcept { return flags.has(fault_flag::write); }
    [[nodiscard]] constexpr bool unshare() const noexcept { return flags.has(fault_flag::unshare); }
};

/// What the fault wants to do to its page.
[[nodiscard]] constexpr access wanted_access(fault_flags flags) noexcept {
    if (flags.has(fault_flag::write)) return access::write;
    return flags.has(fault_flag::instruction) ? access::execute : access::read;
}

/// May `flags` be asked of `area` at all, and what do they mean there? gup-semantics §2.1 item 6,
/// and the protection key that handle_mm_fault looks at.
///
/// Answers the flags to go on with: unshare where nothing is shared by copy-on-write is a plain
/// read. Error: bad_address (SIGSEGV) for flags nobody could mean, for a write that the mapping
/// can never permit, and for a key that `rights` – of the cpu that faults – forbids; keys do not
/// bind remote callers. The vma's own permissions are *not* looked at: FORCE callers may overrule
/// them, and have asked check_vma_access(); for everybody else see permitted_by_vma().
[[nodiscard]] constexpr result<fault_flags> check_fault(vma const& area, fault_flags flags,
                                                        protection_key_rights rights) noexcept {
    if (check_fault_flags(flags) != errc::ok) return errc::bad_address;
    auto const write = flags.has(fault_flag::write);
    if (write && !area.may.has(protection_bit::write)) return errc::bad_address;
    if (write && !is_cow_mapping(area) && !permits(area.prot, access::write)) {
        return errc::bad_address;
    }
    auto const key_binds = !flags.has(fault_flag::remote);
    if (key_binds && !rights.permit(area.pkey, wanted_access(flags))) return errc::bad_address;
    return is_cow_mapping(area) ? flags : flags.without(fault_flag::unshare);
}

/// Do the vma's permissions allow what a cpu tried? The test that the cpu's own fault entry makes
/// before it asks a handler (access_error on x86): a write needs PROT_WRITE, an instruction fetch
/// PROT_EXEC, a read any permission, because x86 has no page that can only be written.
[[nodiscard]] constexpr bool permitted_by_vma(vma const& area, fault_flags flags) noexcept {
    auto const wanted = wanted_access(flags);
    return wanted == access::read ? !area.prot.empty() : permits(area.prot, wanted);
}

/// Finds the vma of `request` under the hold that `authority` answers for, and checks the fault
/// against it.
///
/// Errors: no_memory if the cpu is not valid(); lock_not_held; bad_address for no vma and as
/// check_fault().
template<class Space, class Cpu>
[[nodiscard]] constexpr result<fault_site> locate_fault(
    Space& space, fault_request const& request,
    lock_authority<typename Space::lock_type> const& authority, Cpu const& me) noexcept {
    if (!me.valid()) return errc::no_memory;
    auto const& held = authority.held();
    if (!held.guards(space.lock())) return errc::lock_not_held;
    auto const found = space.find(request.at, held);
    if (!found) return errc::bad_address;
    auto const& area = found->view(held);
    auto const flags = check_fault(area, request.flags, me.key_rights());
    if (!flags) return flags.error();
    return fault_site{&area, request.at, *flags};
}

}  // namespace mmhold
