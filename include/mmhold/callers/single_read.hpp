// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/vocab/result.hpp>

#include <array>

namespace mmhold {

/// The page behind `at`, made present for reading if need be, with one reference: what
/// get_mempolicy(MPOL_F_NODE | MPOL_F_ADDR) and MADV_HWPOISON ask for (gup-semantics §1.4:
/// get_user_pages_fast(1, 0)). Whatever goes wrong is bad_address, or what gup_fast() says.
///
/// The caller gives the reference back. Mm lock: not held by the caller. May sleep.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<pfn> look_at_page(Space& mm, Cpu& me, virt_addr at) {
    std::array<pfn, 1> page{};
    auto const got = gup_fast<P>(mm, me, at, page_count{1}, {}, page);
    if (got.pages == 1) return page.front();
    return got.error == errc::overflow ? errc::bad_address : got.error;
}

}  // namespace mmhold
