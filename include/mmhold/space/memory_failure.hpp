// SPDX-License-Identifier: BSL-1.0
#pragma once

// memory_failure – a frame's memory turns out to be broken, or looks as if it will be.
//
//                      private memory              file, clean      file, dirty; shared memory
//   memory_failure     "poisoned" in its place     the page goes    "poisoned" where it is mapped
//   soft_offline       the page moves elsewhere; its frame is not used again
//
// Breaker   under the page table lock: clear the entry → flush → the frame is hwpoison → "poisoned"
//           in its place → give the entry's reference back. Objects do the same for all who map
//           them (page_cache::poison).
// Holders   of a pin or a reference keep the frame, broken as it is; with the last one it is out of
//           use for ever (frame_pool).
// Faulter   finds "poisoned": hardware_poison. Who copies from a broken frame – which another
//           process still maps – fails in the same way.
//
// Who maps a private page is not recorded, so processes that share one by copy-on-write are told
// one by one. As read in 6.12 and 7.0 (mm/memory-failure.c); the kernel at hand is built without.

#include <mmhold/lock/held.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/migrate.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>

namespace mmhold {

namespace detail {

/// What stands behind a page whose memory is in question.
template<class Space>
struct page_behind_fault {
    pfn page{};
    typename Space::object_type* object{nullptr};  ///< whose page it is; nullptr: private memory
    std::uint64_t index{0};                        ///< its number there
    std::uint32_t life{0};                         ///< the frame's generation
};

/// The single page mapped at `at`; its frame has the attributes `mark` then. Errors: bad_address –
/// no vma, nothing mapped, or a marker; busy – nobody's to take out of use (a driver's, the zero
/// page); not_supported – a large folio.
template<class Space, class W>
constexpr result<page_behind_fault<Space>> find_page_behind(W const& held,
                                                            typename Space::cpu_type& me,
                                                            Space& space, virt_addr at,
                                                            frame_attributes mark = {}) {
    auto const found = space.find(at, held);
    if (!found) return errc::bad_address;
    auto const entry = space.table().lock_leaf(me, at.page_start(), 0, if_absent::fail);
    if (!entry) return entry.error() == errc::exists ? errc::not_supported : entry.error();
    auto const leaf = entry->read();
    if (!leaf.is_leaf()) return errc::bad_address;
    auto& frames = space.frames();
    if (leaf.special || !frames.contains(leaf.target)) return errc::busy;
    if (frames.order_of(leaf.target) != 0) return errc::not_supported;
    page_behind_fault<Space> behind{leaf.target, nullptr, 0, frames.generation(leaf.target)};
    if (frames.kind(leaf.target) != frame_kind::anonymous) {
        auto const& area = found->view(held);
        behind.object = page_cache_of<Space>(area);
        if (behind.object == nullptr) return errc::busy;
        behind.index = area.file_page_at(at);
    }
    frames.add_attributes(leaf.target, mark);
    return behind;
}

/// The poisoned marker in the place of private `page`, if it is still there.
template<class Space>
constexpr result<void> poison_entry(typename Space::cpu_type& me, Space& space, virt_addr at,
                                    pfn page) {
    auto& frames = space.frames();
    auto entry = space.table().lock_leaf(me, at, 0, if_absent::fail);
    if (!entry || !entry->read().is_leaf() || entry->read().target != page) return errc::again;
    auto const old = entry->clear();
    if (auto const one = page_span::from(at, page_count{1})) space.flush()(*one);
    frames.add_attributes(page, frame_attribute::hwpoison);
    entry->set(poisoned_entry());
    auto const entrys_reference = space.note_unmapped(old, 1);
    entry->unlock();
    if (entrys_reference) frames.put(page);
    return {};
}

}  // namespace detail

/// The memory behind the page at `at` is broken: nobody gets at its contents any more; answers the
/// frame. Later accesses fail with hardware_poison; gup tells so those who ask (FOLL_HWPOISON), and
/// says bad_address to others.
///
/// Mm lock: held, shared or exclusively, through `held`. Errors, and then nothing has changed:
/// bad_address – nothing is mapped there; busy – the page of a driver, or the zero page; again – it
/// has just gone; not_supported – a large folio; lock_not_held; no_memory – the cpu is not valid().
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<pfn> memory_failure(W const& held, typename Space::cpu_type& me, Space& space,
                                     virt_addr at) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    auto const behind = detail::find_page_behind(held, me, space, at);
    if (!behind) return behind.error();
    auto const done = behind->object != nullptr
                          ? behind->object->poison(me, behind->index)
                          : detail::poison_entry(me, space, at.page_start(), behind->page);
    if (!done) return done.error();
    return behind->page;
}

/// The memory behind the page at `at` is suspect (MADV_SOFT_OFFLINE): its contents move to another
/// frame, nobody notices, and the old one – the answer – is not used again.
///
/// Mm lock and errors as memory_failure(); busy also – somebody holds the page, or it is mapped
/// elsewhere too; no_memory – no other frame.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<pfn> soft_offline(W const& held, typename Space::cpu_type& me, Space& space,
                                   virt_addr at) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    auto const behind = detail::find_page_behind(held, me, space, at, frame_attribute::offlined);
    if (!behind) return behind.error();
    auto& frames = space.frames();
    auto const moved = behind->object != nullptr ? behind->object->migrate(me, behind->index)
                                                 : migrate_page(held, me, space, at);
    if (moved) return behind->page;
    if (frames.generation(behind->page) == behind->life) {
        frames.remove_attributes(behind->page, frame_attribute::offlined);
    }
    return moved.error();
}

}  // namespace mmhold
