// SPDX-License-Identifier: BSL-1.0
#pragma once

// mlock(2) and munlock(2) (gup-semantics §1.1, §1.4, §8.1 column ML, §8.3).
//
//   variant   first the vmas are marked, under the exclusive lock; then get_user_pages with no
//             pages, vma by vma, may lose the lock: WRITE where the vma is private and writable,
//             else FORCE where it has any rights; device memory is left out
//   result    0 or the errno: bad_address becomes no_memory, no_memory becomes again. The mark
//             stays, whatever comes of the pages.

#include <mmhold/gup/drive.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/result.hpp>

#include <optional>

namespace mmhold {

namespace detail {

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

/// The populating half. Mm lock: not held; taken anew after each loss.
template<GupProfile P, class Space, class Cpu>
constexpr result<void> populate_locked_range(Space& mm, Cpu& me, page_span left) {
    using machine = typename Space::machine;
    while (!left.empty()) {
        auto held = take_shared<machine>(mm.lock(), me.current(), wait_mode::killable);
        if (!held) return errc::interrupted;
        auto const found = mm.find(left.start(), *held);
        if (!found) return errc::no_memory;
        auto const part = common_pages(left, found->view(*held).span);
        auto const flags = mlock_flags(found->view(*held));
        if (!flags) {
            left = left.after(part.pages());
            continue;
        }
        auto const got = gup_locked<P>(mm, me, may_drop(*held), part, *flags, no_pages);
        if (got.pages == 0) return mlock_error(got.error);
        left = left.after(got.pages);
    }
    return {};
}

}  // namespace detail

/// Marks what is mapped in `span` as locked and makes it present. No pages: nothing happens.
/// Errors: no_memory – a hole, and then nothing has been brought in, or a page that cannot be had;
/// again – memory exhausted; invalid_argument – not all user space; interrupted.
///
/// Mm lock: not held by the caller; taken exclusively, then shared, and perhaps lost. May sleep.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> mlock_pages(Space& mm, Cpu& me, page_span span) {
    if (span.empty()) return {};
    if (auto const marked = mm.set_locked(me, span, mark_locked::yes); !marked) return marked;
    return detail::populate_locked_range<P>(mm, me, span);
}

/// Takes the mark away. Errors: no_memory – a hole: what lies below it is unmarked. Mm lock: not
/// held by the caller; taken exclusively.
template<class Space, class Cpu>
constexpr result<void> munlock_pages(Space& mm, Cpu& me, page_span span) {
    if (span.empty()) return {};
    return mm.set_locked(me, span, mark_locked::no);
}

}  // namespace mmhold
