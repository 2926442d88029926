// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <optional>

namespace mmhold {

/// Can missing pages of this mapping be left to a userfault (vma_can_userfault)? ok: memory that
/// starts out as zeroes, private or shared, and that may be written some day. invalid_argument:
/// files, devices, and what the kernel maps; what can never be written (Linux: EPERM).
[[nodiscard]] constexpr errc check_userfault_vma(vma const& area) noexcept {
    constexpr vma_flags never{vma_flag::io, vma_flag::pfnmap, vma_flag::hugetlb, vma_flag::secret,
                              vma_flag::fsdax};
    auto const zero_filled = area.kind == vma_kind::anonymous || area.kind == vma_kind::heap
                             || area.kind == vma_kind::stack || area.kind == vma_kind::shmem;
    auto const writable = area.may.has(protection_bit::write);
    return zero_filled && writable && !area.flags.has_any(never) ? errc::ok
                                                                 : errc::invalid_argument;
}

/// Calls visit(vma const&) -> errc for the vmas that overlap `span`, lowest first, until one is
/// not ok. Error: invalid_argument – empty, or nothing is mapped there; or that one.
template<class Space, class Witness, class Visit>
[[nodiscard]] constexpr result<void> check_each_vma(Space& space, Witness const& held,
                                                    page_span span, Visit&& visit) {
    auto answer = errc::ok;
    auto any = false;
    space.for_each_vma(held, [&](vma const& area) {
        if (!area.span.overlaps(span) || answer != errc::ok) return;
        any = true;
        answer = visit(area);
    });
    return any ? answer : errc::invalid_argument;
}

/// May all that is mapped in `span` be registered with `with`? Mm lock: held. Errors:
/// invalid_argument, busy; see userfault::register_range.
template<class Space, class Witness>
[[nodiscard]] constexpr result<void> check_userfault_range(Space& space, Witness const& held,
                                                           page_span span,
                                                           fault_source const& with) {
    return check_each_vma(space, held, span, [&](vma const& area) {
        if (auto const refused = check_userfault_vma(area); refused != errc::ok) return refused;
        return area.source == nullptr || area.source == &with ? errc::ok : errc::busy;
    });
}

/// Is nothing in `span` left to another source than `with`? Mm lock: held. Errors:
/// invalid_argument.
template<class Space, class Witness>
[[nodiscard]] constexpr result<void> check_registered_range(Space& space, Witness const& held,
                                                            page_span span,
                                                            fault_source const& with) {
    return check_each_vma(space, held, span, [&](vma const& area) {
        return area.source == nullptr || area.source == &with ? errc::ok : errc::invalid_argument;
    });
}

/// The lowest mapping whose faults `source` answers. Mm lock: held.
template<class Space, class Witness>
[[nodiscard]] constexpr std::optional<page_span> first_registered(Space& space, Witness const& held,
                                                                  fault_source const& source) {
    std::optional<page_span> found;
    space.for_each_vma(held, [&](vma const& area) {
        if (!found && area.source == &source) found = area.span;
    });
    return found;
}

}  // namespace mmhold
