// SPDX-License-Identifier: BSL-1.0
#pragma once

// get_user_pages under the mm lock, in its three ways of treating the lock.
//
//                  lock on entry → exit               a fault that must wait
//   gup            held → held, always                bad_address at once (it could not wait
//                  without hanging everybody)
//   gup_locked     held → held or lost, it says which  drops the lock, waits, takes it again for
//                  the next try, ends
//                                                      without it
//   gup_unlocked   not held → not held                the same, inside
//
// Each takes references; its pin_ twin takes pins (which fork and reclaim respect). Which to use:
// gup_unlocked unless you need the lock for something else; gup only where dropping it would be
// wrong; gup_fast (gup_fast.hpp) where the pages are probably present. What each adds to the flags:
// gup-semantics §1.1; what it returns: §1.2.

#include <mmhold/gup/compose.hpp>
#include <mmhold/gup/drive.hpp>
#include <mmhold/gup/longterm.hpp>
#include <mmhold/gup/profile.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/vocab/gup_flags.hpp>
#include <mmhold/vocab/gup_result.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <span>
#include <utility>

namespace mmhold {

/// In place of an output: fault the pages in, hold nothing (a NULL page array in Linux).
struct no_pages_t {};
inline constexpr no_pages_t no_pages{};

/// Where the frame numbers go: room for as many as the span has pages, or no_pages.
class gup_output {
public:
    /// Receives one frame number per page. Too short a span is errc::invalid_argument, and nothing
    /// is touched.
    template<std::size_t N>
    constexpr gup_output(std::span<pfn, N> pages) noexcept
        : pages_{pages}, wanted_{true} {}  // NOLINT
    template<class Range>
    requires std::constructible_from<std::span<pfn>, Range&> constexpr gup_output(
        Range& pages) noexcept
        : pages_{pages}, wanted_{true} {}         // NOLINT
    constexpr gup_output(no_pages_t) noexcept {}  // NOLINT(google-explicit-constructor)

    /// Where they go; empty for no_pages.
    [[nodiscard]] constexpr std::span<pfn> pages() const noexcept { return pages_; }
    /// `how`, or none if no pages are wanted.
    [[nodiscard]] constexpr holding held_as(holding how) const noexcept {
        return wanted_ ? how : holding::none;
    }

private:
    std::span<pfn> pages_{};
    bool wanted_{false};
};

namespace detail {

/// The answer to arguments that check_gup_flags() refuses: the pin_ family of the slow path says 0
/// (§1.1).
[[nodiscard]] constexpr gup_result refused_arguments(holding how, gup_path path,
                                                     lock_fate lock) noexcept {
    auto const silent = how == holding::pin && path == gup_path::slow;
    return {0, silent ? gup_stop::bad_pin_arguments : gup_stop::error, errc::invalid_argument,
            lock};
}

/// What taking a reference or a pin adds to the flags.
[[nodiscard]] constexpr gup_flags with_holding(gup_flags flags, holding how) noexcept {
    return flags.with_if(how == holding::pin, gup_flag::pin)
        .with_if(how == holding::reference, gup_flag::get);
}

/// Checks, composes and runs one slow call; `prepare` hands the caller's hold to the driver.
template<GupProfile P, class Mm, class Cpu, class Prepare>
[[nodiscard]] constexpr gup_result run_slow(Mm& mm, Cpu& me, gup_call call, gup_flags added,
                                            lock_fate untouched, Prepare prepare) {
    if (check_gup_flags(call.flags, call.how, gup_path::slow) != errc::ok) {
        return refused_arguments(call.how, gup_path::slow, untouched);
    }
    if (!me.valid()) return {0, gup_stop::error, errc::no_memory, untouched};
    call.flags = with_holding(call.flags.with(added), call.how);
    gup_parts<std::remove_const_t<Mm>, P> parts{mm, me};
    auto const& composed = parts.composed();
    auto const watch = [&](event_kind kind, std::uint64_t value) {
        notify<typename std::remove_cvref_t<decltype(composed)>::machine>(
            composed.observer, kind, me.id(), call.span.start().value, value);
    };
    watch(event_kind::gup_begin, call.span.pages());
    gup_driver<P, std::remove_cvref_t<decltype(composed)>> driver{composed, me, call};
    prepare(driver);
    auto const answer = driver.run();
    watch(event_kind::gup_end, static_cast<std::uint64_t>(to_linux(answer)));
    return answer;
}

template<holding How, GupProfile P, class Mm, class Cpu, class L>
[[nodiscard]] constexpr gup_result keep_lock(Mm& mm, Cpu& me, held_shared<L> const& held,
                                             page_span span, gup_flags flags, gup_output out,
                                             gup_flags more = {}) {
    if (!held.holding()) return {0, gup_stop::error, errc::lock_not_held, lock_fate::lost};
    auto const added = How == holding::pin ? more : more.with(gup_flag::touch);
    auto const call = [&] {
        return run_slow<P>(mm, me,
                           {span, flags, out.held_as(How), out.pages(), lock_entry::held_by_caller},
                           added, lock_fate::kept, [&](auto& driver) { driver.keeping(held); });
    };
    if constexpr (MovesLongterm<Mm>) {
        if (!is_longterm(flags, out.held_as(How))) return call();
        return pin_where_it_may_stay(mm, out.pages(), call, [&](auto pages, lock_fate) {
            return longterm_mover<Mm>::move_held(held, mm, me, span, pages);
        });
    } else {
        return call();
    }
}

/// A call that may begin with the lock held, and goes on without once it is lost.
template<GupProfile P, class Mm, class Cpu, class L>
[[nodiscard]] constexpr gup_result held_or_own(Mm& mm, Cpu& me, lock_authority<L>& authority,
                                               gup_call call, gup_flags added) {
    if (auto permission = authority.permission()) {
        return run_slow<P>(mm, me, call, added, lock_fate::kept,
                           [&](auto& driver) { driver.dropping(*std::move(permission)); });
    }
    call.entry = lock_entry::own;
    auto answer = run_slow<P>(mm, me, call, added, lock_fate::lost, [](auto&) {});
    answer.lock = lock_fate::lost;
    return answer;
}

template<holding How, GupProfile P, class Mm, class Cpu, class L>
[[nodiscard]] constexpr gup_result maybe_lose_lock(Mm& mm, Cpu& me, droppable<L> permission,
                                                   page_span span, gup_flags flags, gup_output out,
                                                   gup_flags more = {}) {
    if (!permission.holding()) return {0, gup_stop::error, errc::lock_not_held, lock_fate::lost};
    auto authority = lock_authority<L>::may_drop(std::move(permission));
    gup_call const wanted{span, flags, out.held_as(How), out.pages(), lock_entry::held_by_caller};
    auto const call = [&] {
        return held_or_own<P>(mm, me, authority, wanted,
                              more.with({gup_flag::touch, gup_flag::unlockable}));
    };
    if constexpr (MovesLongterm<Mm>) {
        if (!is_longterm(flags, wanted.how)) return call();
        return pin_where_it_may_stay(mm, out.pages(), call, [&](auto pages, lock_fate lock) {
            using mover = longterm_mover<Mm>;
            return lock == lock_fate::kept
                       ? mover::move_held(authority.held(), mm, me, span, pages)
                       : mover::move_under_lock(mm, me, span, pages);
        });
    } else {
        return call();
    }
}

template<holding How, GupProfile P, class Mm, class Cpu>
[[nodiscard]] constexpr gup_result own_lock(Mm& mm, Cpu& me, page_span span, gup_flags flags,
                                            gup_output out, gup_flags more = {}) {
    auto const call = [&] {
        return run_slow<P>(mm, me, {span, flags, out.held_as(How), out.pages(), lock_entry::own},
                           more.with({gup_flag::touch, gup_flag::unlockable}),
                           lock_fate::never_held, [](auto&) {});
    };
    if constexpr (MovesLongterm<Mm>) {
        if (!is_longterm(flags, out.held_as(How))) return call();
        return pin_where_it_may_stay(mm, out.pages(), call, [&](auto pages, lock_fate) {
            return longterm_mover<Mm>::move_under_lock(mm, me, span, pages);
        });
    } else {
        return call();
    }
}

template<class...>
inline constexpr bool always_refused = false;

}  // namespace detail

/// Holds the pages of `span` under the caller's mm lock, which stays held whatever happens
/// (get_user_pages).
///
/// `mm`: a composition or an address space. `held`: proof that its lock is held shared. Returns how
/// many pages from the start are held now, each with one reference; the caller releases them
/// (put_pages, pinned). A fault that would have to drop the lock is bad_address. Errors:
/// invalid_argument (illegal flags, output too short), lock_not_held, bad_address, no_memory,
/// interrupted (fatal signal), exists, hardware_poison: gup-semantics §1.2.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu, class L>
constexpr gup_result gup(Mm& mm, Cpu& me, held_shared<L> const& held, page_span span,
                         gup_flags flags, gup_output out) {
    return detail::keep_lock<holding::reference, P>(mm, me, held, span, flags, out);
}

/// gup() with pins (pin_user_pages). Illegal flags are answered with 0 pages, as Linux does.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu, class L>
constexpr gup_result pin(Mm& mm, Cpu& me, held_shared<L> const& held, page_span span,
                         gup_flags flags, gup_output out) {
    return detail::keep_lock<holding::pin, P>(mm, me, held, span, flags, out);
}

/// Does not compile: gup() promises to keep the lock, so permission to drop it is a
/// misunderstanding.
template<GupProfile P = linux_6_18, class Mm, class Cpu, class L>
gup_result gup(Mm&, Cpu&, droppable<L>, page_span, gup_flags, gup_output) {
    static_assert(detail::always_refused<L>,
                  "mmhold: gup() never gives up the mm lock; call gup_locked() if you may lose it");
    return {};
}

/// Does not compile, as gup().
template<GupProfile P = linux_6_18, class Mm, class Cpu, class L>
gup_result pin(Mm&, Cpu&, droppable<L>, page_span, gup_flags, gup_output) {
    static_assert(detail::always_refused<L>,
                  "mmhold: pin() never gives up the mm lock; call pin_locked() if you may lose it");
    return {};
}

/// Holds the pages of `span`; entered with the mm lock held shared, which may be lost on the way
/// (get_user_pages_locked; today get_user_pages_remote with `locked`).
///
/// `permission`: may_drop(held). Afterwards `held.holding()` and the result's `lock` say the same:
/// kept – never released – or lost. It is never re-taken in silence (§2.4 step 7). A fault that
/// must wait drops the lock; each page is retried as the profile says. Errors as gup(), and
/// interrupted when killed while waiting.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu, class L>
constexpr gup_result gup_locked(Mm& mm, Cpu& me, droppable<L> permission, page_span span,
                                gup_flags flags, gup_output out) {
    return detail::maybe_lose_lock<holding::reference, P>(mm, me, std::move(permission), span,
                                                          flags, out);
}

/// gup_locked() with pins.
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu, class L>
constexpr gup_result pin_locked(Mm& mm, Cpu& me, droppable<L> permission, page_span span,
                                gup_flags flags, gup_output out) {
    return detail::maybe_lose_lock<holding::pin, P>(mm, me, std::move(permission), span, flags,
                                                    out);
}

/// Holds the pages of `span`; takes the mm lock itself and gives it back (get_user_pages_unlocked).
///
/// Lock before and after: not held by the caller (holding it shared already may deadlock behind a
/// waiting writer). Errors as gup_locked(); `again` if the very first taking of the lock was
/// interrupted (§1.2).
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result gup_unlocked(Mm& mm, Cpu& me, page_span span, gup_flags flags,
                                  gup_output out) {
    return detail::own_lock<holding::reference, P>(mm, me, span, flags, out);
}

/// gup_unlocked() with pins (pin_user_pages_unlocked).
template<GupProfile P = linux_6_18, GupTarget Mm, class Cpu>
constexpr gup_result pin_unlocked(Mm& mm, Cpu& me, page_span span, gup_flags flags,
                                  gup_output out) {
    return detail::own_lock<holding::pin, P>(mm, me, span, flags, out);
}

}  // namespace mmhold
