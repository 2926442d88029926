// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/flag_set.hpp>
#include <mmhold/vocab/gup_flags.hpp>

#include <cstdint>

namespace mmhold {

/// What a fault handler is told about one fault, with the values of Linux 6.18 (gup-semantics §0,
/// "Flag values").
enum class fault_flag : std::uint16_t {
    write = 0x1,         ///< the access was a write
    mkwrite = 0x2,       ///< make an existing shared mapping writable
    allow_retry = 0x4,   ///< the handler may give up the mm lock and answer RETRY
    retry_nowait = 0x8,  ///< with allow_retry: answer RETRY, keep the lock, do not wait
    killable = 0x10,     ///< a fatal signal ends the wait
    tried = 0x20,        ///< this address was tried before; file and swap I/O do not retry again
    user = 0x40,  ///< raised by user-mode code, not by the kernel on its behalf (never set by gup)
    remote = 0x80,           ///< somebody else's address space
    instruction = 0x100,     ///< an instruction fetch
    interruptible = 0x200,   ///< any signal ends the wait
    unshare = 0x400,         ///< break copy-on-write sharing without making the page writable
    orig_pte_valid = 0x800,  ///< the handler's copy of the entry is current
    vma_lock = 0x1000,       ///< handled under the vma's own lock
};
using fault_flags = flag_set<fault_flag>;

/// Could any caller mean this? (gup-semantics §2.1 item 6, the part that needs no vma.)
///
/// ok, or invalid_argument for: unshare with write; vma_lock with retry_nowait; retry_nowait
/// without allow_retry (it only qualifies the permission to retry).
[[nodiscard]] constexpr errc check_fault_flags(fault_flags flags) noexcept {
    auto const refused =
        (flags.has(fault_flag::unshare) && flags.has(fault_flag::write)) ||
        (flags.has(fault_flag::vma_lock) && flags.has(fault_flag::retry_nowait)) ||
        (flags.has(fault_flag::retry_nowait) && !flags.has(fault_flag::allow_retry));
    return refused ? errc::invalid_argument : errc::ok;
}

/// Did the page itself ask for the fault (absent or not writable), or must a shared page be
/// unshared before a pin?
enum class fault_cause : std::uint8_t { missing_or_protected, must_unshare };

/// The fault flags gup passes on for its own flags: gup-semantics §2.2, row by row.
///
/// Never user, vma_lock or instruction. nofault callers must not get here: they take bad_address
/// instead.
[[nodiscard]] constexpr fault_flags to_fault_flags(gup_flags flags, fault_cause cause) noexcept {
    fault_flags out;
    auto const unlockable = flags.has(gup_flag::unlockable);
    out = out.with_if(flags.has(gup_flag::remote), fault_flag::remote);
    out = out.with_if(flags.has(gup_flag::tried), fault_flag::tried);
    out = out.with_if(unlockable, fault_flags{fault_flag::allow_retry, fault_flag::killable});
    out = out.with_if(unlockable && flags.has(gup_flag::interruptible), fault_flag::interruptible);
    out = out.with_if(flags.has(gup_flag::nowait),
                      fault_flags{fault_flag::allow_retry, fault_flag::retry_nowait});
    if (cause == fault_cause::must_unshare) return out.with(fault_flag::unshare);
    return out.with_if(flags.has(gup_flag::write), fault_flag::write);
}

}  // namespace mmhold
