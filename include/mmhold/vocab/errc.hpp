// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string_view>

namespace mmhold {

/// Everything that can go wrong, in the field's own numbers: each value is the Linux errno it
/// stands for.
///
/// A closed set: a function of the library fails with one of these or not at all. Which gup answers
/// with which value: gup-semantics §1.2. `ok` exists so that "why did it stop" can be answered by
/// one type.
enum class errc : std::uint8_t {
    ok = 0,
    interrupted = 4,     ///< EINTR: a fatal signal, or any signal where the caller asked for it
    io = 5,              ///< EIO: nothing could be transferred (/proc/PID/mem, ptrace)
    again = 11,          ///< EAGAIN: the first, killable taking of the mm lock was interrupted
    no_memory = 12,      ///< ENOMEM: frames, page tables or bookkeeping memory are exhausted
    access_denied = 13,  ///< EACCES: the mapping can never have such rights
    bad_address = 14,    ///< EFAULT: no vma, access refused, or the fault ended in SIGBUS/SIGSEGV
    busy = 16,           ///< EBUSY: the page is in use in a way that forbids the operation
    exists = 17,         ///< EEXIST: the range or the page table entry is already in use
    no_device = 19,      ///< ENODEV: what is behind the mapping offers no such operation
    invalid_argument =
        22,  ///< EINVAL: a flag combination, alignment or length that no state could make legal
    not_supported = 95,     ///< EOPNOTSUPP: legal to ask, not offered by this mapping
    overflow = 75,          ///< EOVERFLOW: start + length leaves the 64-bit address space
    remote_io = 121,        ///< EREMOTEIO: a peer-to-peer page without permission for it
    hardware_poison = 133,  ///< EHWPOISON: the page's memory is known to be broken
    lock_not_held =
        37,  ///< ENOLCK: a witness was passed that no longer holds its lock (no Linux call says so)
};

/// The positive errno of `e`; 0 for ok.
[[nodiscard]] constexpr int to_errno(errc e) noexcept { return static_cast<int>(e); }

/// The errc of a positive errno; `invalid_argument` for a number outside the closed set.
[[nodiscard]] constexpr errc from_errno(int number) noexcept {
    switch (number) {
        case 0: return errc::ok;
        case 4: return errc::interrupted;
        case 5: return errc::io;
        case 11: return errc::again;
        case 12: return errc::no_memory;
        case 13: return errc::access_denied;
        case 14: return errc::bad_address;
        case 16: return errc::busy;
        case 17: return errc::exists;
        case 19: return errc::no_device;
        case 37: return errc::lock_not_held;
        case 75: return errc::overflow;
        case 95: return errc::not_supported;
        case 121: return errc::remote_io;
        case 133: return errc::hardware_poison;
        default: return errc::invalid_argument;
    }
}

/// The kernel's name of the number ("EFAULT"), for tables and reports.
[[nodiscard]] constexpr std::string_view errno_name(errc e) noexcept {
    switch (e) {
        case errc::ok: return "OK";
        case errc::interrupted: return "EINTR";
        case errc::io: return "EIO";
        case errc::again: return "EAGAIN";
        case errc::no_memory: return "ENOMEM";
        case errc::access_denied: return "EACCES";
        case errc::bad_address: return "EFAULT";
        case errc::busy: return "EBUSY";
        case errc::exists: return "EEXIST";
        case errc::no_device: return "ENODEV";
        case errc::invalid_argument: return "EINVAL";
        case errc::not_supported: return "EOPNOTSUPP";
        case errc::overflow: return "EOVERFLOW";
        case errc::remote_io: return "EREMOTEIO";
        case errc::hardware_poison: return "EHWPOISON";
        case errc::lock_not_held: return "ENOLCK";
    }
    return "?";
}

/// One sentence for people.
[[nodiscard]] constexpr std::string_view describe(errc e) noexcept {
    switch (e) {
        case errc::ok: return "success";
        case errc::interrupted: return "interrupted by a signal";
        case errc::io: return "nothing could be transferred";
        case errc::again: return "interrupted before the mm lock was taken";
        case errc::no_memory: return "out of frames, page tables or bookkeeping memory";
        case errc::access_denied: return "the mapping can never have such rights";
        case errc::bad_address: return "bad address: not mapped, or this access is not permitted";
        case errc::busy: return "in use in a way that forbids the operation";
        case errc::exists: return "already in use";
        case errc::no_device: return "what is behind the mapping offers no such operation";
        case errc::invalid_argument: return "invalid argument";
        case errc::not_supported: return "not supported by this mapping";
        case errc::overflow: return "the range wraps around the end of the address space";
        case errc::remote_io: return "peer-to-peer page without permission for it";
        case errc::hardware_poison: return "the page's memory is poisoned";
        case errc::lock_not_held: return "the witness passed in no longer holds the lock";
    }
    return "unknown error";
}

}  // namespace mmhold
