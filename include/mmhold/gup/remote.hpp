// SPDX-License-Identifier: BSL-1.0
#pragma once

// gup on somebody else's address space (get_user_pages_remote, pin_user_pages_remote;
// gup-semantics §1.1). REMOTE means that the protection keys of the cpu that asks play no role, not
// even on its own space (§4.1 row 12). Who hands over a witness keeps the lock, as with `locked ==
// NULL`; who hands over may_drop(witness) may lose it. Both mark the pages as used.

#include <mmhold/gup/gup.hpp>

#include <utility>

namespace mmhold {

/// References on the pages of `span`; the caller's lock stays held. Errors: as gup().
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu, class L>
constexpr gup_result gup_remote(Mm& mm, Cpu& me, held_shared<L> const& held, page_span span,
                                gup_flags flags, gup_output out) {
    return detail::keep_lock<holding::reference, P>(mm, me, held, span, flags, out,
                                                    gup_flag::remote);
}

/// References; the lock may be lost. Errors: as gup_locked().
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu, class L>
constexpr gup_result gup_remote(Mm& mm, Cpu& me, droppable<L> permission, page_span span,
                                gup_flags flags, gup_output out) {
    return detail::maybe_lose_lock<holding::reference, P>(mm, me, std::move(permission), span,
                                                          flags, out, gup_flag::remote);
}

/// Pins; the caller's lock stays held. Illegal flags are answered with 0 pages, as Linux does.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu, class L>
constexpr gup_result pin_remote(Mm& mm, Cpu& me, held_shared<L> const& held, page_span span,
                                gup_flags flags, gup_output out) {
    return detail::keep_lock<holding::pin, P>(mm, me, held, span, flags, out,
                                              {gup_flag::touch, gup_flag::remote});
}

/// Pins; the lock may be lost.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu, class L>
constexpr gup_result pin_remote(Mm& mm, Cpu& me, droppable<L> permission, page_span span,
                                gup_flags flags, gup_output out) {
    return detail::maybe_lose_lock<holding::pin, P>(mm, me, std::move(permission), span, flags, out,
                                                    gup_flag::remote);
}

}  // namespace mmhold
