// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/userfault_modes.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <optional>
#include <utility>

namespace mmhold {

namespace detail {

/// Shared memory that a userfault can watch.
[[nodiscard]] constexpr bool is_watchable_shmem(vma const& area) noexcept {
    return area.kind == vma_kind::shmem && !area.flags.has(vma_flag::secret);
}
/// Memory that starts out as zeroes.
[[nodiscard]] constexpr bool can_have_userfault(vma const& area) noexcept {
    constexpr vma_flags never{vma_flag::io,    vma_flag::pfnmap, vma_flag::hugetlb,
                              vma_flag::fsdax, vma_flag::secret, vma_flag::droppable};
    auto const own = area.kind == vma_kind::anonymous || area.kind == vma_kind::heap ||
                     area.kind == vma_kind::stack;
    return (own || is_watchable_shmem(area)) && !area.flags.has_any(never);
}
/// Anything with pages, if writes are only noted.
[[nodiscard]] constexpr bool can_note_writes(vma const& area) noexcept {
    constexpr vma_flags never{vma_flag::io, vma_flag::pfnmap, vma_flag::hugetlb,
                              vma_flag::droppable};
    return area.object != nullptr && !area.flags.has_any(never);
}

}  // namespace detail

/// Can faults of this mapping be left to a userfault in these modes (vma_can_userfault)? (Measured
/// on 6.18.) ok: memory that starts out as zeroes, private or shared, and that may be written some
/// day; minor mode wants shared memory. With wp_async, write-protect mode alone can have files and
/// secret memory too, if they have an object. invalid_argument: no mode; devices, droppable memory,
/// what the kernel maps; what can never be written (Linux: EPERM).
[[nodiscard]] constexpr errc check_userfault_vma(vma const& area,
                                                 userfault_modes modes = userfault_mode::missing,
                                                 userfault_features features = {}) noexcept {
    auto const notes = features.has(userfault_feature::wp_async) &&
                       modes == userfault_modes{userfault_mode::write_protect} &&
                       detail::can_note_writes(area);
    auto const fits = notes || detail::can_have_userfault(area);
    auto const writable = area.may.has(protection_bit::write);
    if (modes.empty() || !writable || !fits) return errc::invalid_argument;
    auto const minor = modes.has(userfault_mode::minor);
    return minor && !detail::is_watchable_shmem(area) ? errc::invalid_argument : errc::ok;
}

/// Calls visit(vma const&) -> errc for the vmas that overlap `span`, lowest first, until one is
/// not ok. Error: invalid_argument – empty, or nothing is mapped there; or that one.
template<class Space, class Witness, class Visit>
[[nodiscard]] constexpr result<void> check_each_vma(Space& space, Witness const& held,
                                                    page_span span, Visit&& visit) {
    auto answer = errc::ok;
    auto any = false;
    space.for_each_vma_in(held, span, [&](vma const& area, page_span) {
        any = true;
        answer = visit(area);
        return answer == errc::ok;
    });
    return any ? answer : errc::invalid_argument;
}

/// May all that is mapped in `span` be registered with `with` in these modes? Mm lock: held.
/// Errors: invalid_argument, busy; see userfault::register_range.
template<class Space, class Witness>
[[nodiscard]] constexpr result<void> check_userfault_range(
    Space& space, Witness const& held, page_span span, fault_source const& with,
    userfault_modes modes = userfault_mode::missing, userfault_features features = {}) {
    return check_each_vma(space, held, span, [&](vma const& area) {
        auto const refused = check_userfault_vma(area, modes, features);
        if (refused != errc::ok) return refused;
        return area.source == nullptr || area.source == &with ? errc::ok : errc::busy;
    });
}

/// Is nothing in `span` left to another source than `with`, nor anything that no userfault could
/// have, and if hugetlb comes first, is `span` one that can begin there? (Measured on 6.18. Linux's
/// userfaults can have hugetlb: it is never registered here, and may be let go. Its end may lie
/// anywhere.) Mm lock: held. Errors: invalid_argument.
template<class Space, class Witness>
[[nodiscard]] constexpr result<void> check_registered_range(Space& space, Witness const& held,
                                                            page_span span,
                                                            fault_source const& with) {
    auto is_first = true;
    return check_each_vma(space, held, span, [&](vma const& area) {
        auto const cut = std::exchange(is_first, false) && !is_hugetlb_border(span.start());
        auto const none = area.flags.has(vma_flag::hugetlb)
                              ? !cut
                              : area.source == nullptr && detail::can_have_userfault(area);
        return none || area.source == &with ? errc::ok : errc::invalid_argument;
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
