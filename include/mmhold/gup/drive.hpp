// SPDX-License-Identifier: BSL-1.0
#pragma once

// drive – runs a gup operation to its end with a real lock, a real handler and tables that can be
// read at once.
//
// It blocks where the lock or the ticket blocks; hosts that must not block run gup_operation
// themselves.

#include <mmhold/gup/compose.hpp>
#include <mmhold/gup/fast_operation.hpp>
#include <mmhold/gup/operation.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <optional>
#include <utility>

namespace mmhold {

namespace detail {

/// Takes the lock shared, as interruptibly as the lock allows; nothing if a signal that `mode`
/// admits came first. A lock that can only be tried is tried until it gives in, looking at signals
/// in between.
template<Machine M, class L>
[[nodiscard]] constexpr std::optional<held_shared<L>> take_shared(L& lock, task<M>& who,
                                                                  wait_mode mode) {
    if constexpr (InterruptibleMmLock<L>) {
        auto taken = held_shared<L>::acquire(lock, who, mode);
        if (!taken) return std::nullopt;
        return std::optional<held_shared<L>>{*std::move(taken)};
    } else if constexpr (SharedLockable<L>) {
        return std::optional<held_shared<L>>{held_shared<L>::acquire(lock)};
    } else {
        for (;;) {
            if (auto taken = held_shared<L>::try_acquire(lock)) return taken;
            if (who.signal_pending(mode)) return std::nullopt;
            M::relax();
        }
    }
}

/// One blocking run of a gup_operation.
template<GupProfile P, Composed Mm>
class gup_driver {
    using lock_type = typename Mm::lock_type;
    using machine = typename Mm::machine;
    using cpu_type = typename Mm::cpu_type;
    using operation = gup_operation<typename Mm::walker_type, lock_type, machine, P>;

public:
    constexpr gup_driver(Mm const& mm, cpu_type& me, gup_call const& call) noexcept
        : mm_{mm}, me_{me}, op_{mm.walker, call, me.current()} {}

    /// The caller holds the lock and keeps it.
    constexpr gup_driver& keeping(held_shared<lock_type> const& held) noexcept {
        held_ = &held;
        authority_ = lock_authority<lock_type>::keep(held);
        return *this;
    }
    /// The caller holds the lock and may lose it.
    constexpr gup_driver& dropping(droppable<lock_type> permission) noexcept {
        held_ = &permission.held();
        authority_ = lock_authority<lock_type>::may_drop(std::move(permission));
        return *this;
    }

    constexpr gup_result run() {
        while (op_.need().what != gup_need::kind::done) step(op_.need());
        auto& stats = me_.stats();
        stats.slow_pages += op_.result().pages;
        stats.faults += op_.account().faults;
        stats.fault_retries += op_.account().retries;
        stats.lock_drops += op_.account().lock_drops;
        return op_.result();
    }

private:
    constexpr void step(gup_need const& need) {
        switch (need.what) {
            case gup_need::kind::start: return op_.start(*held_);
            case gup_need::kind::take_lock: return take_lock(need.mode);
            case gup_need::kind::read_entry: return op_.read_now(*held_);
            case gup_need::kind::resolve_fault: return resolve(need.fault);
            case gup_need::kind::wait: op_.ticket().wait(need.mode); return op_.waited();
            case gup_need::kind::give_lock: own_.reset(); return op_.lock_given();
            case gup_need::kind::done: return;
        }
    }

    constexpr void take_lock(wait_mode mode) {
        own_ = take_shared<machine>(mm_.lock, me_.current(), mode);
        if (!own_) return op_.lock_interrupted();
        held_ = &*own_;
        authority_ = lock_authority<lock_type>::may_drop(may_drop(*own_));
        if (op_.account().retries != 0) report(event_kind::lock_retaken, last_fault_.value);
        op_.lock_taken(*held_);
    }

    /// The handler may drop the lock only if the fault says ALLOW_RETRY without RETRY_NOWAIT
    /// (§2.1).
    constexpr void resolve(fault_request const& fault) {
        auto const droppable =
            fault.flags.has(fault_flag::allow_retry) && !fault.flags.has(fault_flag::retry_nowait);
        auto keep = lock_authority<lock_type>::keep(*held_);
        last_fault_ = fault.at;
        report(event_kind::fault_begin, fault.at.value, fault.flags.bits());
        auto outcome = mm_.handler.handle(fault, droppable ? *authority_ : keep, me_);
        report(event_kind::fault_end, fault.at.value, static_cast<std::uint64_t>(outcome.kind()));
        report_retry(fault, outcome.kind());
        auto const ask_again = outcome.kind() == fault_kind::pending;
        auto const retry = outcome.kind() == fault_kind::retry_lock_dropped;
        op_.fault_answered(std::move(outcome), *held_);
        // RETRY with nothing to wait for: somebody is about to change what this fault meets (a
        // userfault that is being closed waits for the mm lock). He must get in between.
        auto const nothing_to_wait_for = retry && op_.need().what == gup_need::kind::take_lock;
        if (ask_again || nothing_to_wait_for) machine::relax();
    }

    constexpr void report_retry(fault_request const& fault, fault_kind came_to) noexcept {
        auto const dropped =
            came_to == fault_kind::retry_lock_dropped || came_to == fault_kind::completed;
        auto const again =
            came_to == fault_kind::retry_lock_dropped || came_to == fault_kind::retry_lock_kept;
        if (again) report(event_kind::fault_retry, fault.at.value);
        if (dropped) report(event_kind::lock_dropped, fault.at.value);
    }
    constexpr void report(event_kind kind, std::uint64_t subject,
                          std::uint64_t value = 0) noexcept {
        notify<machine>(mm_.observer, kind, me_.id(), subject, value);
    }

    Mm const& mm_;
    cpu_type& me_;
    std::optional<held_shared<lock_type>> own_{};
    held_shared<lock_type> const* held_{nullptr};
    std::optional<lock_authority<lock_type>> authority_{};
    virt_addr last_fault_{};  // for observers
    operation op_;  // last: its walk must end before the lock that it ran under
};

/// The lockless half: how many pages it could hold. One section spans the walk.
template<FastComposed Mm>
[[nodiscard]] constexpr std::uint64_t walk_fast(Mm const& mm, typename Mm::cpu_type& me,
                                                gup_call const& call) {
    fast_operation op{mm.fast_walker, call};
    {
        irq_section inside{me};
        op.run(inside);
    }
    auto const pages = op.finish();
    me.stats().fast_pages += pages;
    return pages;
}

}  // namespace detail

}  // namespace mmhold
