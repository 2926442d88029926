// SPDX-License-Identifier: BSL-1.0
#pragma once

// userfault_protect – write protection for a userfault, entry by entry (UFFDIO_WRITEPROTECT).
//
// Protector  (mm lock shared) under the table's lock: take the entry out → "protected", not
//            writable → put it back; flush at the end, before anybody is told that it is done.
//            Where nothing is mapped, a marker stands for the protection of the page to come.
// Writer     finds a protected entry → asks the pager (userfault.hpp) before it looks at
//            copy-on-write; the look and what follows from it are under the table's lock.
// Filler     finds the marker → its page is protected from the start (install.hpp).
// Discarder  of shared memory and of private copies leaves a marker where a protected page was: the
//            contents may come back. Of anonymous memory it leaves nothing (measured on 6.18).
// Mover      has the page out of the table → the marker in its place is protected, and the mover
//            hands that on (taken_page.hpp).
//
// Whether an entry is protected matters only where the vma says so. Who registers again without
// write-protect mode leaves the marks of entries as they are, and they mean nothing then
// (measured on 6.18); unregistering and closing take them away.

#include <mmhold/fault/userfault_modes.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/entry_rights.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

/// What becomes of an entry that is write-protected for a userfault, or not any more. A page whose
/// protection goes is writable at once if a write would change nothing but the entry. Poisoned and
/// guarded places stay what they are.
template<Machine M>
class userfault_protector {
public:
    /// For entries of `area`.
    constexpr userfault_protector(frame_pool<M> const& frames, vma const& area,
                                  userfault_protection how) noexcept
        : frames_{frames}, area_{area}, how_{how} {}

    /// The entry as it is to be. The page table lock is held.
    [[nodiscard]] constexpr page_entry operator()(page_entry const& old) const noexcept {
        if (old.is_marker()) return of_marker(old);
        auto entry = old;
        entry.uffd_wp = how_ == userfault_protection::on;
        if (entry.uffd_wp) entry.writable = false;
        if (old.uffd_wp && !entry.uffd_wp) {
            entry.writable = may_be_writable(frames_, area_, entry);
        }
        return entry;
    }

private:
    [[nodiscard]] constexpr page_entry of_marker(page_entry entry) const noexcept {
        auto const on = how_ == userfault_protection::on;
        if (!on && is_userfault_wp(entry)) return {};
        if (is_swapped(entry) || is_moving(entry)) entry.uffd_wp = on;
        return entry;
    }

    frame_pool<M> const& frames_;
    vma const& area_;
    userfault_protection how_;
};

namespace detail {

/// Is the leaf over `at` protected, however large it is?
template<class Space, class Cpu>
[[nodiscard]] constexpr bool is_protected_leaf(Space& space, Cpu& me, virt_addr at) {
    auto const locked = space.table().tree().lock_lowest(me, at);
    return locked.read(Space::format::index(at, locked.level())).uffd_wp;
}

/// Protects the page at `at`, whatever is there; where nothing is, a marker.
template<class Space, class Cpu>
constexpr result<void> protect_or_mark(Space& space, Cpu& me, vma const& area, virt_addr at) {
    auto entry = space.table().lock_leaf(me, at, 0, if_absent::create);
    auto const page = page_span::from(at, page_count{1});
    userfault_protector const protect{space.frames(), area, userfault_protection::on};
    if (entry.error() == errc::exists) {
        if (is_protected_leaf(space, me, at)) return {};
        return space.table().protect(me, *page, protect, space.flush());
    }
    if (!entry) return entry.error();
    if (entry->read().none()) {
        entry->set(userfault_wp_entry());
        return {};
    }
    auto const old = entry->clear();
    entry->set(protect(old));
    entry->unlock();
    if (old.present() && old.writable) space.flush()(*page);
    return {};
}

}  // namespace detail

/// Protects the pages of `span`, which lies in `area`, or lifts their protection. `absent`: are
/// pages that are not there marked, too? Mm lock: held. Errors: no_memory – a table, or the split
/// of a large leaf: some pages are done then.
template<class Space, class Cpu>
constexpr result<void> protect_userfault_pages(Space& space, Cpu& me, vma const& area,
                                               page_span span, userfault_protection how,
                                               mark_absent absent) {
    userfault_protector const protect{space.frames(), area, how};
    auto const there = space.table().protect(me, span, protect, space.flush());
    if (!there || how == userfault_protection::off || absent == mark_absent::no) return there;
    for (std::uint64_t n = 0; n < span.pages(); ++n) {
        if (auto const done = detail::protect_or_mark(space, me, area, span.page(n)); !done) {
            return done;
        }
    }
    return {};
}

}  // namespace mmhold
