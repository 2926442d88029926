// SPDX-License-Identifier: BSL-1.0
#pragma once

// How KVM finds the page behind guest memory (hva_to_pfn; gup-semantics §1.4, §8.2 note 11).
//
//   variant   get_user_pages_fast_only(WRITE), if a writable page is wanted or welcome; then
//             get_user_pages_unlocked with HWPOISON and HONOR_NUMA_FAULT, and WRITE if the guest
//             writes; a page got for reading is asked for once more by fast_only(WRITE), so that
//             the guest's mapping can be writable from the start
//   result    the page and whether it may be mapped writable; hardware_poison becomes a signal for
//             the guest, interrupted (and again) an exit to user space, all else bad_address

#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/vocab/result.hpp>

#include <array>
#include <cstdint>

namespace mmhold {

/// What the guest did.
enum class guest_access : std::uint8_t {
    read,                 ///< it read, and a writable mapping is not wanted
    read_writable_ready,  ///< it read; a writable mapping is welcome if it costs nothing
    write,                ///< it wrote
};

/// What KVM puts into the guest's page tables.
struct guest_page {
    pfn page{};            ///< with one reference
    bool writable{false};  ///< may the guest write to it?
};

namespace detail {

/// The lockless try for a writable page.
template<GupProfile P, class Space, class Cpu>
[[nodiscard]] constexpr bool fast_writable(Space& mm, Cpu& me, page_span span,
                                           std::array<pfn, 1>& out) {
    return gup_fast_only<P>(mm, me, span, gup_flag::write, out).pages == 1;
}

[[nodiscard]] constexpr errc kvm_error(errc from_gup) noexcept {
    switch (from_gup) {
        case errc::hardware_poison: return errc::hardware_poison;
        case errc::interrupted:
        case errc::again: return errc::interrupted;
        default: return errc::bad_address;
    }
}

}  // namespace detail

/// The page behind the host address `at`. `more`: what else gup is to know, such as interruptible
/// or nowait; a page that would have to wait under nowait is errc::again. The caller gives the
/// reference back. Mm lock: not held by the caller. May sleep unless nowait.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<guest_page> find_guest_page(Space& mm, Cpu& me, virt_addr at, guest_access how,
                                             gup_flags more = {}) {
    auto const span = page_span::from(at.page_start(), page_count{1});
    if (!span) return errc::bad_address;
    std::array<pfn, 1> page{};
    auto const welcome = how != guest_access::read;
    if (welcome && detail::fast_writable<P>(mm, me, *span, page)) {
        return guest_page{page.front(), true};
    }
    auto const write = how == guest_access::write;
    auto const flags =
        more.with({gup_flag::hwpoison, gup_flag::honor_numa_fault}).with_if(write, gup_flag::write);
    auto const got = gup_unlocked<P>(mm, me, *span, flags, page);
    if (got.stop == gup_stop::would_wait) return errc::again;
    if (got.pages == 0) return detail::kvm_error(got.error);
    if (write) return guest_page{page.front(), true};
    std::array<pfn, 1> better{};
    if (welcome && detail::fast_writable<P>(mm, me, *span, better)) {
        mm.frames().put(page.front());
        return guest_page{better.front(), true};
    }
    return guest_page{page.front(), false};
}

}  // namespace mmhold
