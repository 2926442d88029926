// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/gup/drive.hpp>
#include <mmhold/gup/gup.hpp>
#include <mmhold/vocab/result.hpp>

#include <array>

namespace mmhold {

/// One page for a core file (get_dump_page, gup-semantics §1.1): FORCE and DUMP, so rights do not
/// matter, and memory that was never touched stays untouched where no page table covers it.
///
/// Answers a frame with one reference, which the caller gives back. bad_address stands for "leave a
/// hole in the file": nothing there, the zero page, device memory, a page that a userfault would
/// have to supply. Other errors as gup(), and interrupted.
///
/// Mm lock: not held by the caller; taken for the call and never lost on the way.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<pfn> get_dump_page(Space& mm, Cpu& me, virt_addr at) {
    auto const span = page_span::from(at.page_start(), page_count{1});
    if (!span) return errc::bad_address;
    auto const held =
        detail::take_shared<typename Space::machine>(mm.lock(), me.current(), wait_mode::killable);
    if (!held) return errc::interrupted;
    std::array<pfn, 1> page{};
    auto const got = gup<P>(mm, me, *held, *span, {gup_flag::force, gup_flag::dump}, page);
    if (got.pages == 0) return got.error;
    return page.front();
}

}  // namespace mmhold
