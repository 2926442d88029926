// SPDX-License-Identifier: BSL-1.0
#pragma once

// gup_fast: a lockless first try, then – only where the walk could not take a page – gup_unlocked
// for the rest. The O_DIRECT, io_uring, futex and KVM way in (gup-semantics §1.4), described step
// by step in §5.1.

#include <mmhold/gup/drive.hpp>
#include <mmhold/gup/fast_operation.hpp>
#include <mmhold/gup/gup.hpp>

namespace mmhold {

namespace detail {

/// Both halves need the same refusals (§5.1: FAST_ONLY gets these errors too).
template<class Mm, class Cpu>
[[nodiscard]] constexpr errc refuse_fast(Mm const& mm, Cpu const& me,
                                         gup_call const& call) noexcept {
    if (check_gup_flags(call.flags, call.how, gup_path::fast) != errc::ok)
        return errc::invalid_argument;
    if (auto const refused = check_fast_call(call, mm.fast_walker.user_end()); refused != errc::ok)
        return refused;
    return me.valid() ? errc::ok : errc::no_memory;
}

template<holding How, GupProfile P, class Mm, class Cpu>
[[nodiscard]] constexpr gup_result fast_only(Mm& mm, Cpu& me, page_span span, gup_flags flags,
                                             gup_output out) {
    gup_parts<std::remove_const_t<Mm>, P> parts{mm, me};
    auto const& composed = parts.composed();
    gup_call call{span, flags, out.held_as(How), out.pages(), lock_entry::own};
    if (auto const refused = refuse_fast(composed, me, call); refused != errc::ok) {
        return {0, gup_stop::error, refused, lock_fate::never_held};
    }
    call.flags = with_holding(call.flags, call.how);
    auto const pages = walk_fast(composed, me, call);
    return {pages, pages == span.pages() ? gup_stop::complete : gup_stop::not_fast, errc::ok,
            lock_fate::never_held};
}

template<holding How, GupProfile P, class Mm, class Cpu>
[[nodiscard]] constexpr gup_result fast_then_slow(Mm& mm, Cpu& me, page_span span, gup_flags flags,
                                                  gup_output out) {
    auto const fast = fast_only<How, P>(mm, me, span, flags, out);
    if (fast.stop != gup_stop::not_fast) return fast;
    ++me.stats().fast_fallbacks;
    auto const rest = out.pages().subspan(static_cast<std::size_t>(fast.pages));
    return combine_fast_and_slow(
        fast.pages, own_lock<How, P>(mm, me, span.after(fast.pages), flags, gup_output{rest}));
}

/// The span of a raw start and count, or what the kernel says to a range that wraps (§5.1 item 4).
template<GupProfile P, class Call>
[[nodiscard]] constexpr gup_result with_span(virt_addr start, page_count pages, Call call) {
    if (auto const span = page_span::from(start.page_start(), pages)) return call(*span);
    auto const error = P::on_fast_wrap == fast_wrap::overflow;
    return {0, error ? gup_stop::error : gup_stop::not_fast, error ? errc::overflow : errc::ok,
            lock_fate::never_held};
}

}  // namespace detail

/// Holds the pages of `span`, without the mm lock as far as they are present and permit it, under
/// it for the rest (get_user_pages_fast).
///
/// Lock before and after: not held by the caller. May sleep. `mm`: an address space or a
/// composition with a lockless walker. Errors: those of gup_unlocked(), and: invalid_argument for
/// an empty span, for no_pages and for flags the fast path does not know; bad_address for a range
/// that ends beyond user space. A later page's error shortens the count and is kept in the result.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result gup_fast(Mm& mm, Cpu& me, page_span span, gup_flags flags, gup_output out) {
    return detail::fast_then_slow<holding::reference, P>(mm, me, span, flags, out);
}

/// gup_fast() with pins (pin_user_pages_fast). Illegal flags are invalid_argument here, not 0.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result pin_fast(Mm& mm, Cpu& me, page_span span, gup_flags flags, gup_output out) {
    return detail::fast_then_slow<holding::pin, P>(mm, me, span, flags, out);
}

/// Only the lockless part: never sleeps, never faults, usable inside an irq_section
/// (get_user_pages_fast_only). Stops with not_fast at the first page it cannot take.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result gup_fast_only(Mm& mm, Cpu& me, page_span span, gup_flags flags,
                                   gup_output out) {
    return detail::fast_only<holding::reference, P>(mm, me, span, flags, out);
}

/// gup_fast_only() with pins.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result pin_fast_only(Mm& mm, Cpu& me, page_span span, gup_flags flags,
                                   gup_output out) {
    return detail::fast_only<holding::pin, P>(mm, me, span, flags, out);
}

/// gup_fast() as callers of Linux know it: any byte of the first page, and a number of pages (§5.1
/// items 3 and 4). A range that wraps is overflow, or 0 pages on kernels before 6.12 (the profile).
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result gup_fast(Mm& mm, Cpu& me, virt_addr start, page_count pages, gup_flags flags,
                              gup_output out) {
    return detail::with_span<P>(
        start, pages, [&](page_span span) { return gup_fast<P>(mm, me, span, flags, out); });
}

/// The same with pins.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result pin_fast(Mm& mm, Cpu& me, virt_addr start, page_count pages, gup_flags flags,
                              gup_output out) {
    return detail::with_span<P>(
        start, pages, [&](page_span span) { return pin_fast<P>(mm, me, span, flags, out); });
}

}  // namespace mmhold
