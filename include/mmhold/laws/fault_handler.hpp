// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/fault/fault_outcome.hpp>
#include <mmhold/laws/law_report.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace mmhold {

/// How the laws look at the address space that a handler works on. The mm lock is held while they
/// do.
template<class P>
concept FaultProbe = requires(P& probe, fault_request const& request) {
    // what a walker sees where the request faults: an entry, a word, anything that can be compared
    { probe.entry(request) } -> std::equality_comparable;
    // would a walk find the access permitted now?
    { probe.permitted(request) } -> std::same_as<bool>;
    // events, requests and tickets of the handler that somebody else could see or has to answer
    { probe.queued() } -> std::convertible_to<std::uint64_t>;
};

/// How a trial asks: what the caller of a handler may put up with.
enum class fault_manner : std::uint8_t {
    keeping,   ///< no permission to drop the lock, no allow_retry: gup()
    dropping,  ///< both: gup_locked(), gup_unlocked()
    nowait,    ///< allow_retry and retry_nowait: the lock is kept, nobody waits
};

namespace detail {

/// `flags` as a caller of this manner would pass them.
[[nodiscard]] constexpr fault_flags flags_for(fault_manner manner, fault_flags flags) noexcept {
    fault_flags const permission{fault_flag::allow_retry, fault_flag::retry_nowait};
    flags = flags.without(permission);
    switch (manner) {
        case fault_manner::keeping: return flags;
        case fault_manner::dropping: return flags.with(fault_flag::allow_retry);
        case fault_manner::nowait: return flags.with(permission);
    }
    return flags;
}

/// One handler on trial.
template<class H, class L, FaultProbe Probe>
    requires FaultHandler<H, L>
class fault_trial {
public:
    using cpu_type = typename H::cpu_type;
    using outcome = fault_outcome<L, typename H::machine>;

    constexpr fault_trial(H& handler, L& lock, cpu_type& me, Probe& probe) noexcept
        : handler_{handler}, lock_{lock}, me_{me}, probe_{probe} {}

    /// Tries one request in one manner.
    constexpr void run(fault_request request, fault_manner manner) {
        request.flags = flags_for(manner, request.flags);
        auto held = held_shared<L>::try_acquire(lock_);
        if (!usable_.require(held.has_value(), "the lock is not free")) return;
        // An `installed` may be worth no more than another try, but not for ever.
        for (int tries = 0; tries < max_tries; ++tries) {
            auto const kind = ask(request, manner, *held);
            if (kind != fault_kind::installed && kind != fault_kind::installed_major) return;
            if (probe_.permitted(request)) return;
        }
        progress_.require(false, "installed, again and again, but the access is not permitted");
    }

    [[nodiscard]] constexpr law_report verdict() const noexcept {
        return first_broken(usable_.report(), honesty_.report(), obedience_.report(),
                            nowait_.report(), progress_.report(), failure_.report(),
                            pending_.report());
    }

private:
    static constexpr int max_tries = 16;

    constexpr fault_kind ask(fault_request const& request, fault_manner manner,
                             held_shared<L>& held) {
        auto const entry_before = probe_.entry(request);
        auto const queued_before = static_cast<std::uint64_t>(probe_.queued());
        auto authority = manner == fault_manner::dropping
                             ? lock_authority<L>::may_drop(may_drop(held))
                             : lock_authority<L>::keep(held);
        auto answer = handler_.handle(request, authority, me_);
        auto const kind = answer.kind();
        honesty_.require(answer.lock_lost() == !held.holding(),
                         "lock_lost() and the witness disagree about the lock");
        if (manner != fault_manner::dropping) {
            obedience_.require(held.holding() && !answer.lock_lost(),
                               "the lock was given up without permission");
        }
        if (manner == fault_manner::nowait) {
            nowait_.require(answer.take_ticket().ready(), "there is a ticket to wait for");
            nowait_.require(static_cast<std::uint64_t>(probe_.queued()) == queued_before,
                            "something was queued");
        }
        judge_failure(answer, request, entry_before, held);
        return kind;
    }

    constexpr void judge_failure(outcome const& answer, fault_request const& request,
                                 auto const& entry_before, held_shared<L> const& held) {
        auto const failed = answer.kind() == fault_kind::failed;
        failure_.require(failed == (answer.error() != errc::ok),
                         "failed and having an error are not the same");
        if (!held.holding()) return;
        auto const unchanged = probe_.entry(request) == entry_before;
        if (failed) failure_.require(unchanged, "the entry has changed");
        if (answer.kind() == fault_kind::pending) {
            pending_.require(unchanged, "the entry has changed");
        }
    }

    H& handler_;
    L& lock_;
    cpu_type& me_;
    Probe& probe_;
    law_check usable_{"the trial can begin"};
    law_check honesty_{"lock_lost() says exactly whether the witness still holds"};
    law_check obedience_{"without permission the lock is never lost"};
    law_check nowait_{"with retry_nowait there is no ticket and nothing is queued"};
    law_check progress_{"installed means that a walk finds the access permitted, or faults again"};
    law_check failure_{"failed has an error and leaves the page tables as they were"};
    law_check pending_{"pending changes nothing a walker can see"};
};

}  // namespace detail

/// The laws of FaultHandler, tried with every one of `requests` in every manner: keeping the
/// lock, allowed to drop it, and with retry_nowait (the permission flags of the requests
/// themselves are replaced).
///
/// Lock before: free; after: free. Requests that are to fail are as useful as those that succeed. A
/// handler that blocks needs somebody who answers it meanwhile. Nobody else may change what the
/// requests fault on. Usable in constant evaluation.
template<class H, class L, FaultProbe Probe>
    requires FaultHandler<H, L>
[[nodiscard]] constexpr law_report fault_handler_laws(H& handler, L& lock,
                                                      typename H::cpu_type& me,
                                                      std::span<fault_request const> requests,
                                                      Probe& probe) {
    detail::fault_trial<H, L, Probe> trial{handler, lock, me, probe};
    for (auto const& request : requests) {
        trial.run(request, fault_manner::nowait);
        trial.run(request, fault_manner::keeping);
        trial.run(request, fault_manner::dropping);
    }
    return trial.verdict();
}

}  // namespace mmhold
