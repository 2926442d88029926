// SPDX-License-Identifier: BSL-1.0
#pragma once

// fork – a second address space that looks like the first, and shares its pages until one of them
// writes.
//
// Forker    parent's mm lock exclusive, then the child's → the layout is copied → the parent's
//           write_protect_seq becomes odd → page by page, under both page table locks: share it, or
//           copy it at once → the parent's translations are flushed → the sequence is even again.
// Share     the page stops being exclusive → the parent's entry loses its write permission → the
//           child's entry is the same. The next write, whoever makes it, finds a page that is not
//           exclusive, and copies (fault/copy_on_write.hpp).
// Copy      a page that may be pinned cannot be shared: the parent's next write would copy it, and
//           the device behind the pin would keep the old page. So the child gets its copy now, and
//           the parent's page stays as it is, exclusive and writable. (gup-semantics §4.4, §6.2 #8)
// Pinner    (lockless) says has_pinned → reads the sequence: odd? falls back → pins → reads it
//           again: changed? puts all back. Either it sees the sequence move, or the forker sees the
//           pin. (§5.1, §6.2 #7.) Under the mm lock nobody pins meanwhile.
// Layout    mapping by mapping: what has become alike in the child – marks that are not inherited
//           told them apart – stays two mappings (measured on 6.18).
// Flush     before the sequence is even: a store by an old translation would go to a page that the
//           child reads already.
//
// Memory: tables and copies are allocated with no page table lock held. If they cannot be had, the
// child is emptied; the parent keeps what was done to it, which is legal: its write-protected pages
// are no longer exclusive, and the next write takes them back or copies them.
//
// Objects   (files, shared memory: page_cache.hpp) show the child their pages when it faults, so
//           entries of such pages are not copied; what a private mapping has made its own is. The
//           same for hugetlb, where a copy is a whole page from its pool. An
//           object may be truncated meanwhile: it knows the child's mapping before the first entry
//           is copied, and comes to the parent's first.
//
// Two page table locks are held at once, the parent's first. Who else can want the child's – who
// truncates an object – holds no other.

#include <mmhold/lock/held.hpp>
#include <mmhold/paging/flush.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/paging/split.hpp>
#include <mmhold/paging/table_tree.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/copy_frame.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/hugetlb_object.hpp>
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/page_family.hpp>
#include <mmhold/space/page_marker.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace mmhold {

/// Says who answers the child's faults where the parent's vma names a source: that one, another, or
/// nullptr for the handler of the vma's kind. Called with both mm locks held.
template<class H>
concept SourceHeir = requires(H& heir, vma const& parents) {
    { heir(parents) } -> std::same_as<fault_source*>;
};

/// What Linux does unless a program asked for UFFD_FEATURE_EVENT_FORK: a userfault serves one
/// address space only, so the child's pages are ordinary ones; all other sources serve the child
/// too. Who wants the fork event passes an heir that answers a userfault of the child's.
struct default_heir {
    /// The child's source.
    [[nodiscard]] constexpr fault_source* operator()(vma const& parents) const noexcept {
        return parents.source->kind() == source_kind::userfault ? nullptr : parents.source;
    }
};
static_assert(SourceHeir<default_heir>);

namespace detail {

/// Copies page table entries from one space to another. Both mm locks are held exclusively, and the
/// parent's write_protect_seq is odd.
template<class Space>
class entry_copier {
public:
    using format = typename Space::format;
    using cpu_type = typename Space::cpu_type;
    using guard = typename Space::table_type::tree_type::guard;
    using hugetlb_type = hugetlb_object<Space>;

    constexpr entry_copier(cpu_type& me, Space& parent, Space& child) noexcept
        : me_{me}, parent_{parent}, child_{child}, may_have_pins_{parent.has_pinned()} {}
    entry_copier(entry_copier const&) = delete;
    entry_copier& operator=(entry_copier const&) = delete;
    constexpr ~entry_copier() {
        if (spare_) child_.frames().put(*spare_, spare_pages_);
    }

    /// Everything mapped in `area`, a vma of both spaces, which names `source` in the child. Error:
    /// no_memory, not_supported (a leaf that cannot be split); some entries are copied then.
    constexpr result<void> copy(vma const& area, fault_source const* source) {
        keep_uffd_wp_ = source != nullptr;
        hugetlb_ = hugetlb_object_of<Space>(area);
        auto const& tree = parent_.table().tree();
        auto const each = [&](guard& from, unsigned index, virt_addr at, page_entry const& entry) {
            return copy_entry(area, from, index, at, entry);
        };
        for (auto at = area.span.start(); at < area.span.end();) {
            at = tree.visit_one_table(me_, at, area.span.end(), each);
            into_.reset();
            if (auto const ready = provide(at); !ready) return ready;
        }
        return {};
    }

    /// The parent's translations that were changed are forgotten.
    constexpr void flush_parent() { changed_.flush_with(parent_.flush()); }

private:
    /// What is missing for the next entry, and can only be had without page table locks.
    enum class missing : std::uint8_t {
        nothing,
        table,
        page,
        hugetlb_page,
        smaller_leaves,
        slot_reference,  // cannot be had
    };

    constexpr onward need(missing what, unsigned level) noexcept {
        missing_ = what;
        level_ = level;
        return onward::stop;
    }
    constexpr result<void> provide(virt_addr at) {
        auto const what = std::exchange(missing_, missing::nothing);
        if (what == missing::nothing) return {};
        if (what == missing::smaller_leaves) {
            return split_leaf(parent_.table().tree(), me_, at, level_, parent_.flush());
        }
        if (what == missing::table) {
            return child_.table().tree().lock_at(me_, at, level_, if_absent::create).error();
        }
        if (what == missing::slot_reference) return errc::no_memory;
        auto const page = what == missing::hugetlb_page
                              ? hugetlb_->take_unpromised()
                              : child_.frames().allocate(frame_kind::anonymous);
        if (page) spare_ = *page;
        spare_pages_ = what == missing::hugetlb_page ? hugetlb_pages : 1;
        return page.error();
    }

    constexpr onward copy_entry(vma const& area, guard& from, unsigned index, virt_addr at,
                                page_entry const& entry) {
        auto const level = from.level();
        if (is_objects_page(area, entry) && !keeps_protection(area)) return onward::next;
        if (is_lost_on_the_way(area, entry)) return onward::next;
        if (crosses<format>(at, level, area.span)) return need(missing::smaller_leaves, level);
        if (!into_) {
            auto table = child_.table().tree().lock_at(me_, at, level, if_absent::fail);
            if (!table) return need(missing::table, level);
            into_ = *std::move(table);
        }
        if (entry.is_marker()) return copy_marker(from, index, entry);
        if (must_copy(area, entry)) {
            auto const whole = hugetlb_ != nullptr;
            if (level != 0 && !whole) return need(missing::smaller_leaves, level);
            if (!spare_) return need(whole ? missing::hugetlb_page : missing::page, level);
            return put(index, copy_page(area, entry));
        }
        return put(index, share(area, from, index, at, entry));
    }

    /// Shared memory is copied where the child's userfault must find what it has protected.
    [[nodiscard]] constexpr bool keeps_protection(vma const& area) const noexcept {
        return keep_uffd_wp_ && area.flags.has(vma_flag::userfault_wp);
    }
    /// Protection of a page to come means nothing without a userfault; and what shows an object for
    /// all to see is not copied, so neither is a marker in it (measured on 6.18).
    [[nodiscard]] constexpr bool is_lost_on_the_way(vma const& area,
                                                    page_entry const& entry) const noexcept {
        if (is_userfault_wp(entry)) return !keep_uffd_wp_;
        auto const shown = area.object != nullptr && area.flags.has(vma_flag::shared);
        return shown && is_poisoned(entry) && !keeps_protection(area);
    }

    /// A swapped page is read back by each for itself, but is not exclusive any more. Nothing is
    /// moving: whoever moves pages holds the mm lock.
    constexpr onward copy_marker(guard& from, unsigned index, page_entry entry) {
        Space::machine::expect(!is_moving(entry), "fork: a page is moving under the mm lock");
        if (is_swapped(entry)) {
            if (!child_.swap()->duplicate(slot_of(entry))) return need(missing::slot_reference, 0);
            entry = shared_swapped(entry);
            from.set(index, entry);
        }
        entry.uffd_wp = entry.uffd_wp && keep_uffd_wp_;
        return put(index, entry);
    }

    [[nodiscard]] constexpr bool is_counted(page_entry const& entry) const noexcept {
        return !entry.special && parent_.frames().contains(entry.target);
    }
    [[nodiscard]] constexpr bool is_objects_page(vma const& area,
                                                 page_entry const& entry) const noexcept {
        if (area.object == nullptr || !entry.is_leaf() || !is_counted(entry)) return false;
        return parent_.frames().kind(entry.target) != frame_kind::anonymous;
    }
    [[nodiscard]] constexpr bool is_own_page(vma const& area,
                                             page_entry const& entry) const noexcept {
        return !area.flags.has(vma_flag::shared) && is_counted(entry) &&
               parent_.frames().kind(entry.target) == frame_kind::anonymous;
    }
    [[nodiscard]] constexpr bool must_copy(vma const& area,
                                           page_entry const& entry) const noexcept {
        return may_have_pins_ && is_own_page(area, entry) &&
               parent_.frames().maybe_pinned(entry.target);
    }

    /// The child's entry for a copy, in the spare page; the parent's stays as it is.
    constexpr page_entry copy_page(vma const& area, page_entry const& old) {
        auto& frames = child_.frames();
        auto const fresh = *std::exchange(spare_, std::nullopt);
        for (std::uint64_t i = 0; i < spare_pages_; ++i) {
            frames.set_exclusive(fresh.plus(i));
            copy_frame(frames, old.target.plus(i), fresh.plus(i));
        }
        auto leaf = for_child(old);
        leaf.target = fresh;
        leaf.dirty = true;
        leaf.writable = permits(area.prot, access::write) && !leaf.uffd_wp;
        return leaf;
    }

    /// The child's entry for the parent's page, which neither may write to from now on, unless the
    /// mapping is a shared one.
    constexpr page_entry share(vma const& area, guard& from, unsigned index, virt_addr at,
                               page_entry leaf) {
        auto& frames = parent_.frames();
        auto const pages = entry_pages<format>(from.level());
        if (is_own_page(area, leaf)) {
            for (std::uint64_t i = 0; i < pages; ++i) frames.clear_exclusive(leaf.target.plus(i));
        }
        auto const shared_mapping = area.flags.has(vma_flag::shared);
        if (leaf.writable && !shared_mapping) {
            // Cleared first: the hardware cannot change it now, and all it has set is known.
            leaf = from.clear(index);
            leaf.writable = false;
            from.set(index, leaf);
            changed_.add(at, entry_end<format>(at, from.level()));
        }
        if (is_counted(leaf)) frames.get(leaf.target, pages);
        leaf = for_child(leaf);
        if (shared_mapping) leaf.dirty = false;  // the parent's entry knows
        return leaf;
    }

    [[nodiscard]] constexpr page_entry for_child(page_entry leaf) const noexcept {
        leaf.accessed = false;
        leaf.uffd_wp = leaf.uffd_wp && keep_uffd_wp_;
        return leaf;
    }

    constexpr onward put(unsigned index, page_entry const& entry) {
        into_->set(index, entry);
        child_.note_mapped(entry, entry_pages<format>(into_->level()));
        return onward::next;
    }

    cpu_type& me_;
    Space& parent_;
    Space& child_;
    bool may_have_pins_;
    bool keep_uffd_wp_{false};
    missing missing_{missing::nothing};
    unsigned level_{0};            // of what is missing
    std::optional<pfn> spare_{};   // for the next copy
    std::uint64_t spare_pages_{1};
    hugetlb_type* hugetlb_{nullptr};  // what the vma shows, if it is hugetlb
    std::optional<guard> into_{};  // the child's table, while the parent's is visited
    changed_range changed_{};
};

/// fork() once everything is admitted.
template<class Space, class Heir>
class forking {
public:
    using lock_type = typename Space::lock_type;
    using cpu_type = typename Space::cpu_type;
    using witness = held_exclusive<lock_type>;

    constexpr forking(cpu_type& me, Space& parent, Space& child, Heir& heir) noexcept
        : me_{me}, parent_{parent}, child_{child}, heir_{heir} {}

    constexpr result<void> run(witness const& parents, witness const& childs) {
        auto outcome = copy_layout(parents, childs);
        if (outcome) outcome = copy_pages(parents);
        if (!outcome) child_.unmap_all_locked(childs, me_);
        return outcome;
    }

private:
    /// What `area` is in the child.
    [[nodiscard]] constexpr vma inherited(vma const& area) const {
        auto copy = area;
        copy.flags = area.flags.without(vma_flag::locked);  // fork(2): memory locks are not
        if (area.source != nullptr) copy.source = heir_(area);
        if (copy.source == nullptr) copy.flags = copy.flags.without(all_userfault_flags);
        return copy;
    }

    /// What is wiped is as if it had never been used.
    [[nodiscard]] static constexpr mapping_origin origin_of(vma const& area,
                                                            page_family parents) noexcept {
        auto const comes_along = parents.exists() && !area.flags.has(vma_flag::wipe_on_fork);
        return comes_along ? mapping_origin::forked_used : mapping_origin::forked;
    }

    constexpr result<void> copy_layout(witness const& parents, witness const& childs) {
        auto const& layout = parent_.layout_for_change(parents);
        result<void> outcome;
        parent_.for_each_vma(parents, [&](vma const& area) {
            if (!outcome || area.flags.has(vma_flag::dont_fork)) return;
            auto request = request_for(inherited(area));
            request.origin = origin_of(area, layout.family_at(area.span.start()));
            auto const mapped = child_.mmap_locked(childs, me_, request);
            outcome = mapped.error();
        });
        return outcome;
    }

    constexpr result<void> copy_pages(witness const& parents) {
        constexpr vma_flags without_pages{vma_flag::dont_fork, vma_flag::wipe_on_fork};
        result<void> outcome;
        parent_.write_protect_seq().begin_write();
        {
            entry_copier<Space> entries{me_, parent_, child_};
            parent_.for_each_vma(parents, [&](vma const& area) {
                if (!outcome || area.flags.has_any(without_pages)) return;
                outcome = entries.copy(area, inherited(area).source);
            });
            entries.flush_parent();
        }
        parent_.write_protect_seq().end_write();
        return outcome;
    }

    cpu_type& me_;
    Space& parent_;
    Space& child_;
    Heir& heir_;
};

}  // namespace detail

/// fork(2), for the memory: `child`, an empty space that nobody uses yet, gets the parent's
/// mappings and shares its pages. What is mapped privately is copied by the first write of either;
/// pages that may be pinned are copied now. Vmas with dont_fork are left out, those with
/// wipe_on_fork come without pages, none is `locked`; sources are passed on as `heir` says.
/// `heir` is asked twice for each.
///
/// Mm locks: both held exclusively. Errors: invalid_argument – `child` is the parent, has mappings,
/// takes its frames from another pool or swaps to another store; lock_not_held; no_memory, and
/// not_supported for a large leaf that had to be split and cannot be: the child is empty again, and
/// the parent has the same contents as before, some of it write-protected.
///
/// What shows an object, shared anonymous memory included, shows the same object in the child; the
/// child joins the object's list behind its parent before pages are copied (object_mappings.hpp). A
/// space that has been used before keeps its has_pinned().
template<class Space, SourceHeir Heir = default_heir const>
constexpr result<void> fork_locked(held_exclusive<typename Space::lock_type> const& parents,
                                   held_exclusive<typename Space::lock_type> const& childs,
                                   typename Space::cpu_type& me, Space& parent, Space& child,
                                   Heir&& heir = {}) {
    if (&parent == &child) return errc::invalid_argument;
    if (!parents.guards(parent.lock()) || !childs.guards(child.lock())) return errc::lock_not_held;
    if (!parent.valid() || !child.valid() || !me.valid()) return errc::no_memory;
    if (&parent.frames() != &child.frames()) return errc::invalid_argument;
    if (parent.swap() != child.swap()) return errc::invalid_argument;
    if (child.vma_count(childs) != 0) return errc::invalid_argument;
    return detail::forking<Space, std::remove_reference_t<Heir>>{me, parent, child, heir}.run(
        parents, childs);
}

/// The same under locks of its own: the parent's, then the child's. Also errc::interrupted and
/// errc::again, as the operations of address_space.
template<class Space, SourceHeir Heir = default_heir const>
constexpr result<void> fork(typename Space::cpu_type& me, Space& parent, Space& child,
                            Heir&& heir = {}) {
    if (&parent == &child) return errc::invalid_argument;
    return under_exclusive_lock<result<void>>(
        parent.lock(), me.current(), [&](auto const& parents) {
            return under_exclusive_lock<result<void>>(
                child.lock(), me.current(), [&](auto const& childs) {
                    return fork_locked(parents, childs, me, parent, child, heir);
                });
        });
}

}  // namespace mmhold
