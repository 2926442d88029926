// SPDX-License-Identifier: BSL-1.0
#pragma once

// guard – pages that must not be touched, in the middle of a mapping, without a mapping of their
// own (MADV_GUARD_INSTALL and _REMOVE, Linux 6.13; of files and shared memory, too, since 6.15).
//
// Installer  mm lock shared: takes away what is mapped, flushes, lets go of it → puts a guard
//            marker into each entry, creating tables. A fault may come in between: who finds the
//            entry taken takes that away, too, and tries again.
// Faulter    finds the marker (present_page.hpp): SIGSEGV for a program, bad_address for gup.
// Discarder  MADV_DONTNEED, MADV_FREE, truncation and holes leave guards alone; munmap does not
//            (unmapped_pages.hpp).
// Forker     copies them, mprotect, mremap and the splitting of vmas leave them where they are.
// Remover    mm lock shared: clears guards, and nothing else. Nothing was mapped, so nothing is
//            flushed.

#include <mmhold/lock/held.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/unmapped_pages.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// May pages of `area` be guarded, or guards be taken away again? Not those of devices, hugetlb and
/// what is never merged. Locked memory gets no new guards, but loses old ones. (Measured on 6.18.)
[[nodiscard]] constexpr bool can_be_unguarded(vma const& area) noexcept {
    return !area.flags.has_any(
        {vma_flag::io, vma_flag::pfnmap, vma_flag::dont_expand, vma_flag::hugetlb});
}
[[nodiscard]] constexpr bool can_be_guarded(vma const& area) noexcept {
    return can_be_unguarded(area) && !area.flags.has(vma_flag::locked);
}

namespace detail {

/// Installs guards within one vma. Used by one actor, who holds the mm lock.
template<class Space>
class guard_installer {
public:
    using cpu_type = typename Space::cpu_type;

    constexpr guard_installer(Space& space, cpu_type& me) noexcept : space_{space}, me_{me} {}

    /// Every page of `part` is guarded. Errors: no_memory, not_supported – a leaf that cannot be
    /// split; pages are gone, and some are guarded.
    constexpr result<void> install(page_span part) {
        if (auto const emptied = clear(part); !emptied) return emptied;
        for (std::uint64_t n = 0; n < part.pages(); ++n) {
            auto placed = place(part.page(n));
            while (placed.error() == errc::exists) {
                Space::machine::relax();  // who faults again and again may want to look elsewhere
                auto const page = *page_span::from(part.page(n), page_count{1});
                if (auto const emptied = clear(page); !emptied) return emptied;
                placed = place(part.page(n));
            }
            if (!placed) return placed;
        }
        return {};
    }

private:
    constexpr result<void> clear(page_span part) {
        unmapped_pages<Space> gone{space_, me_, empty_tables::stay, staying_mark::guard};
        return space_.table().unmap(me_, part, gone, space_.flush());
    }
    /// exists: somebody was faster.
    constexpr result<void> place(virt_addr at) {
        auto entry = space_.table().lock_leaf(me_, at, 0, if_absent::create);
        if (!entry) return entry.error();
        auto const found = entry->read();
        if (is_guard(found)) return {};
        if (!found.none()) return errc::exists;
        entry->set(guard_entry());
        return {};
    }

    Space& space_;
    cpu_type& me_;
};

}  // namespace detail

/// madvise(MADV_GUARD_INSTALL): what `span` has mapped is gone, and every access to it ends in
/// SIGSEGV (SEGV_MAPERR), in bad_address for gup, until the guards are removed or the range is
/// unmapped. Guards that are there already stay. Large leaves are split at the ends.
///
/// Mm lock: held shared or exclusively. Errors: invalid_argument – a mapping that cannot be
/// guarded, those above it are left alone; no_memory – there was a hole, everything else is done;
/// or no table: then the pages are gone, and some are guarded; lock_not_held.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<void> guard_install_locked(W const& held, typename Space::cpu_type& me,
                                            Space& space, page_span span) {
    detail::guard_installer<Space> installer{space, me};
    auto const install = [&](vma const& area, page_span part) -> result<void> {
        if (!can_be_guarded(area)) return errc::invalid_argument;
        if (!area.flags.has(vma_flag::shared)) space.note_own_pages(part.start());
        return installer.install(part);
    };
    return for_each_advised(held, space, span, install);
}
/// The same under the lock, shared, for the time of the call. Also errc::again, as dontneed().
template<class Space>
constexpr result<void> guard_install(typename Space::cpu_type& me, Space& space, page_span span) {
    return under_shared_lock<result<void>>(space.lock(), [&](auto const& held) {
        return guard_install_locked(held, me, space, span);
    });
}

/// madvise(MADV_GUARD_REMOVE): guards in `span` are gone, and nothing else; the pages come back as
/// at their first touch. Errors and mm lock as guard_install_locked(), but locked mappings do not
/// refuse.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<void> guard_remove_locked(W const& held, typename Space::cpu_type& me,
                                           Space& space, page_span span) {
    auto const& tree = space.table().tree();
    auto const remove = [](auto& locked, unsigned index, virt_addr, page_entry const& entry) {
        if (is_guard(entry)) (void)locked.clear(index);
        return onward::next;
    };
    return for_each_advised(held, space, span,
                            [&](vma const& area, page_span part) -> result<void> {
                                if (!can_be_unguarded(area)) return errc::invalid_argument;
                                if (auto const admitted = tree.admit(me, part); !admitted)
                                    return admitted;
                                for (auto at = part.start(); at < part.end();) {
                                    at = tree.visit_one_table(me, at, part.end(), remove);
                                }
                                return {};
                            });
}
/// The same under the lock, shared, for the time of the call. Also errc::again, as dontneed().
template<class Space>
constexpr result<void> guard_remove(typename Space::cpu_type& me, Space& space, page_span span) {
    return under_shared_lock<result<void>>(
        space.lock(), [&](auto const& held) { return guard_remove_locked(held, me, space, span); });
}

}  // namespace mmhold
