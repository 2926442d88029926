// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/flag_set.hpp>

#include <cstdint>

namespace mmhold {

/// What a caller of gup asks for, with the values of Linux 6.18 (gup-semantics §0, "Flag values").
enum class gup_flag : std::uint32_t {
    write = 0x1,            ///< the caller will write to the pages
    get = 0x2,              ///< take a reference (implied by the get_ family when pages are wanted)
    dump = 0x4,             ///< core dump: holes and the zero page are an error, not a page
    force = 0x8,            ///< ignore the vma's permissions as ptrace does (§4.1)
    nowait = 0x10,          ///< fail with 0 pages rather than wait for anything
    nofault = 0x20,         ///< an absent page is bad_address, no fault is tried
    hwpoison = 0x40,        ///< report poisoned pages as hardware_poison instead of bad_address
    anon = 0x80,            ///< only anonymous vmas will do
    longterm = 0x100,       ///< the pin may last for ever; only with pin
    split_pmd = 0x200,      ///< split a 2 MiB leaf before following it
    pci_p2pdma = 0x400,     ///< peer-to-peer pages are welcome; not with longterm
    interruptible = 0x800,  ///< any signal may end the wait, not only a fatal one
    honor_numa_fault = 0x1000,  ///< a PROT_NONE NUMA hint is a fault, not a page

    // Set by the library, never by its callers (mm/internal.h in Linux); checked by
    // check_gup_flags().
    touch = 0x10000,           ///< mark pages accessed, and dirty if written
    tried = 0x20000,           ///< second attempt at this page
    remote = 0x40000,          ///< somebody else's address space: protection keys do not apply
    pin = 0x80000,             ///< pin instead of reference
    fast_only = 0x100000,      ///< never fall back to the slow path
    unlockable = 0x200000,     ///< the mm lock may be given up while waiting
    madv_populate = 0x400000,  ///< MADV_POPULATE: tell no-vma and refused-by-vma apart
};
using gup_flags = flag_set<gup_flag>;

/// The flags only the library itself may set.
inline constexpr gup_flags internal_gup_flags{
    gup_flag::touch,     gup_flag::tried,      gup_flag::remote,       gup_flag::pin,
    gup_flag::fast_only, gup_flag::unlockable, gup_flag::madv_populate};

/// The flags gup_fast accepts from its callers (gup-semantics §1.1, last paragraph).
inline constexpr gup_flags fast_gup_flags{
    gup_flag::write,   gup_flag::longterm,   gup_flag::force,           gup_flag::get,
    gup_flag::nofault, gup_flag::pci_p2pdma, gup_flag::honor_numa_fault};

/// How the pages are held when the call succeeds.
enum class holding : std::uint8_t {
    none,       ///< not at all: only fault them in (pages == NULL in Linux)
    reference,  ///< one reference each; no protection against copy-on-write (the get_ family)
    pin,        ///< one pin each: fork and reclaim respect it (the pin_ family)
};

/// Which family of entry points is called; the rules for flags differ.
enum class gup_path : std::uint8_t {
    slow,  ///< gup, gup_locked, gup_unlocked and their pin_ twins
    fast,  ///< gup_fast, gup_fast_only and their pin_ twins
};

/// Are `flags` a legal combination for a caller to pass? (gup-semantics §1.1 "Argument validation",
/// is_valid_gup_args.)
///
/// ok, or invalid_argument for: an internal flag; get together with pinning or with no pages
/// wanted; longterm without pinning; longterm with pci_p2pdma; on the fast path a flag outside
/// fast_gup_flags.
[[nodiscard]] constexpr errc check_gup_flags(gup_flags flags, holding how, gup_path path) noexcept {
    auto const refused = flags.has_any(internal_gup_flags) ||
                         (flags.has(gup_flag::get) && how != holding::reference) ||
                         (flags.has(gup_flag::longterm) && how != holding::pin) ||
                         (flags.has(gup_flag::longterm) && flags.has(gup_flag::pci_p2pdma)) ||
                         (path == gup_path::fast && !flags.without(fast_gup_flags).empty());
    return refused ? errc::invalid_argument : errc::ok;
}

}  // namespace mmhold
