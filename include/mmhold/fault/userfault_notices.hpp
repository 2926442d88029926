// SPDX-License-Identifier: BSL-1.0
#pragma once

// userfault_notices – a pager hears of what happens to the memory it serves: fork, munmap,
// MADV_DONTNEED, mremap (UFFD_FEATURE_EVENT_*).
//
// Operation  (one of the functions here) finds the userfaults that want to know, with the mm lock
//            held → a notice for each, from where on they are "changing" → does what it is to do →
//            gives the lock back → answers tickets, which send the notices one after another, for
//            its caller to wait on. MADV_DONTNEED asks first: the pages go when the pager knows
//            (callers/madvise.hpp).
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
#include <mmhold/space/mmap_request.hpp>
#include <mmhold/space/mremap.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace mmhold {

/// How many notices one operation sends at most; one that would need more is refused (no_memory)
/// before anything has changed.
inline constexpr std::size_t most_notices = 8;

/// What an operation leaves for its caller to wait on: its pagers are told, one after another, each
/// when the one before has read its notice (measured on 6.18). Move-only. While it lives, the
/// userfaults that have not read theirs are changing.
template<Machine M>
class [[nodiscard]] userfault_tickets {
public:
    constexpr userfault_tickets() noexcept = default;

    /// Has every pager read its notice, or is closed? Never blocks; who has read is waited for no
    /// longer, and the next one is told.
    [[nodiscard]] constexpr bool ready() noexcept {
        while (now_ < count_) {
            if (!ticket_.ready()) return false;
            go_on();
        }
        return true;
    }
    /// Sleeps until ready() or until a signal that `mode` admits. No lock a pager needs is held.
    constexpr void wait(wait_mode mode) noexcept {
        while (!ready()) {
            ticket_.wait(mode);
            if (!ticket_.ready()) return;  // the signal
        }
    }
    /// How many pagers are told, or the parts they are told of.
    [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }

    /// Calls visit(child) for each userfault_event::child that no pager has heard of so far: after
    /// wait(), nobody will.
    template<class Visit>
    constexpr void for_each_unheard_child(Visit&& visit) const {
        for (std::size_t i = 0; i < count_; ++i) {
            auto const heard = i < now_ ? heard_[i] : i == now_ && notices_[i]->heard();
            if (childs_[i] != nullptr && !heard) visit(*childs_[i]);
        }
    }

    /// For detail::notices: one more, until begin(); there is room for most_notices.
    constexpr void add(userfault_notice<M> notice, fault_source* child) noexcept {
        childs_[count_] = child;
        notices_[count_++].emplace(std::move(notice));
    }
    /// For detail::notices: the first one is sent.
    constexpr void begin() noexcept {
        if (count_ != 0) ticket_ = notices_[0]->send();
    }

private:
    constexpr void go_on() noexcept {
        heard_[now_] = notices_[now_]->heard();
        ticket_.reset();
        if (++now_ < count_) ticket_ = notices_[now_]->send();
    }

    std::array<std::optional<userfault_notice<M>>, most_notices> notices_{};
    std::array<fault_source*, most_notices> childs_{};
    std::array<bool, most_notices> heard_{};
    std::size_t count_{0};
    std::size_t now_{0};       ///< whose turn it is
    wait_ticket<M> ticket_{};  ///< on that one
};

namespace detail {

/// When a notice is sent, among those of one operation; only mremap has more than one of these.
enum class notice_turn : std::uint8_t { target_unmapped, moved, rest_unmapped, source_unmapped };

/// The notices of one operation, until they are sent. If they are not, nobody hears of it.
template<class Space>
class notices {
public:
    using machine = typename Space::machine;
    using pager_type = userfault<Space>;
    using notice_type = userfault_notice<machine>;

    constexpr explicit notices(typename Space::cpu_type& me) noexcept : me_{me} {}

    /// One more, for `pager`. Error: no_memory.
    constexpr result<void> add(pager_type& pager, userfault_event const& what,
                               notice_turn turn = notice_turn::target_unmapped) {
        if (count_ == most_notices) return errc::no_memory;
        auto notice = pager.prepare_notice(me_.current(), what);
        if (!notice) return notice.error();
        all_[count_++].emplace(one{&pager, turn, what.child, *std::move(notice)});
        return {};
    }
    [[nodiscard]] constexpr bool has(
        pager_type const& pager, notice_turn turn = notice_turn::target_unmapped) const noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            if (all_[i]->pager == &pager && all_[i]->turn == turn) return true;
        }
        return false;
    }
    /// What was to be told in this turn has not happened.
    constexpr void forget(notice_turn turn) noexcept {
        for (auto& each : all_) {
            if (each && each->turn == turn) each.reset();
        }
    }
    constexpr userfault_tickets<machine> send() {
        using enum notice_turn;
        userfault_tickets<machine> tickets;
        for (auto const turn : {target_unmapped, moved, rest_unmapped, source_unmapped}) {
            for (auto& each : all_) {
                if (each && each->turn == turn) tickets.add(std::move(each->notice), each->child);
            }
        }
        tickets.begin();
        return tickets;
    }

private:
    struct one {
        pager_type* pager;
        notice_turn turn;
        fault_source* child;
        notice_type notice;
    };

    typename Space::cpu_type& me_;
    std::array<std::optional<one>, most_notices> all_{};
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
        if (pager != nullptr) outcome = visit(*pager, part);
        return outcome.has_value();
    });
    return outcome;
}

/// Prepares to tell each userfault with event_unmap that serves some of `span` of the whole of it,
/// once (measured on 6.18). Mm lock: held.
template<class Space, class Witness>
constexpr result<void> tell_of_unmapping(Space& space, Witness const& held, page_span span,
                                         notices<Space>& told,
                                         notice_turn turn = notice_turn::target_unmapped) {
    return for_each_listener(
        space, held, span, userfault_feature::event_unmap,
        [&](userfault<Space>& pager, page_span) -> result<void> {
            if (told.has(pager, turn)) return {};
            return told.add(pager, {.kind = userfault_event_kind::unmap, .range = span}, turn);
        });
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

/// An answer, and what is left to wait for.
template<class T, Machine M>
struct [[nodiscard]] told {
    T answer;
    userfault_tickets<M> tickets;
};

/// fork(2) as mmhold::fork, with userfaults that want to hear of it (event_fork): the child's vmas
/// are served by `twin(parents) -> userfault<Space>*`, a userfault of the child's space with the
/// same features, and write protection passes on; nullptr: not served. The parent's pager hears of
/// the twin. All other userfaults stay behind. Linux: fork(2) returns when the events are read. A
/// twin that nobody has heard of then, because the pager was closed or the caller ended, lets go of
/// the child's memory: who made it closes it (userfault_tickets::for_each_unheard_child).
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
    auto const done = under_exclusive_lock<result<void>>(
        space.lock(), me.current(), [&](auto const& held) -> result<void> {
            auto const ready = detail::tell_of_unmapping(space, held, span, told);
            return ready ? space.munmap_locked(held, me, span) : ready;
        });
    if (!done) return done.error();
    return told.send();
}

/// mmap(2) as address_space::mmap; what a request with a fixed place unmaps there is told of as by
/// munmap_telling. Linux: mmap(2) returns when the events are read. Errors: as mmap; no_memory;
/// then no one is told.
template<class Space>
constexpr result<told<virt_addr, typename Space::machine>> mmap_telling(
    typename Space::cpu_type& me, Space& space, mmap_request const& request) {
    detail::notices<Space> told_of{me};
    auto const done = under_exclusive_lock<result<virt_addr>>(
        space.lock(), me.current(), [&](auto const& held) -> result<virt_addr> {
            auto const span = page_span::from(request.hint, request.pages);
            if (request.flags.has(mmap_flag::fixed) && span) {
                auto const ready = detail::tell_of_unmapping(space, held, *span, told_of);
                if (!ready) return ready.error();
            }
            return space.mmap_locked(held, me, request);
        });
    if (!done) return done.error();
    return told<virt_addr, typename Space::machine>{*done, told_of.send()};
}

/// Does a userfault that serves `area` want to hear of discarded pages?
template<class Space>
[[nodiscard]] constexpr bool wants_to_hear_of_removal(vma const& area) noexcept {
    return detail::listener_of<Space>(area, userfault_feature::event_remove) != nullptr;
}

/// A part of one mapping whose pages are about to be discarded (MADV_DONTNEED, MADV_FREE,
/// MADV_REMOVE): a userfault with event_remove that serves it is told. The caller gives the lock
/// back, waits, drops the tickets – the pager may put pages in place again before any is discarded
/// –, takes the lock, and looks what is mapped now. Size 0: nobody wants to know. Mm lock: held.
/// Errors: no_memory; then no one is told.
template<class Space, WitnessOf<typename Space::lock_type> W>
constexpr result<userfault_tickets<typename Space::machine>> tell_before_removal(
    W const& held, typename Space::cpu_type& me, vma const& area, page_span part) {
    (void)held;
    detail::notices<Space> told{me};
    if (auto* const pager = detail::listener_of<Space>(area, userfault_feature::event_remove)) {
        auto const ready = told.add(*pager, {.kind = userfault_event_kind::remove, .range = part});
        if (!ready) return ready.error();
    }
    return told.send();
}

namespace detail {

/// mremap's heir and listener: a userfault with event_remap goes on serving what has moved.
template<class Space>
class remap_listener {
public:
    using witness = held_exclusive<typename Space::lock_type>;

    constexpr remap_listener(Space& space, witness const& held, notices<Space>& told) noexcept
        : space_{space}, held_{held}, told_{told} {}

    [[nodiscard]] constexpr fault_source* operator()(vma const& area) const noexcept {
        auto const stays = area.source->kind() == source_kind::userfault &&
                           listener_of<Space>(area, userfault_feature::event_remap) == nullptr;
        return stays ? nullptr : area.source;
    }
    constexpr result<void> unmaps(page_span span, remap_part which) {
        return tell_of_unmapping(space_, held_, span, told_,
                                 which == remap_part::target ? notice_turn::target_unmapped
                                                             : notice_turn::rest_unmapped);
    }
    constexpr result<void> moves(vma const& area, page_span from, virt_addr to, old_mapping old) {
        if (auto* const pager = listener_of<Space>(area, userfault_feature::event_remap)) {
            auto const ready = told_.add(
                *pager, {.address = to, .kind = userfault_event_kind::remap, .range = from},
                notice_turn::moved);
            if (!ready) return ready;
        }
        if (old == old_mapping::stays) return {};
        return tell_of_unmapping(space_, held_, from, told_, notice_turn::source_unmapped);
    }

private:
    Space& space_;
    witness const& held_;
    notices<Space>& told_;
};

}  // namespace detail

/// mremap(2) as mmhold::mremap. A userfault with event_remap is told of the pages that move, and
/// serves them at their new place; with event_unmap, of what is unmapped: first the fixed place,
/// after the move what the mapping was shortened by, and then its old place (measured on 6.18).
/// What was unmapped is told of even if the answer is an error. Linux: mremap(2) returns when the
/// events are read. Errors in `answer`: as mremap; no_memory – too many notices.
template<class Space>
constexpr told<result<virt_addr>, typename Space::machine> mremap_telling(
    typename Space::cpu_type& me, Space& space, page_span old, page_count pages,
    mremap_flags flags = {}, virt_addr to = {}) {
    detail::notices<Space> told_of{me};
    auto const done = under_exclusive_lock<result<virt_addr>>(
        space.lock(), me.current(), [&](auto const& held) -> result<virt_addr> {
            return mremap_locked(held, me, space, old, pages, flags, to,
                                 detail::remap_listener<Space>{space, held, told_of});
        });
    if (!done) {
        told_of.forget(detail::notice_turn::moved);
        told_of.forget(detail::notice_turn::source_unmapped);
    }
    return {done, told_of.send()};
}

}  // namespace mmhold
