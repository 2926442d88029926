// SPDX-License-Identifier: BSL-1.0
#pragma once

// madvise(2): one door to all advice (gup-semantics §8.1 columns OR, OW; §8.3).
//
//   checks    advice nobody knows, a start that is not page-aligned, a length that wraps:
//             invalid_argument; no bytes: success, whatever is mapped
//   walk      mappings from the lowest on; a refusal ends it; a hole is told when the rest is done
//             (advised_range.hpp); populating ends at the first page that cannot be had
//   result    0 or the errno
//
// Discarding (MADV_DONTNEED, MADV_FREE, MADV_REMOVE): pagers that want to know are told first,
// mapping by mapping.
// Caller    mm lock shared → works through the mappings, lowest first → one whose pager wants to
//           hear of it (UFFD_FEATURE_EVENT_REMOVE): gives the lock up → tells, and waits → takes
//           the lock → looks what is mapped there now.
//
// Measured on 6.18: what may not be discarded is refused before anybody is told, except that
// MADV_FREE of shared memory is told of and then refused. When the lock is back, the start of the
// part must still be mapped (no_memory), by something that may be discarded; what lies behind the
// end of that mapping is looked at anew. MADV_REMOVE punches its hole into the object that was
// mapped, whatever is mapped now. A fatal signal ends the wait, not the call.

#include <mmhold/callers/populate.hpp>
#include <mmhold/callers/user_range.hpp>
#include <mmhold/fault/collapse_large.hpp>
#include <mmhold/fault/userfault_notices.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/advise_large.hpp>
#include <mmhold/space/advised_range.hpp>
#include <mmhold/space/cool_down.hpp>
#include <mmhold/space/fork_advice.hpp>
#include <mmhold/space/guard.hpp>
#include <mmhold/space/lazy_free.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/marking_advice.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/remove.hpp>
#include <mmhold/space/swap_out.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace mmhold {

/// How pages are discarded.
enum class discard_how : std::uint8_t {
    now,         ///< MADV_DONTNEED: dontneed_locked()
    now_locked,  ///< MADV_DONTNEED_LOCKED: the same, of locked memory as well
    lazily,      ///< MADV_FREE: lazy_free_locked()
    for_all,     ///< MADV_REMOVE: remove_pages_locked()
};

namespace detail {

/// One call of discard().
template<class Space>
class discarding {
public:
    using cpu_type = typename Space::cpu_type;
    using object_type = page_cache<Space>;

    constexpr discarding(Space& space, cpu_type& me, page_span span, discard_how how) noexcept
        : space_{space}, me_{me}, how_{how}, at_{span.start()}, end_{span.end()} {}

    constexpr result<void> run() {
        for (;;) {
            auto const done = under_shared_lock<result<void>>(
                space_.lock(), [&](auto const& held) { return work(held); });
            if (!done) return done;
            if (!told_of_) return hole_ ? errc::no_memory : errc::ok;
            tickets_.wait(wait_mode::killable);
            tickets_ = {};
        }
    }

private:
    /// Until all is done, or somebody has to be told of the part told_of_.
    template<class W>
    constexpr result<void> work(W const& held) {
        if (told_of_) {
            if (auto const done = resume(held, *told_of_); !done) return done;
            told_of_.reset();
        }
        result<void> done;
        space_.for_each_vma_in(held, pages_between(at_, end_),
                               [&](vma const& area, page_span part) {
                                   hole_ = hole_ || part.start() > at_;
                                   done = next_part(held, area, part);
                                   return done && !told_of_;
                               });
        if (done && !told_of_) hole_ = hole_ || at_ < end_;
        return done;
    }

    /// Discards `part`, which lies in `area`, or makes it told_of_.
    template<class W>
    constexpr result<void> next_part(W const& held, vma const& area, page_span part) {
        if (!wants_to_hear_of_removal<Space>(area)) return discard(held, part);
        auto const gone = admitted(area, part);
        if (!gone) return gone.error();
        auto tickets = tell_before_removal<Space>(held, me_, area, *gone);
        if (!tickets) return tickets.error();
        object_ = how_ == discard_how::for_all ? page_cache_of<Space>(area) : nullptr;
        if (object_ != nullptr) file_page_ = area.file_page_at(part.start());
        tickets_ = *std::move(tickets);
        told_of_ = part;
        return {};
    }
    /// What of `part` may go, as far as is asked before somebody is told.
    [[nodiscard]] constexpr result<page_span> admitted(vma const& area, page_span part) const {
        if (how_ == discard_how::now) return discarded_part(area, part);
        if (how_ == discard_how::now_locked) return discarded_part(area, part, locked_pages::go);
        auto const refused = how_ == discard_how::for_all ? check_remove(area)
                             : can_be_discarded(area)     ? errc::ok
                                                          : errc::invalid_argument;
        if (refused != errc::ok) return refused;
        return part;
    }

    /// They have been told.
    template<class W>
    constexpr result<void> resume(W const& held, page_span part) {
        if (how_ == discard_how::for_all) {
            at_ = part.end();
            return object_->punch(me_, {file_page_, file_page_ + part.pages()});
        }
        auto const now = space_.find(part.start(), held);
        if (!now) return errc::no_memory;
        return discard(held, common_pages(now->view(held).span, part));
    }
    template<class W>
    constexpr result<void> discard(W const& held, page_span part) {
        at_ = part.end();
        switch (how_) {
            case discard_how::now: return space_.dontneed_locked(held, me_, part);
            case discard_how::now_locked:
                return space_.dontneed_locked(held, me_, part, locked_pages::go);
            case discard_how::lazily: return lazy_free_locked(held, me_, space_, part);
            case discard_how::for_all: break;
        }
        return remove_pages_locked(held, me_, space_, part);
    }

    Space& space_;
    cpu_type& me_;
    discard_how how_;
    virt_addr at_;
    virt_addr end_;
    bool hole_{false};
    std::optional<page_span> told_of_{};
    userfault_tickets<typename Space::machine> tickets_{};
    object_type* object_{nullptr};  ///< of MADV_REMOVE
    std::uint64_t file_page_{0};
};

}  // namespace detail

/// Discards the pages of `span`; userfaults with event_remove are told, and waited for, before. The
/// objects of MADV_REMOVE must live until the call returns.
///
/// Mm lock: not held by the caller; taken shared, and given up while a pager is told. Errors: those
/// of the operation that `how` names; no_memory also – what was told of is not mapped any more.
template<class Space>
constexpr result<void> discard(typename Space::cpu_type& me, Space& space, page_span span,
                               discard_how how) {
    return detail::discarding<Space>{space, me, span, how}.run();
}

/// What madvise may be told; the values are Linux's MADV_*.
enum class advice : std::uint8_t {
    normal = 0,             ///< mark_mappings()
    random = 1,             ///< mark_mappings()
    sequential = 2,         ///< mark_mappings()
    will_need = 3,          ///< nothing: whoever touches it may still have to wait
    dont_need = 4,          ///< discard()
    free = 8,               ///< discard()
    remove = 9,             ///< discard()
    dont_fork = 10,         ///< fork_advice()
    do_fork = 11,           ///< fork_advice()
    mergeable = 12,         ///< mark_mappings()
    unmergeable = 13,       ///< mark_mappings()
    huge_page = 14,         ///< advise_large_folios()
    no_huge_page = 15,      ///< advise_large_folios()
    dont_dump = 16,         ///< mark_mappings()
    do_dump = 17,           ///< mark_mappings()
    wipe_on_fork = 18,      ///< fork_advice()
    keep_on_fork = 19,      ///< fork_advice()
    cold = 20,              ///< cool_down()
    page_out = 21,          ///< page_out()
    populate_read = 22,     ///< madvise_populate()
    populate_write = 23,    ///< madvise_populate()
    dont_need_locked = 24,  ///< discard(), of locked memory as well
    collapse = 25,          ///< collapse_large()
    guard_install = 102,    ///< guard_install()
    guard_remove = 103,     ///< guard_remove()
};

/// Is it one of the values above? (A number from outside may be any. Left out of Linux's:
/// MADV_HWPOISON and MADV_SOFT_OFFLINE, 100 and 101, which a kernel may be built without, and the
/// measured one is: invalid_argument. memory_failure.hpp does what they do.)
[[nodiscard]] constexpr bool is_known(advice what) noexcept {
    switch (what) {
        case advice::normal:
        case advice::random:
        case advice::sequential:
        case advice::will_need:
        case advice::dont_need:
        case advice::free:
        case advice::remove:
        case advice::dont_fork:
        case advice::do_fork:
        case advice::mergeable:
        case advice::unmergeable:
        case advice::huge_page:
        case advice::no_huge_page:
        case advice::dont_dump:
        case advice::do_dump:
        case advice::wipe_on_fork:
        case advice::keep_on_fork:
        case advice::cold:
        case advice::page_out:
        case advice::populate_read:
        case advice::populate_write:
        case advice::dont_need_locked:
        case advice::collapse:
        case advice::guard_install:
        case advice::guard_remove: return true;
    }
    return false;
}

namespace detail {

/// MADV_WILLNEED: every mapping takes it.
template<class Space>
constexpr result<void> will_need(Space& mm, page_span span) {
    return under_shared_lock<result<void>>(mm.lock(), [&](auto const& held) {
        return for_each_advised(held, mm, span,
                                [](vma const&, page_span) { return result<void>{}; });
    });
}

/// All advice but populating.
template<class Space, class Cpu>
constexpr result<void> advise_pages(Space& mm, Cpu& me, page_span span, advice what) {
    using mark = marking_advice;
    switch (what) {
        case advice::normal: return mark_mappings(me, mm, span, mark::reads_as_usual);
        case advice::random: return mark_mappings(me, mm, span, mark::reads_at_random);
        case advice::sequential: return mark_mappings(me, mm, span, mark::reads_in_order);
        case advice::will_need: return will_need(mm, span);
        case advice::dont_need: return discard(me, mm, span, discard_how::now);
        case advice::free: return discard(me, mm, span, discard_how::lazily);
        case advice::remove: return discard(me, mm, span, discard_how::for_all);
        case advice::dont_fork: return fork_advice(me, mm, span, at_fork::leave_out);
        case advice::do_fork: return fork_advice(me, mm, span, at_fork::inherit);
        case advice::mergeable: return mark_mappings(me, mm, span, mark::merge_equal);
        case advice::unmergeable: return mark_mappings(me, mm, span, mark::keep_equal);
        case advice::huge_page: return advise_large_folios(me, mm, span, advise_large::wanted);
        case advice::no_huge_page: return advise_large_folios(me, mm, span, advise_large::refused);
        case advice::dont_dump: return mark_mappings(me, mm, span, mark::leave_out_of_dumps);
        case advice::do_dump: return mark_mappings(me, mm, span, mark::dump);
        case advice::wipe_on_fork: return fork_advice(me, mm, span, at_fork::wipe);
        case advice::keep_on_fork: return fork_advice(me, mm, span, at_fork::keep);
        case advice::cold: return cool_down(me, mm, span);
        case advice::page_out: return page_out(me, mm, span).error();
        case advice::dont_need_locked: return discard(me, mm, span, discard_how::now_locked);
        case advice::collapse: return collapse_large(me, mm, span);
        case advice::guard_install: return guard_install(me, mm, span);
        case advice::guard_remove: return guard_remove(me, mm, span);
        case advice::populate_read:
        case advice::populate_write: break;
    }
    return errc::invalid_argument;
}

}  // namespace detail

/// madvise(range.start, range.bytes, what). Errors: those of the operation `what` names;
/// invalid_argument – the start is not page-aligned, the range wraps, or `what` is no advice;
/// no_memory – there is a hole.
///
/// Mm lock: not held by the caller; taken as the operation needs it.
template<GupProfile P = linux_6_18, class Space, class Cpu>
constexpr result<void> madvise(Space& mm, Cpu& me, user_range range, advice what) {
    if (what == advice::populate_read) return madvise_populate<P>(mm, me, range, access::read);
    if (what == advice::populate_write) return madvise_populate<P>(mm, me, range, access::write);
    auto const span = detail::madvise_span(range);
    if (!span) return span.error();
    if (span->empty()) return is_known(what) ? errc::ok : errc::invalid_argument;
    return detail::advise_pages(mm, me, *span, what);
}

}  // namespace mmhold
