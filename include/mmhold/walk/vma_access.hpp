// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/gup_flags.hpp>

namespace mmhold {

namespace detail {

/// §4.1 rows 1-6: what no permission can mend.
[[nodiscard]] constexpr errc check_vma_kind(vma const& area, gup_flags flags,
                                            holding how) noexcept {
    auto const longterm = flags.has(gup_flag::longterm);
    if (area.flags.has_any({vma_flag::io, vma_flag::pfnmap})) return errc::bad_address;
    if (flags.has(gup_flag::anon) && !is_anonymous(area)) return errc::bad_address;
    if (longterm && area.flags.has(vma_flag::fsdax)) return errc::not_supported;
    if (flags.has(gup_flag::split_pmd) && area.flags.has(vma_flag::hugetlb))
        return errc::not_supported;
    if (area.flags.has(vma_flag::secret)) return errc::bad_address;
    auto const stays_writable = flags.has(gup_flag::write) && longterm && how == holding::pin;
    if (stays_writable && !is_anonymous(area) && area.flags.has(vma_flag::dirty_tracked))
        return errc::bad_address;
    return errc::ok;
}

/// §4.1 rows 7-11: the vma's permissions, and what FORCE may overrule.
[[nodiscard]] constexpr errc check_vma_permissions(vma const& area, gup_flags flags) noexcept {
    auto const force = flags.has(gup_flag::force);
    if (flags.has(gup_flag::write)) {
        auto const writable =
            permits(area.prot, access::write) && !area.flags.has(vma_flag::shadow_stack);
        return writable || (force && is_cow_mapping(area)) ? errc::ok : errc::bad_address;
    }
    auto const readable =
        permits(area.prot, access::read) || (force && permits(area.may, access::read));
    return readable ? errc::ok : errc::bad_address;
}

/// §4.1 row 12: protection keys bind the current cpu in its own address space only; not REMOTE
/// callers.
[[nodiscard]] constexpr errc check_vma_key(vma const& area, gup_flags flags,
                                           protection_key_rights rights) noexcept {
    auto const wanted = flags.has(gup_flag::write) ? access::write : access::read;
    auto const allowed = flags.has(gup_flag::remote) || rights.permit(area.pkey, wanted);
    return allowed ? errc::ok : errc::bad_address;
}

}  // namespace detail

/// May gup with `flags`, holding `how`, work on this vma at all? check_vma_flags of gup-semantics
/// §4.1, in its order.
///
/// ok, bad_address, or not_supported. The mm lock is held (the vma is being looked at). `rights`:
/// of the cpu that calls. FORCE reads whatever mprotect could make readable; it writes private
/// mappings only.
[[nodiscard]] constexpr errc check_vma_access(vma const& area, gup_flags flags, holding how,
                                              protection_key_rights rights) noexcept {
    if (auto const refused = detail::check_vma_kind(area, flags, how); refused != errc::ok)
        return refused;
    if (auto const refused = detail::check_vma_permissions(area, flags); refused != errc::ok)
        return refused;
    return detail::check_vma_key(area, flags, rights);
}

}  // namespace mmhold
