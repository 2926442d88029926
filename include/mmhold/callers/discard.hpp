// SPDX-License-Identifier: BSL-1.0
#pragma once

// discard – MADV_DONTNEED, MADV_FREE and MADV_REMOVE, whose pagers want to know.
//
// Caller    mm lock shared → works through the mappings, lowest first → one whose pager wants to
//           hear of it (UFFD_FEATURE_EVENT_REMOVE): gives the lock up → tells, and waits → takes
//           the lock → looks what is mapped there now.
//
// Measured on 6.18: what may not be discarded is refused before anybody is told, except that
// MADV_FREE of shared memory is told of and then refused. When the lock is back, the start of the
// part must still be mapped (no_memory), by something that may be discarded; what lies behind the
// end of that mapping is looked at anew. MADV_REMOVE punches its hole into the object that was
// mapped, whatever is mapped now. A fatal signal ends the wait, not the call.

#include <mmhold/fault/userfault_notices.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/space/lazy_free.hpp>
#include <mmhold/space/mapped_object.hpp>
#include <mmhold/space/page_cache.hpp>
#include <mmhold/space/remove.hpp>
#include <mmhold/space/under_lock.hpp>
#include <mmhold/space/vma.hpp>
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
        while (at_ < end_) {
            auto const next = first_part(held);
            if (!next) return errc::no_memory;
            hole_ = hole_ || next->start() > at_;
            at_ = next->start();
            auto const done = next_part(held, *next);
            if (!done || told_of_) return done;
        }
        return {};
    }
    template<class W>
    [[nodiscard]] constexpr std::optional<page_span> first_part(W const& held) const {
        std::optional<page_span> found;
        space_.for_each_vma_in(held, pages_between(at_, end_), [&](vma const&, page_span part) {
            if (!found) found = part;
        });
        return found;
    }

    /// Discards `part`, which lies in one mapping, or makes it told_of_.
    template<class W>
    constexpr result<void> next_part(W const& held, page_span part) {
        auto const seen = space_.find(part.start(), held);
        auto const& area = seen->view(held);
        auto const gone = admitted(area, part);
        if (!gone) return gone.error();
        if (!wants_to_hear_of_removal<Space>(area)) return discard(held, part);
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

}  // namespace mmhold
