// SPDX-License-Identifier: BSL-1.0
#pragma once

// userfault_notices – a pager hears of what happens to the memory it serves: fork, munmap,
// MADV_DONTNEED, mremap (UFFD_FEATURE_EVENT_*).
//
// Operation  (one of the functions here) finds the userfaults that want to know, with the mm lock
//            held → a notice for each, from where on they are "changing" → does what it is to do →
//            gives the lock back → sends the notices → answers tickets, for its caller to wait on.
//            MADV_DONTNEED asks first: the pages go when the pager knows.
// Pager      reads the notice like any event: that is what the ticket waits for. While its
//            userfault is changing, everything it wants to put in place is refused (again): it
//            might belong to a layout that is gone. Faults are read before notices.
// Closer     stop() makes every ticket ready.
//
// Changing begins before the layout changes, under the exclusive lock, and ends when the caller
// drops its ticket; who puts pages in place looks under the shared lock. So what is put in place
// belongs to the layout before the operation, or comes after the pager has heard of it.
//
// Nothing here waits. Who wants what Linux does – fork(2) and munmap(2) return when the pager has
// read the event – waits on the tickets, without any lock a pager needs.

#include <mmhold/fault/userfault.hpp>
#include <mmhold/fault/userfault_modes.hpp>
#include <mmhold/fault/userfault_queue.hpp>
#include <mmhold/fault/wait_ticket.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <utility>

namespace mmhold {

/// How many notices one operation sends at most; one that would need more is refused (no_memory)
/// before anything has changed.
inline constexpr std::size_t most_notices = 8;

/// What an operation leaves for its caller to wait on: its pagers have been told, have they read
/// it? Move-only. While it lives, the userfaults concerned are changing.
template<Machine M>
class [[nodiscard]] userfault_tickets {
public:
    constexpr userfault_tickets() noexcept = default;

    /// Has every pager read its notice, or is closed? Never blocks.
    [[nodiscard]] constexpr bool ready() const noexcept {
        for (auto const& ticket : tickets_) {
            if (!ticket.ready()) return false;
        }
        return true;
    }
    /// Sleeps until ready() or until a signal that `mode` admits. No lock a pager needs is held.
    constexpr void wait(wait_mode mode) const noexcept {
        for (auto const& ticket : tickets_) ticket.wait(mode);
    }
    /// One more; there is room for most_notices.
    constexpr void add(wait_ticket<M> ticket) noexcept { tickets_[count_++] = std::move(ticket); }
    /// How many pagers were told, or the parts they were told of.
    [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }

private:
    std::array<wait_ticket<M>, most_notices> tickets_{};
    std::size_t count_{0};
};

namespace detail {

/// The notices of one operation, until they are sent. If they are not, nobody hears of it.
template<class Space>
class notices {
public:
    using machine = typename Space::machine;
    using pager_type = userfault<Space>;
    using notice_type = userfault_notice<machine>;

    constexpr explicit notices(typename Space::cpu_type& me) noexcept : me_{me} {}

    /// One more, for `pager`. Error: no_memory.
    constexpr result<void> add(pager_type& pager, userfault_event const& what) {
        if (count_ == most_notices) return errc::no_memory;
        auto notice = pager.prepare_notice(me_.current(), what);
        if (!notice) return notice.error();
        pagers_[count_] = &pager;
        notices_[count_++].emplace(*std::move(notice));
        return {};
    }
    [[nodiscard]] constexpr bool has(pager_type const& pager) const noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            if (pagers_[i] == &pager) return true;
        }
        return false;
    }
    constexpr userfault_tickets<machine> send() {
        userfault_tickets<machine> tickets;
        for (std::size_t i = 0; i < count_; ++i) tickets.add(notices_[i]->send());
        return tickets;
    }

private:
    typename Space::cpu_type& me_;
    std::array<pager_type*, most_notices> pagers_{};
    std::array<std::optional<notice_type>, most_notices> notices_{};
    std::size_t count_{0};
};

/// The userfault that answers for `area` and wants to hear of `what`; nullptr: none does.
template<class Space>
[[nodiscard]] constexpr userfault<Space>* listener_of(vma const& area,
                                                      userfault_feature what) noexcept {
    if (area.source == nullptr || area.source->kind() != source_kind::userfault) return nullptr;
    auto* const pager = static_cast<userfault<Space>*>(area.source);
    return pager->features().has(what) ? pager : nullptr;
}

/// Calls visit(pager, part) -> result<void> for the parts of `span` whose userfault wants to hear
/// of `what`, until one fails. Mm lock: held.
template<class Space, class Witness, class Visit>
constexpr result<void> for_each_listener(Space& space, Witness const& held, page_span span,
                                         userfault_feature what, Visit&& visit) {
    auto outcome = result<void>{};
    space.for_each_vma_in(held, span, [&](vma const& area, page_span part) {
        auto* const pager = listener_of<Space>(area, what);
        if (outcome && pager != nullptr) outcome = visit(*pager, part);
    });
    return outcome;
}

/// fork's heir: the twin of each userfault that was told.
template<class Space, class Twin>
class twins {
public:
    using pager_type = userfault<Space>;

    constexpr twins(notices<Space>& told, Twin& twin) noexcept : told_{told}, twin_{twin} {}

    /// Asks for the twin of `parents`, and prepares the notice that names it.
    constexpr result<void> add(pager_type& parents) {
        if (told_.has(parents)) return {};
        pager_type* const childs = twin_(parents);
        if (childs == nullptr) return {};
        auto const added = told_.add(
            parents, userfault_event{.kind = userfault_event_kind::fork, .child = childs});
        if (!added) return added;
        parents_[count_] = &parents;
        childs_[count_++] = childs;
        return {};
    }
    [[nodiscard]] constexpr fault_source* operator()(vma const& area) const noexcept {
        if (area.source->kind() != source_kind::userfault) return area.source;
        for (std::size_t i = 0; i < count_; ++i) {
            if (parents_[i] == area.source) return childs_[i];
        }
        return nullptr;
    }
    /// They have vmas now.
    constexpr void adopt() noexcept {
        for (std::size_t i = 0; i < count_; ++i) childs_[i]->adopt();
    }

private:
    notices<Space>& told_;
    Twin& twin_;
    std::array<pager_type*, most_notices> parents_{};
    std::array<pager_type*, most_notices> childs_{};
    std::size_t count_{0};
};

}  // namespace detail

/// fork(2) as mmhold::fork, with userfaults that want to hear of it (event_fork): the child's vmas
/// are served by `twin(parents) -> userfault<Space>*`, a userfault of the child's space with the
/// same features, and write protection passes on; nullptr: not served. The parent's pager hears of
/// the twin. All other userfaults stay behind. Linux: fork(2) returns when the events are read.
///
/// Errors: as fork; no_memory – too many userfaults; then no one is told.
template<class Space, class Twin>
constexpr result<userfault_tickets<typename Space::machine>> fork_telling(
    typename Space::cpu_type& me, Space& parent, Space& child, Twin&& twin) {
    using witness = held_exclusive<typename Space::lock_type>;
    if (&parent == &child) return errc::invalid_argument;
    detail::notices<Space> told{me};
    detail::twins<Space, std::remove_reference_t<Twin>> heir{told, twin};
    auto const everything = detail::pages_between(virt_addr{}, parent.limits().end);
    auto const under_both = [&](witness const& parents, witness const& childs) -> result<void> {
        auto const ready = detail::for_each_listener(
            parent, parents, everything, userfault_feature::event_fork,
            [&](userfault<Space>& pager, page_span) { return heir.add(pager); });
        if (!ready) return ready;
        auto const done = fork_locked(parents, childs, me, parent, child, heir);
        if (done) heir.adopt();
        return done;
    };
    auto const done =
        under_exclusive_lock<result<void>>(parent.lock(), me.current(), [&](auto const& parents) {
            return under_exclusive_lock<result<void>>(
                child.lock(), me.current(),
                [&](auto const& childs) { return under_both(parents, childs); });
        });
    if (!done) return done.error();
    return told.send();
}

/// munmap(2) as address_space::munmap; every userfault with event_unmap that serves some of `span`
/// is told of the whole of it, once (measured on 6.18), when it is gone. Linux: munmap(2) returns
/// when the events are read. Errors: as munmap; no_memory – too many userfaults; then no one is
/// told, and nothing has changed.
template<class Space>
constexpr result<userfault_tickets<typename Space::machine>> munmap_telling(
    typename Space::cpu_type& me, Space& space, page_span span) {
    detail::notices<Space> told{me};
    auto const tell = [&](userfault<Space>& pager, page_span) -> result<void> {
        if (told.has(pager)) return {};
        return told.add(pager, userfault_event{.kind = userfault_event_kind::unmap, .range = span});
    };
    auto const done = under_exclusive_lock<result<void>>(
        space.lock(), me.current(), [&](auto const& held) -> result<void> {
            auto const ready =
                detail::for_each_listener(space, held, span, userfault_feature::event_unmap, tell);
            return ready ? space.munmap_locked(held, me, span) : ready;
        });
    if (!done) return done.error();
    return told.send();
}

/// Tells the userfaults with event_remove, part by part, that the pages of `span` are about to be
/// discarded (MADV_DONTNEED, MADV_REMOVE, MADV_FREE). The caller waits, without the mm lock, then
/// discards them – as Linux does, mapping by mapping –, then drops the tickets. Takes the mm lock
/// shared. Errors: no_memory – too many parts; again; then no one is told.
template<class Space>
constexpr result<userfault_tickets<typename Space::machine>> tell_before_removal(
    typename Space::cpu_type& me, Space& space, page_span span) {
    detail::notices<Space> told{me};
    auto const done = under_shared_lock<result<void>>(space.lock(), [&](auto const& held) {
        return detail::for_each_listener(
            space, held, span, userfault_feature::event_remove,
            [&](userfault<Space>& pager, page_span part) {
                return told.add(
                    pager, userfault_event{.kind = userfault_event_kind::remove, .range = part});
            });
    });
    if (!done) return done.error();
    return told.send();
}

/// For mremap, under its exclusive lock, before it moves `from`, which lies in one mapping, to
/// `to`: tells a userfault with event_remap; it goes on serving the pages at their new place. The
/// caller moves them, gives the lock back and waits. Without a listener the mapping at `to` has to
/// be given no source and none of all_userfault_flags, and nothing in it may stay write-protected;
/// then the answer has size 0. (What goes without moving, and what was at `to` before, is
/// unmapped: munmap_telling.) Errors: no_memory; lock_not_held.
template<class Space>
constexpr result<userfault_tickets<typename Space::machine>> tell_remapping(
    held_exclusive<typename Space::lock_type> const& held, typename Space::cpu_type& me,
    Space& space, page_span from, virt_addr to) {
    if (!held.guards(space.lock())) return errc::lock_not_held;
    detail::notices<Space> told{me};
    auto const done = detail::for_each_listener(
        space, held, from, userfault_feature::event_remap, [&](userfault<Space>& pager, page_span) {
            return told.add(
                pager,
                userfault_event{.address = to, .kind = userfault_event_kind::remap, .range = from});
        });
    if (!done) return done.error();
    return told.send();
}

}  // namespace mmhold
