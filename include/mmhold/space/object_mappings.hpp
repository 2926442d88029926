// SPDX-License-Identifier: BSL-1.0
#pragma once

// object_mappings – where the pages of one object are mapped, in whichever address spaces (i_mmap).
//
// An address space adds a stretch for each mapping it makes, and cuts away what it unmaps, both
// with its mm lock held exclusively. Rights, splits and merges of vmas are of no interest here: a
// stretch says which addresses may have entries, no more. New stretches go last, so that fork's
// child stands behind its parent: who goes through the list finds a copied entry in the child, or
// has taken it from the parent before it could be copied.
//
// A space cuts its stretch after its entries are gone and before their tables are. So while the
// owner's lock is held the tables of every stretch may be walked, without any mm lock.

#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/entry_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/unmapped_pages.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace mmhold {

/// Page numbers `[first, last)` of an object.
struct page_range {
    std::uint64_t first{0};
    std::uint64_t last{0};

    /// All pages from `first` on.
    [[nodiscard]] static constexpr page_range from(std::uint64_t first) noexcept {
        return {first, ~std::uint64_t{0}};
    }
    [[nodiscard]] constexpr bool contains(std::uint64_t index) const noexcept {
        return first <= index && index < last;
    }
    friend constexpr bool operator==(page_range, page_range) = default;
};

/// What becomes of the copies that private mappings have made of pages that go away.
enum class private_copies : std::uint8_t {
    stay,  ///< they are their owners' (hole punch)
    go,    ///< they go as well: behind the end of a file there is nothing (truncate)
};

/// Memory for one stretch, got before it is needed. Move-only.
template<class Space>
class mapping_stretch {
public:
    using machine = typename Space::machine;

    /// None.
    constexpr mapping_stretch() noexcept = default;
    /// Gets memory for one; still empty() if there was none.
    constexpr void fill() {
        if (node_ == nullptr) node_ = machine::template create<node>();
    }
    constexpr mapping_stretch(mapping_stretch&& other) noexcept
        : node_{std::exchange(other.node_, nullptr)} {}
    mapping_stretch& operator=(mapping_stretch&&) = delete;
    constexpr ~mapping_stretch() {
        if (node_ != nullptr) machine::destroy(node_);
    }
    /// Is there none?
    [[nodiscard]] constexpr bool empty() const noexcept { return node_ == nullptr; }

private:
    template<class>
    friend class object_mappings;

    struct node {
        template<class T>
        using plain = typename machine::template plain<T>;
        plain<node*> next{nullptr};
        plain<Space*> space{nullptr};
        plain<page_span> span{page_span{}};
        plain<std::uint64_t> first{0};  // the object's page at the start of the span
        plain<bool> deprived{false};
    };
    node* node_{nullptr};
};

/// The stretches of one object. Not synchronised: the owner's lock guards it.
template<class Space>
class object_mappings {
public:
    using machine = typename Space::machine;
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using stretch = mapping_stretch<Space>;

    /// Nobody maps the object.
    constexpr object_mappings() noexcept = default;
    object_mappings(object_mappings const&) = delete;
    object_mappings& operator=(object_mappings const&) = delete;
    constexpr ~object_mappings() {
        machine::expect(empty(), "an object ends while somebody maps it");
    }

    /// Does nobody map it?
    [[nodiscard]] constexpr bool empty() const noexcept { return first_.get() == nullptr; }

    /// `space` maps pages from `first` on at `span`. Precondition: `memory` is not empty.
    constexpr void add(Space& space, page_span span, std::uint64_t first, stretch memory) noexcept {
        auto* const fresh = std::exchange(memory.node_, nullptr);
        machine::expect(fresh != nullptr, "object_mappings::add: no memory was got");
        fresh->space.set(&space);
        fresh->span.set(span);
        fresh->first.set(first);
        insert_behind(last_.get(), *fresh);
    }

    /// `space` does not map anything at `span` any more. `memory` is used if a stretch is cut in
    /// two.
    constexpr void cut(Space& space, page_span span, stretch& memory) noexcept {
        node* before = nullptr;
        for (auto* at = first_.get(); at != nullptr;) {
            auto* const next = at->next.get();
            auto const hit = at->space.get() == &space && at->span.get().overlaps(span);
            if (!hit || !cut_one(before, *at, span, memory)) before = at;
            at = next;
        }
    }

    /// Removes every entry for pages of `range`, flushes, and gives their references back. The
    /// owner's lock is held; no mm lock is needed. `copies`: what to do with private ones. Write
    /// protection for a userfault outlives its page (measured on 6.18, of truncation too).
    constexpr void unmap(cpu_type& me, page_range range, private_copies copies) {
        for_each_part(range, [&](Space& space, page_span part) {
            unmapped_pages<Space> gone{space, me, empty_tables::stay,
                                       {staying_mark::guard, staying_mark::userfault_wp}};
            if (copies == private_copies::stay) return take_own_pages(space, me, part, gone);
            auto const done = space.table().unmap(me, part, gone, space.flush());
            machine::expect(done.has_value(), "an object is mapped by a leaf larger than a page");
        });
    }

    /// Puts `marker` in the place of every entry for pages of `range`; else as unmap(). Private
    /// copies stay.
    constexpr void replace(cpu_type& me, page_range range, page_entry const& marker) {
        for_each_part(range, [&](Space& space, page_span part) {
            unmapped_pages<Space> gone{space, me, empty_tables::stay};
            take_own_pages(space, me, part, gone, marker);
        });
    }

    /// Makes every entry for pages of `range` clean and read-only, and flushes: the next store
    /// faults. Private copies stay as they are. The owner's lock is held; no mm lock is needed.
    constexpr void write_protect(cpu_type& me, page_range range) {
        for_each_part(range, [&](Space& space, page_span part) {
            changed_range changed;
            auto const protect = [&](auto& locked, unsigned index, virt_addr at,
                                     page_entry const& entry) {
                if (!entry.writable && !entry.dirty) return onward::next;
                auto old = locked.clear(index);
                old.writable = old.dirty = false;
                locked.set(index, old);
                changed.add(at, at.plus_pages(1));
                return onward::next;
            };
            for (auto at = part.start(); at < part.end();) {
                at = visit_own_pages(space, me, at, part.end(), protect);
            }
            changed.flush_with(space.flush());
        });
    }

    /// Does `space` map page `index` of the object?
    [[nodiscard]] constexpr bool maps(Space const& space, std::uint64_t index) const noexcept {
        for (auto* at = first_.get(); at != nullptr; at = at->next.get()) {
            auto const own = at->space.get() == &space;
            if (own && !common_part(*at, {index, index + 1}).empty()) return true;
        }
        return false;
    }

    /// Takes private `page`, which is mapped by one leaf for the pages of `range`, from every space
    /// but `owner`; who loses it is_deprived() from then on. The object's lock is held; no mm lock
    /// is needed.
    constexpr void deprive(cpu_type& me, page_range range, pfn page, Space const& owner) {
        for (auto* at = first_.get(); at != nullptr; at = at->next.get()) {
            auto const part = common_part(*at, range);
            auto& space = *at->space.get();
            if (part.empty() || &space == &owner) continue;
            auto const lost = take_leaf(space, me, part.start(), page);
            if (lost) at->deprived.set(true);
        }
    }
    /// Has the mapping around `at` been deprived of a page?
    [[nodiscard]] constexpr bool is_deprived(Space const& space, virt_addr where) const noexcept {
        for (auto* at = first_.get(); at != nullptr; at = at->next.get()) {
            auto const here = at->space.get() == &space && at->span.get().contains(where);
            if (here && at->deprived.get()) return true;
        }
        return false;
    }

private:
    using node = typename stretch::node;

    constexpr void insert_behind(node* before, node& fresh) noexcept {
        fresh.next.set(before == nullptr ? first_.get() : before->next.get());
        before == nullptr ? first_.set(&fresh) : before->next.set(&fresh);
        if (last_.get() == before) last_.set(&fresh);
    }
    constexpr void remove_behind(node* before, node& gone) noexcept {
        before == nullptr ? first_.set(gone.next.get()) : before->next.set(gone.next.get());
        if (last_.get() == &gone) last_.set(before);
        machine::destroy(&gone);
    }

    // True: all of it went.
    constexpr bool cut_one(node* before, node& at, page_span span, stretch& memory) noexcept {
        auto const whole = at.span.get();
        auto const gone = detail::common_pages(whole, span);
        auto const left = detail::pages_between(whole.start(), gone.start());
        auto const right = detail::pages_between(gone.end(), whole.end());
        auto const rights_first = at.first.get() + left.pages() + gone.pages();
        if (left.empty() && right.empty()) {
            remove_behind(before, at);
            return true;
        }
        at.span.set(left.empty() ? right : left);
        if (left.empty()) at.first.set(rights_first);
        if (!left.empty() && !right.empty()) {
            auto* const fresh = std::exchange(memory.node_, nullptr);
            machine::expect(fresh != nullptr, "object_mappings::cut: no memory was got");
            fresh->space.set(at.space.get());
            fresh->span.set(right);
            fresh->first.set(rights_first);
            fresh->deprived.set(at.deprived.get());
            insert_behind(&at, *fresh);
        }
        return false;
    }

    template<class Body>
    constexpr void for_each_part(page_range range, Body&& body) {
        for (auto* at = first_.get(); at != nullptr; at = at->next.get()) {
            if (auto const part = common_part(*at, range); !part.empty()) {
                body(*at->space.get(), part);
            }
        }
    }
    /// Where the pages of `range` are in the mapping; empty: nowhere.
    [[nodiscard]] static constexpr page_span common_part(node const& at,
                                                         page_range range) noexcept {
        auto const start = at.first.get();
        auto const span = at.span.get();
        auto const from = std::max(start, range.first);
        auto const to = std::min(start + span.pages(), range.last);
        if (from >= to) return {};
        return detail::pages_between(span.page(from - start), span.page(to - start));
    }

    /// Removes the leaf at `at` if it maps `page`. True: it did.
    static constexpr bool take_leaf(Space& space, cpu_type& me, virt_addr at, pfn page) {
        auto entry = space.table().lock_leaf(me, at, 1, if_absent::fail);
        auto const found = entry ? entry->read() : page_entry{};
        if (!found.is_leaf() || found.target != page) return false;
        auto const removed = entry->clear();
        auto const pages = entry_pages<format>(1);
        if (auto const leaf = page_span::from(at, page_count{pages})) space.flush()(*leaf);
        auto const entrys_references = space.note_unmapped(removed, pages);
        entry->unlock();
        if (entrys_references) space.frames().put(page, pages);
        return true;
    }

    /// One table's entries that map pages of the object itself, neither private copies nor anything
    /// else: body(locked, index, at, entry), with the table's lock held. Answers where to go on.
    template<class Body>
    static constexpr virt_addr visit_own_pages(Space& space, cpu_type& me, virt_addr at,
                                               virt_addr end, Body&& body) {
        auto const& tree = space.table().tree();
        if (!tree.admit(me, at)) return end;
        return tree.visit_one_table(
            me, at, end,
            [&](auto& locked, unsigned index, virt_addr here, page_entry const& entry) {
                auto const& frames = space.frames();
                auto const own = locked.level() == 0 && maps_frame(frames, entry) &&
                                 frames.kind(entry.target) == frame_kind::page_cache;
                return own ? body(locked, index, here, entry) : onward::next;
            });
    }

    static constexpr void take_own_pages(Space& space, cpu_type& me, page_span span,
                                         unmapped_pages<Space>& gone,
                                         page_entry const& instead = {}) {
        changed_range changed;
        auto const take = [&](auto& locked, unsigned index, virt_addr at, page_entry const& entry) {
            if (gone.full()) return onward::stop;
            if (entry.present()) changed.add(at, at.plus_pages(1));
            auto const removed = locked.clear(index);
            gone(at, removed, 0);
            auto const left = instead.none() ? gone.left_behind(removed, 0) : instead;
            if (!left.none()) locked.set(index, left);
            return onward::next;
        };
        for (auto at = span.start(); at < span.end();) {
            at = visit_own_pages(space, me, at, span.end(), take);
            if (!gone.full() && at < span.end()) continue;
            changed.flush_with(space.flush());
            gone.release();
        }
    }

    typename machine::template plain<node*> first_{nullptr};
    typename machine::template plain<node*> last_{nullptr};
};

}  // namespace mmhold
