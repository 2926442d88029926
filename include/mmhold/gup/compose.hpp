// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/fault/fault_handler.hpp>
#include <mmhold/gup/profile.hpp>
#include <mmhold/lock/held.hpp>
#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/observe/null_observer.hpp>
#include <mmhold/observe/observer.hpp>
#include <mmhold/walk/page_walker.hpp>

#include <type_traits>

namespace mmhold {

/// In place of a lockless walker where there is none.
struct no_fast_walker {};

/// The cards – a lock, a fault handler, a walker – put together; all that gup needs to know of an
/// address space.
///
/// Made by compose(). Holds references: the parts outlive it. Walkers and handler serve one actor
/// at a time (they are cheap views of the address space); the lock and the observer are shared.
template<class L, class H, PageWalker W, class F = no_fast_walker, Observer O = null_observer>
struct composition {
    static_assert(SharedTryLockable<L>,
                  "mmhold: gup holds the mm lock for reading: it must offer try_lock_shared() and "
                  "unlock_shared()");
    static_assert(FaultHandler<H, L>,
                  "mmhold: the fault handler must answer handle(fault_request, lock_authority<L>&, "
                  "cpu&) with a "
                  "fault_outcome<L, machine> for this lock");
    static_assert(WalkStepper<W, held_shared<L> const>,
                  "mmhold: the walker must walk under held_shared of this very lock");
    using lock_type = L;
    using handler_type = H;
    using walker_type = W;
    using fast_walker_type = F;
    using machine = typename H::machine;
    using cpu_type = typename H::cpu_type;

    L& lock;
    H& handler;
    W& walker;
    F& fast_walker;
    O& observer;

    /// The same parts, watched by `watcher`.
    template<Observer Other>
    [[nodiscard]] constexpr composition<L, H, W, F, Other> observed_by(
        Other& watcher) const noexcept {
        return {lock, handler, walker, fast_walker, watcher};
    }
};

namespace detail {
inline constinit no_fast_walker nobody_walks_fast{};
inline constinit null_observer nobody_watches{};

template<class T>
inline constexpr bool is_composition = false;
template<class L, class H, class W, class F, class O>
inline constexpr bool is_composition<composition<L, H, W, F, O>> = true;
}  // namespace detail

/// Puts the three cards together.
template<class L, class H, PageWalker W>
[[nodiscard]] constexpr composition<L, H, W> compose(L& lock, H& handler, W& walker) noexcept {
    return {lock, handler, walker, detail::nobody_walks_fast, detail::nobody_watches};
}

/// And the lockless walker beside them, which gup_fast wants.
template<class L, class H, PageWalker W, LocklessWalker F>
[[nodiscard]] constexpr composition<L, H, W, F> compose(L& lock, H& handler, W& walker,
                                                        F& fast_walker) noexcept {
    return {lock, handler, walker, fast_walker, detail::nobody_watches};
}

/// Something compose() made.
template<class T>
concept Composed = detail::is_composition<T>;

/// Something compose() made with a lockless walker in it.
template<class T>
concept FastComposed = Composed<T> && LocklessWalker<typename T::fast_walker_type>;

/// How the gup functions get at the parts of whatever they are called with, for a kernel `Profile`.
/// Specialise it for an address space of your own: a class made from (space, cpu) whose composed()
/// is the composition; it lives for one call, on the stack. For a composition it is just that.
template<class Mm, class Profile = linux_6_18>
struct gup_parts;

/// A composition is its own parts, whatever the profile: its walkers have been chosen already.
template<Composed Mm, class Profile>
struct gup_parts<Mm, Profile> {
    constexpr gup_parts(Mm const& mm, typename Mm::cpu_type&) noexcept : mm_{mm} {}
    /// The composition; it outlives this.
    [[nodiscard]] constexpr Mm const& composed() const noexcept { return mm_; }

private:
    Mm const& mm_;
};

/// Anything gup can work on: a composition, or an address space for which gup_parts is specialised.
template<class Mm>
concept GupTarget = requires { sizeof(gup_parts<std::remove_const_t<Mm>, linux_6_18>); };

}  // namespace mmhold
