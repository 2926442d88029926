// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/lock/held.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/hugetlb_object.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/object_mappings.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

namespace mmhold {

/// May MADV_REMOVE punch a hole into what `area` shows? ok; invalid_argument – there is no file
/// behind it, or it is locked; access_denied – not a shared mapping that may be written to (what
/// mprotect has taken away for now does not count); no_device – what is behind it is no object, but
/// a driver's. (Measured on 6.18.)
[[nodiscard]] constexpr errc check_remove(vma const& area) noexcept {
    if (area.flags.has(vma_flag::locked) || !area.has_file_pages()) return errc::invalid_argument;
    auto const shared = area.flags.has(vma_flag::shared) && area.may.has(protection_bit::write);
    if (!shared) return errc::access_denied;
    return area.object != nullptr ? errc::ok : errc::no_device;
}

/// madvise(MADV_REMOVE): the pages of the objects that are mapped in `span` go, for everybody
/// (page_cache::punch, hugetlb_object::punch); private copies, but those of hugetlb, and guards
/// stay.
///
/// Mm lock: held shared or exclusively. (Linux gives it up for the time of the punch; no lock that
/// the object takes comes before it.) Errors: check_remove(), and then mappings above are left
/// alone; no_memory – there was a hole, everything else is done; lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<void> remove_pages_locked(W const& held, typename Space::cpu_type& me,
                                           Space& space, page_span span) {
    return for_each_advised(held, space, span, [&](vma const& area, page_span part) {
        if (auto const refused = check_remove(area); refused != errc::ok) {
            return result<void>{refused};
        }
        auto const first = area.file_page_at(part.start());
        if (auto* const hugetlb = hugetlb_object_of<Space>(area)) {
            return hugetlb->punch(me, first << page_shift, part.bytes());
        }
        return page_cache_of<Space>(area)->punch(me, {first, first + part.pages()});
    });
}
/// The same under the lock, shared, for the time of the call. Also errc::again, as dontneed().
template<class Space>
constexpr result<void> remove_pages(typename Space::cpu_type& me, Space& space, page_span span) {
    return under_shared_lock<result<void>>(
        space.lock(), [&](auto const& held) { return remove_pages_locked(held, me, space, span); });
}

}  // namespace mmhold
