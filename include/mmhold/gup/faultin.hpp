// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/gup/gup.hpp>
#include <mmhold/vocab/access.hpp>

namespace mmhold {

/// Faults the pages of `span` in for reading or writing and holds none of them
/// (faultin_page_range of MADV_POPULATE, gup-semantics §1.1). Takes the mm lock itself.
///
/// The one gup that tells its refusals apart: no_memory – no vma; invalid_argument – the vma
/// refuses (§4.1, last line); bad_address – the fault ended in SIGBUS or SIGSEGV; hardware_poison –
/// the page is poisoned. As ever an error is reported only if no page could be had before it.
/// `wanted`: read or write; execute is read.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result gup_faultin(Mm& mm, Cpu& me, page_span span, access wanted) {
    auto const flags =
        gup_flags{gup_flag::hwpoison}.with_if(wanted == access::write, gup_flag::write);
    return detail::own_lock<holding::none, P>(mm, me, span, flags, no_pages,
                                              gup_flag::madv_populate);
}

}  // namespace mmhold
