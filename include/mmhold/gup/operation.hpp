// SPDX-License-Identifier: BSL-1.0
#pragma once

// gup_operation – get_user_pages as a resumable state machine that never blocks.
//
// Actors    the operation (this file) decides; whoever runs it – a blocking driver (drive.hpp), an
//           event-driven simulator, the explorer, constant evaluation – does what it asks for and
//           tells it the outcome.
// Flow      need() says what is wanted next; the matching answer function is called; need() again,
//           until done.
//             start          → start(held)      only for lock_entry::held_by_caller
//             take_lock      → lock_taken(held) or lock_interrupted()
//             read_entry     → deliver(word, held)
//             resolve_fault  → fault_answered(outcome, held); the handler may have dropped the lock
//             wait           → waited()         nobody holds the lock meanwhile
//             give_lock      → lock_given()
//             done           → result()
// Promise   gup-semantics §2.3 (one lock hold, page by page) and §2.4 (the loop around it), for the
//           kernel named by the profile. After any drop the caller never gets a silently re-taken
//           lock back (§2.4 step 7).
// Witness   answers that leave the lock held take the proof of it; nothing learnt from a vma
//           survives a drop, because the cursor forgets it.

#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/gup/profile.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/gup_flags.hpp>
#include <mmhold/vocab/gup_result.hpp>
#include <mmhold/vocab/page_span.hpp>
#include <mmhold/walk/page_walker.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace mmhold {

/// Who takes the mm lock.
enum class lock_entry : std::uint8_t {
    held_by_caller,  ///< it is held when the operation starts (gup, gup_locked)
    own,             ///< the operation takes it and gives it back (gup_unlocked)
};

/// One call of gup, as values.
struct gup_call {
    page_span span{};
    gup_flags flags{};  ///< including the internal flags the entry point adds (§1.1)
    holding how{holding::reference};
    std::span<pfn> out{};  ///< receives span.pages() frame numbers; may be empty for holding::none
    lock_entry entry{lock_entry::own};
};

/// What the operation wants next.
struct gup_need {
    /// What the host does for the operation, and by which function it answers.
    enum class kind : std::uint8_t {
        start,          ///< hand over the caller's hold: start()
        take_lock,      ///< lock_taken() or lock_interrupted()
        read_entry,     ///< deliver()
        resolve_fault,  ///< fault_answered()
        wait,           ///< waited()
        give_lock,      ///< lock_given()
        done,           ///< nothing: result()
    };
    kind what{kind::done};
    entry_query entry{};    ///< for read_entry
    fault_request fault{};  ///< for resolve_fault
    /// For take_lock and wait: which signals may end it.
    wait_mode mode{wait_mode::uninterruptible};
};

/// Counts of what happened on the way, for observers and tables.
struct gup_account {
    std::uint32_t faults{0};
    std::uint32_t retries{0};  ///< pages tried again after a drop
    std::uint32_t lock_drops{0};
};

/// The state machine. `W` walks under lock `L` on machine `M`; `P` is the kernel to behave like.
template<PageWalker W, class L, Machine M, GupProfile P>
requires WalkStepper<W, held_shared<L> const>
class gup_operation {
public:
    using witness = held_shared<L>;

    /// `walker` and `who` outlive the operation. Argument errors are found here: then need() is
    /// done at once.
    constexpr gup_operation(W& walker, gup_call const& call, task<M> const& who) noexcept
        : walker_{walker}, call_{call}, who_{who} {
        if (call_.span.empty()) {
            finish(gup_stop::complete, errc::ok);
        } else if (call_.how != holding::none && call_.out.size() < call_.span.pages()) {
            finish(gup_stop::error, errc::invalid_argument);
        } else if (call_.entry == lock_entry::held_by_caller) {
            need_ = {.what = gup_need::kind::start};
        } else {
            need_ = {.what = gup_need::kind::take_lock, .mode = P::first_lock};
        }
    }
    gup_operation(gup_operation const&) = delete;
    gup_operation& operator=(gup_operation const&) = delete;
    constexpr ~gup_operation() = default;

    /// What to do next.
    [[nodiscard]] constexpr gup_need const& need() const noexcept { return need_; }

    /// Answers start: begins under the caller's own hold. If `held` does not hold, the operation
    /// ends with lock_not_held.
    constexpr void start(witness const& held) noexcept {
        if (!held.holding()) return finish(gup_stop::error, errc::lock_not_held);
        work(held);
    }

    /// Answers take_lock.
    constexpr void lock_taken(witness const& held) noexcept {
        own_lock_ = true;
        work(held);
    }
    /// Answers take_lock: a signal came first. The very first taking reports `again`, a later one
    /// `interrupted` (§2.4 steps 2 and 6).
    constexpr void lock_interrupted() noexcept {
        finish(gup_stop::error, lost_ ? errc::interrupted : errc::again);
    }

    /// Answers read_entry.
    constexpr void deliver(std::uint64_t word, witness const& held) noexcept {
        walker_.deliver(cursor_, word, held);
        if (settled()) work(held);
    }

    /// Answers read_entry, and those that follow for this page, from tables in memory.
    constexpr void read_now(witness const& held) noexcept {
        read_on(walker_, cursor_, held);
        if (settled()) work(held);
    }

    /// Answers resolve_fault. `held` is the witness the handler was given; it holds exactly if the
    /// lock was kept.
    constexpr void fault_answered(fault_outcome<L, M> outcome, witness const& held) noexcept {
        switch (outcome.kind()) {
            case fault_kind::pending: return;
            case fault_kind::installed:
            case fault_kind::installed_major: ++account_.faults; return work(held);
            case fault_kind::retry_lock_kept: return stop_without_waiting();
            case fault_kind::retry_lock_dropped: return lock_was_dropped(outcome.take_ticket());
            case fault_kind::completed: ++account_.faults; return lock_was_dropped({});
            case fault_kind::failed: return stop_with(reported(outcome.error()));
        }
    }

    /// Answers wait: the ticket is ready, or a signal ended the wait.
    constexpr void waited() noexcept {
        ticket_.reset();
        try_again();
    }
    /// What to wait on while need() is wait; also for hosts that poll ready().
    [[nodiscard]] constexpr wait_ticket<M> const& ticket() const noexcept { return ticket_; }

    /// Answers give_lock.
    constexpr void lock_given() noexcept {
        own_lock_ = false;
        need_ = {};
    }

    /// The answer to the caller; meaningful once need() is done.
    [[nodiscard]] constexpr gup_result result() const noexcept { return result_; }
    [[nodiscard]] constexpr gup_account const& account() const noexcept { return account_; }

private:
    /// §2.3: page after page under one hold, until something is needed from outside.
    constexpr void work(witness const& held) noexcept {
        for (;;) {
            if (who_.fatal_signal_pending()) return stop_with(errc::interrupted);
            auto const wanted = single_ ? 1 : call_.span.pages() - done_;
            walker_.seek(cursor_, {call_.span.page(done_), wanted, flags_now(), call_.how}, held);
            if (!settled()) return;
        }
    }

    /// Looks at the cursor. True: go on with the next attempt at once. False: need_ says what is
    /// wanted.
    constexpr bool settled() noexcept {
        if (auto const wanted = cursor_.query()) {
            need_ = {.what = gup_need::kind::read_entry, .entry = *wanted};
            return false;
        }
        auto const& answer = cursor_.answer();
        switch (answer.verdict) {
            case walk_verdict::pages: return keep(answer);
            case walk_verdict::fault: return ask_for_fault(answer.cause), false;
            case walk_verdict::refused: return stop_with(answer.error), false;
            case walk_verdict::retreat: return stop_with(errc::bad_address), false;
        }
        return false;
    }

    /// Pages were found and are held. True if more are wanted.
    constexpr bool keep(walk_answer const& answer) noexcept {
        for (std::uint64_t i = 0; i < answer.pages; ++i) {
            if (call_.how != holding::none) call_.out[done_ + i] = answer.first.plus(i);
        }
        done_ += answer.pages;
        single_ = false;  // §2.4 step 6c: each later page gets a fresh first try
        if (done_ < call_.span.pages()) return true;
        return finish(gup_stop::complete, errc::ok), false;
    }

    constexpr void ask_for_fault(fault_cause cause) noexcept {
        if (call_.flags.has(gup_flag::nofault)) return stop_with(errc::bad_address);
        need_ = {.what = gup_need::kind::resolve_fault,
                 .fault = {call_.span.page(done_), to_fault_flags(flags_now(), cause)}};
    }

    /// The flags of this attempt: TRIED for the single page after a drop; the old kernels then take
    /// the permission to drop away (§2.4, last line).
    [[nodiscard]] constexpr gup_flags flags_now() const noexcept {
        if (!single_) return call_.flags;
        auto const flags = call_.flags.with(gup_flag::tried);
        return P::retries == retry_policy::unbounded ? flags : flags.without(gup_flag::unlockable);
    }

    constexpr void lock_was_dropped(wait_ticket<M> ticket) noexcept {
        lost_ = true;
        own_lock_ = false;
        ++account_.lock_drops;
        cursor_.forget();
        ticket_ = std::move(ticket);
        if (ticket_.ready()) return waited();
        need_ = {.what = gup_need::kind::wait, .mode = sleep_mode(to_fault_flags(flags_now(), {}))};
    }

    /// §2.4 step 6.
    constexpr void try_again() noexcept {
        if (!P::prefault_continues && call_.how == holding::none)
            return finish(gup_stop::lock_lost, errc::ok);
        auto const mode = call_.flags.has(gup_flag::interruptible) ? wait_mode::interruptible
                                                                   : wait_mode::killable;
        if (P::signals_before_relock && who_.signal_pending(mode))
            return stop_with(errc::interrupted);
        single_ = true;
        ++account_.retries;
        need_ = {.what = gup_need::kind::take_lock, .mode = P::relock};
    }

    /// RETRY with the lock kept: only nowait callers can meet it; for anybody else it would read as
    /// "0 pages, no reason", which Linux turns into bad_address (§2.4 step 8).
    constexpr void stop_without_waiting() noexcept {
        if (!call_.flags.has(gup_flag::nowait)) return stop_with(errc::bad_address);
        finish(gup_stop::would_wait, errc::ok);
    }

    /// The errno of a failed fault (§1.2): poison is only told to those who asked to hear of it.
    [[nodiscard]] constexpr errc reported(errc error) const noexcept {
        auto const hidden = error == errc::hardware_poison && !call_.flags.has(gup_flag::hwpoison);
        return hidden ? errc::bad_address : error;
    }

    constexpr void stop_with(errc error) noexcept { finish(gup_stop::error, error); }

    constexpr void finish(gup_stop stop, errc error) noexcept {
        cursor_.forget();
        result_ = {done_, stop, error, fate()};
        need_ = {.what = own_lock_ ? gup_need::kind::give_lock : gup_need::kind::done};
    }

    [[nodiscard]] constexpr lock_fate fate() const noexcept {
        if (call_.entry == lock_entry::own) return lock_fate::never_held;
        return lost_ ? lock_fate::lost : lock_fate::kept;
    }

    W& walker_;
    gup_call call_;
    task<M> const& who_;
    typename W::cursor cursor_{};
    wait_ticket<M> ticket_{};
    gup_need need_{};
    gup_result result_{};
    gup_account account_{};
    std::uint64_t done_{0};
    bool single_{false};    // the one-page call after a drop
    bool lost_{false};      // the lock was given up at least once
    bool own_lock_{false};  // the operation itself holds the lock now
};

}  // namespace mmhold
