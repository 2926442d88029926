// SPDX-License-Identifier: BSL-1.0
#pragma once

// Holding is a type.
//
//   held_shared<L>      "I hold this lock": made by taking it, gone with it; moved, never copied.
//   held_exclusive<L>   the same for an exclusive hold.
//   lock_dropped<L>     "this lock was given up": made by giving it up and by nothing else.
//   droppable<L>        "you may give my lock up": made by the holder, for a callee.
//   lock_authority<L>   what a callee is told about the caller's lock: that it is held, and perhaps
//                       that it may be dropped.
//
// Holder   takes the lock; passes the witness by const reference to whatever needs the lock held;
//          passes may_drop(witness) to whatever may lose it; afterwards asks witness.holding().
// Callee   with a witness: relies on the lock. With a droppable: drop()s it before it waits and
//          returns the proof in its answer. An answer that says "the lock is gone" cannot be built
//          without the proof.
//
// A witness that was moved from or gave its lock up still exists; holding() tells. The algorithms
// of the library answer errc::lock_not_held to one that holds nothing. One thread per witness.

#include <mmhold/lock/mm_lock.hpp>
#include <mmhold/machine/order.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/result.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace mmhold {

template<class L>
class held_shared;
template<class L>
class held_exclusive;

namespace detail {

/// A witness was asked for a lock it does not hold. Not constexpr: in constant evaluation the name
/// is the diagnosis.
inline void this_witness_no_longer_holds_its_lock() noexcept { __builtin_trap(); }

template<class L, lock_mode Mode>
class witness;

}  // namespace detail

/// Proof that `L` was given up. Move-only; nothing but give_up() and droppable::drop() makes one.
template<class L>
class [[nodiscard]] lock_dropped {
public:
    using lock_type = L;

    lock_dropped() = delete;             // mmhold: only give_up() and drop() make this proof
    explicit lock_dropped(L&) = delete;  // mmhold: only give_up() and drop() make this proof
    template<lock_mode Mode>
    explicit lock_dropped(detail::witness<L, Mode> const&) = delete;  // mmhold: still held
    lock_dropped(lock_dropped const&) = delete;             // mmhold: one drop, one proof: move it
    lock_dropped& operator=(lock_dropped const&) = delete;  // mmhold: one drop, one proof: move it
    constexpr lock_dropped(lock_dropped&& other) noexcept
        : lock_{std::exchange(other.lock_, nullptr)} {}
    constexpr lock_dropped& operator=(lock_dropped&& other) noexcept {
        lock_ = std::exchange(other.lock_, nullptr);
        return *this;
    }
    constexpr ~lock_dropped() = default;

    /// Is this the proof for `lock`? False after it was moved from.
    [[nodiscard]] constexpr bool of(L const& lock) const noexcept {
        return lock_ == std::addressof(lock);
    }

    /// The lock that was given up, for taking it again. Precondition: not moved from (else the
    /// program stops).
    [[nodiscard]] constexpr L& lock() const noexcept {
        if (lock_ == nullptr) detail::this_witness_no_longer_holds_its_lock();
        return *lock_;
    }

private:
    template<class, lock_mode>
    friend class detail::witness;
    struct given_up {};
    constexpr lock_dropped(given_up, L& lock) noexcept : lock_{std::addressof(lock)} {}

    L* lock_;
};

namespace detail {

/// What both witnesses are: one hold of one lock, given back at the end.
template<class L, lock_mode Mode>
class [[nodiscard]] witness {
public:
    using lock_type = L;
    static constexpr lock_mode mode = Mode;

    witness(witness const&) = delete;
    witness& operator=(witness const&) = delete;

    /// Does this witness (still) hold its lock? False after give_up() and after being moved from.
    [[nodiscard]] constexpr bool holding() const noexcept { return lock_ != nullptr; }

    /// Does it hold precisely this lock?
    [[nodiscard]] constexpr bool guards(L const& lock) const noexcept {
        return lock_ == std::addressof(lock);
    }

    /// The lock that is held. Precondition: holding() (else the program stops).
    [[nodiscard]] constexpr L& lock() const noexcept {
        require_holding();
        return *lock_;
    }

    /// Unlocks now and answers with the proof. Precondition: holding() (else the program stops).
    ///
    /// Lock before: held by this witness. After: not held, holding() is false; whatever was looked
    /// up under it (vmas!) must be looked up again.
    constexpr lock_dropped<L> give_up() {
        require_holding();
        L& lock = *lock_;
        release();
        return {typename lock_dropped<L>::given_up{}, lock};
    }

protected:
    constexpr explicit witness(L& lock) noexcept : lock_{std::addressof(lock)} {}
    constexpr witness(witness&& other) noexcept : lock_{std::exchange(other.lock_, nullptr)} {}
    constexpr witness& operator=(witness&& other) {
        if (this != &other) {
            release();
            lock_ = std::exchange(other.lock_, nullptr);
        }
        return *this;
    }
    constexpr ~witness() { release(); }

    /// Lets go of the lock without unlocking: somebody else answers for it now.
    constexpr L& disown() noexcept {
        require_holding();
        return *std::exchange(lock_, nullptr);
    }

private:
    constexpr void require_holding() const noexcept {
        if (lock_ == nullptr) this_witness_no_longer_holds_its_lock();
    }
    constexpr void release() {
        L* const lock = std::exchange(lock_, nullptr);
        if (lock == nullptr) return;
        if constexpr (Mode == lock_mode::shared) {
            lock->unlock_shared();
        } else {
            lock->unlock();
        }
    }

    L* lock_;
};

}  // namespace detail

/// "I hold L shared." Unlocks when it goes out of scope, if it still holds.
template<class L>
class [[nodiscard]] held_shared : public detail::witness<L, lock_mode::shared> {
    static_assert(require_shared_try_lock<L>());
    using base = detail::witness<L, lock_mode::shared>;

public:
    held_shared(held_shared const&) = delete;             // mmhold: a witness is moved, not copied
    held_shared& operator=(held_shared const&) = delete;  // mmhold: a witness is moved, not copied
    held_shared(lock_dropped<L> const&) = delete;  // mmhold: given up: acquire it again
    constexpr held_shared(held_shared&&) noexcept = default;
    constexpr held_shared& operator=(held_shared&&) = default;
    constexpr ~held_shared() = default;

    /// Waits for the lock. Lock before: not held by the caller; after: held shared.
    static constexpr held_shared acquire(L& lock) requires SharedLockable<L> {
        lock.lock_shared();
        return held_shared{lock};
    }
    static held_shared acquire(L&)
        requires(!SharedLockable<L>) = delete;  // mmhold: cannot wait: use try_acquire()

    /// Waits for the lock or for a signal that `mode` admits. errc::interrupted: not held.
    template<Machine M>
    static constexpr result<held_shared> acquire(L& lock, task<M>& waiter, wait_mode mode)
        requires InterruptibleMmLock<L>
    {
        if (auto const taken = lock.lock_shared(waiter, mode); !taken) return taken.error();
        return held_shared{lock};
    }

    /// Takes the lock if that needs no waiting.
    [[nodiscard]] static constexpr std::optional<held_shared> try_acquire(L& lock) {
        if (!lock.try_lock_shared()) return std::nullopt;
        return std::optional<held_shared>{held_shared{lock}};
    }

    /// Answers for a shared hold the caller already has: this witness gives it back.
    static constexpr held_shared adopt(L& lock) noexcept { return held_shared{lock}; }

private:
    constexpr explicit held_shared(L& lock) noexcept : base{lock} {}
};

/// "I hold L exclusively." Unlocks when it goes out of scope, if it still holds.
template<class L>
class [[nodiscard]] held_exclusive : public detail::witness<L, lock_mode::exclusive> {
    static_assert(require_mm_lock<L>());
    using base = detail::witness<L, lock_mode::exclusive>;

public:
    held_exclusive(held_exclusive const&) = delete;  // mmhold: a witness is moved, not copied
    held_exclusive& operator=(held_exclusive const&) = delete;  // mmhold: ... not copied
    held_exclusive(lock_dropped<L> const&) = delete;  // mmhold: given up: acquire it again
    held_exclusive(held_shared<L> const&) = delete;   // mmhold: a shared hold cannot be upgraded
    constexpr held_exclusive(held_exclusive&&) noexcept = default;
    constexpr held_exclusive& operator=(held_exclusive&&) = default;
    constexpr ~held_exclusive() = default;

    /// Waits for the lock. Lock before: not held by the caller; after: held exclusively.
    static constexpr held_exclusive acquire(L& lock) requires ExclusiveLockable<L> {
        lock.lock();
        return held_exclusive{lock};
    }
    static held_exclusive acquire(L&)
        requires(!ExclusiveLockable<L>) = delete;  // mmhold: cannot wait: use try_acquire()

    /// Waits for the lock or for a signal that `mode` admits. errc::interrupted: not held.
    template<Machine M>
    static constexpr result<held_exclusive> acquire(L& lock, task<M>& waiter, wait_mode mode)
        requires InterruptibleMmLock<L>
    {
        if (auto const taken = lock.lock(waiter, mode); !taken) return taken.error();
        return held_exclusive{lock};
    }

    /// Takes the lock if that needs no waiting.
    [[nodiscard]] static constexpr std::optional<held_exclusive> try_acquire(L& lock) {
        if (!lock.try_lock()) return std::nullopt;
        return std::optional<held_exclusive>{held_exclusive{lock}};
    }

    /// Answers for an exclusive hold the caller already has: this witness gives it back.
    static constexpr held_exclusive adopt(L& lock) noexcept { return held_exclusive{lock}; }

    /// Exclusive becomes shared with no exclusive holder in between; this witness is empty then.
    constexpr held_shared<L> downgrade() && requires Downgradable<L> {
        base::lock().downgrade();
        return held_shared<L>::adopt(base::disown());
    }
    held_shared<L> downgrade() &&
        requires(!Downgradable<L>) = delete;  // mmhold: this lock cannot downgrade

private:
    constexpr explicit held_exclusive(L& lock) noexcept : base{lock} {}
};

namespace detail {
template<class W>
inline constexpr bool is_witness = false;
template<class L>
inline constexpr bool is_witness<held_shared<L>> = true;
template<class L>
inline constexpr bool is_witness<held_exclusive<L>> = true;
}  // namespace detail

/// Any witness that a lock is held: held_shared or held_exclusive, by value or reference.
template<class W>
concept LockWitness = detail::is_witness<std::remove_cvref_t<W>>;

/// A witness that a lock of type `L` is held.
template<class W, class L>
concept WitnessOf =
    LockWitness<W> && std::same_as<typename std::remove_cvref_t<W>::lock_type, L>;

template<class L>
class droppable;
template<class L>
class lock_authority;

/// Permits a callee to give `held` up. `held` must outlive the permission and stay where it is.
template<class L>
[[nodiscard]] constexpr droppable<L> may_drop(held_shared<L>& held) noexcept {
    return droppable<L>{held};
}
template<class L>
droppable<L> may_drop(held_shared<L> const&) = delete;  // mmhold: a const witness stays held
template<class L>
droppable<L> may_drop(held_shared<L> const&&) = delete;  // mmhold: nobody would see the drop

/// Permission to give somebody's shared hold up. Refers to the holder's witness, so the holder sees
/// the drop.
template<class L>
class [[nodiscard]] droppable {
public:
    droppable(droppable const&) = delete;  // mmhold: one permission, one drop: move it
    droppable& operator=(droppable const&) = delete;  // mmhold: one permission, one drop: move it
    constexpr droppable(droppable&&) noexcept = default;
    constexpr droppable& operator=(droppable&&) noexcept = default;
    constexpr ~droppable() = default;

    /// Is there still something to give up?
    [[nodiscard]] constexpr bool holding() const noexcept { return held_->holding(); }

    /// The witness, for callees that need the lock held until then.
    [[nodiscard]] constexpr held_shared<L> const& held() const noexcept { return *held_; }

    /// Unlocks; the holder's witness holds nothing from now on. Precondition: holding().
    constexpr lock_dropped<L> drop() { return held_->give_up(); }

private:
    friend class lock_authority<L>;
    friend constexpr droppable may_drop<L>(held_shared<L>& held) noexcept;
    constexpr explicit droppable(held_shared<L>& held) noexcept : held_{&held} {}

    held_shared<L>* held_;
};

/// What a fault handler is told about its caller's lock: it is held, and perhaps may be given up.
///
/// `keep` is gup() and every other caller that cannot lose the lock; `may_drop` is what
/// fault_flag::allow_retry promises (gup-semantics §2.1).
template<class L>
class lock_authority {
public:
    /// The callee may rely on the lock and must not drop it.
    [[nodiscard]] static constexpr lock_authority keep(held_shared<L> const& held) noexcept {
        return {held, nullptr};
    }
    static lock_authority keep(held_shared<L> const&&) = delete;  // mmhold: must outlive the call

    /// The callee may rely on the lock until it drops it.
    [[nodiscard]] static constexpr lock_authority may_drop(droppable<L> permission) noexcept {
        return {permission.held(), permission.held_};
    }

    /// The caller's witness; ask it holding().
    [[nodiscard]] constexpr held_shared<L> const& held() const noexcept { return *held_; }

    /// The permission to drop; empty if the caller keeps the lock, or once it was dropped.
    [[nodiscard]] constexpr std::optional<droppable<L>> permission() const noexcept {
        if (droppable_ == nullptr || !droppable_->holding()) return std::nullopt;
        return mmhold::may_drop(*droppable_);
    }

private:
    constexpr lock_authority(held_shared<L> const& held, held_shared<L>* droppable) noexcept
        : held_{&held}, droppable_{droppable} {}

    held_shared<L> const* held_;
    held_shared<L>* droppable_;  // the same witness, or nullptr: keep
};

}  // namespace mmhold
