// SPDX-License-Identifier: BSL-1.0
#pragma once

// Faulting in ahead of use: MADV_POPULATE_READ and _WRITE, and the populating half of mlock(2)
// (gup-semantics §1.1, §1.4, §8.1 columns OR, OW, ML, §8.3).
//
//   variant   MADV_POPULATE: gup_faultin (no pages, errors told apart), over and over until the
//             range or an error ends it; pages before the bad one stay populated
//             mlock: get_user_pages with no pages, vma by vma, may lose the lock; WRITE where the
//             vma is private and writable, else FORCE where it has any rights; device memory is
//             left out
//   result    0 or the errno; mlock turns bad_address into no_memory and no_memory into again

#include <mmhold/callers/user_range.hpp>
#include <mmhold/gup/drive.hpp>
#include <mmhold/gup/faultin.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/result.hpp>

#include <optional>

namespace mmhold {

namespace detail {

/// The pages of [start, start + bytes rounded up), as madvise checks them: invalid_argument if the
/// start is not page-aligned or the range wraps; empty for no bytes.
[[nodiscard]] constexpr result<page_span> madvise_span(user_range range) noexcept {
    if (!range.start.page_aligned()) return errc::invalid_argument;
    auto const pages = pages_touched({}, range.bytes);
    auto const span = page_span::from(range.start, page_count{pages});
    return span ? span : result<page_span>{errc::invalid_argument};
}

[[nodiscard]] constexpr errc populate_error(errc from_gup) noexcept {
    switch (from_gup) {
        case errc::interrupted:
        case errc::again: return errc::interrupted;
        case errc::invalid_argument:
        case errc::bad_address:
        case errc::hardware_poison: return from_gup;
        default: return errc::no_memory;
    }
}

/// How mlock touches the pages of `area`; nothing: not at all.
[[nodiscard]] constexpr std::optional<gup_flags> mlock_flags(vma const& area) noexcept {
    if (area.flags.has_any({vma_flag::io, vma_flag::pfnmap})) return std::nullopt;
    auto const own = !area.flags.has(vma_flag::shared) && permits(area.prot, access::write);
    return gup_flags{}
        .with_if(own, gup_flag::write)
        .with_if(!own && !area.prot.empty(), gup_flag::force);
}

[[nodiscard]] constexpr errc mlock_error(errc from_gup) noexcept {
    if (from_gup == errc::bad_address) return errc::no_memory;
    return from_gup == errc::no_memory ? errc::again : from_gup;
}

}  // namespace detail

/// madvise(MADV_POPULATE_READ) for access::read, MADV_POPULATE_WRITE for access::write. Errors:
/// invalid_argument – the start is not page-aligned, the range wraps, or a vma refuses; no_memory –
/// a hole, or memory exhausted; bad_address – SIGBUS or SIGSEGV; hardware_poison; interrupted.
/// Pages below the failing one stay populated.
///
/// Mm lock: not held by the caller; taken, and perhaps lost, for each attempt. May sleep.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> madvise_populate(Space& mm, Cpu& me, user_range range, access wanted) {
    auto const span = detail::madvise_span(range);
    if (!span) return span.error();
    for (auto left = *span; !left.empty();) {
        auto const got = gup_faultin<P>(mm, me, left, wanted);
        if (got.pages == 0) return detail::populate_error(got.error);
        left = left.after(got.pages);
    }
    return {};
}

/// mlock(2) without the locking: everything mapped in `span` is made present. Errors: no_memory – a
/// hole, and then nothing has been populated, or a page that cannot be had; again – memory
/// exhausted; interrupted.
///
/// Mm lock: not held by the caller; taken anew after each loss. May sleep. The vmas are not marked
/// as locked: the layout has no operation for that.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> mlock_populate(Space& mm, Cpu& me, page_span span) {
    using machine = typename Space::machine;
    auto checked = span;
    auto left = span;
    while (!left.empty()) {
        auto held = detail::take_shared<machine>(mm.lock(), me.current(), wait_mode::killable);
        if (!held) return errc::interrupted;
        while (!checked.empty()) {
            auto const found = mm.find(checked.start(), *held);
            if (!found) return errc::no_memory;
            checked = checked.after(detail::common_pages(checked, found->view(*held).span).pages());
        }
        auto const found = mm.find(left.start(), *held);
        if (!found) return errc::no_memory;
        auto const part = detail::common_pages(left, found->view(*held).span);
        auto const flags = detail::mlock_flags(found->view(*held));
        if (!flags) {
            left = left.after(part.pages());
            continue;
        }
        auto const got = gup_locked<P>(mm, me, may_drop(*held), part, *flags, no_pages);
        if (got.pages == 0) return detail::mlock_error(got.error);
        left = left.after(got.pages);
    }
    return {};
}

}  // namespace mmhold
