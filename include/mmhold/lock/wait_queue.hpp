// SPDX-License-Identifier: BSL-1.0
#pragma once

// wait_queue – the line in front of a lock: first come, first served.
//
// A place in the line is a node on the waiter's stack: waiting allocates nothing and cannot fail.
// The price is a rule about lifetimes: a waiter may only return once nobody will touch its node or
// its task any more.
//
// Waiter    guard → look whether the lock can be had after all → prepare → join → unguard → wait()
// Granter   guard → decide → grant_first(), which takes the node out of the line → unguard → wake()
// Leaver    a waiter with a signal: guard → not granted? take the own node out, grant those who
//           stood behind it and may go now → unguard. Granted meanwhile? Then it has the lock.
//
// No wake-up is lost: a node is granted under the guard, and its wake follows. The waiter goes back
// to sleep only after it saw, under the guard, that it was not granted; and it forgets earlier
// wakes before it lets go of the guard.
// No waker touches a dead node: it wakes outside the guard (a wake can be a system call), and its
// last access is the store of `forgotten`, for which the granted waiter polls.

#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/machine/machine.hpp>
#include <mmhold/machine/task.hpp>
#include <mmhold/vocab/result.hpp>

#include <cstddef>
#include <cstdint>

namespace mmhold {

/// Tasks in line, with what each of them wants. Says who is next; the lock it belongs to says when.
template<Machine M = host_machine>
class wait_queue {
public:
    /// The proof that the caller holds guard().
    using guarded = spin_guard<M>;

    /// A place in the line. Lives from before join() until wait() has returned, and does not move.
    class node {
    public:
        /// A place for `sleeper`, which wants a hold of that mode; not in line yet.
        constexpr node(task<M>& sleeper, lock_mode wanted) noexcept
            : sleeper_{&sleeper}, wanted_{wanted} {}
        node(node const&) = delete;
        node& operator=(node const&) = delete;
        constexpr ~node() = default;

        /// What its task stands in line for.
        [[nodiscard]] constexpr lock_mode wanted() const noexcept { return wanted_; }

    private:
        friend wait_queue;
        using link = typename M::template plain<node*>;

        task<M>* const sleeper_;
        lock_mode const wanted_;
        link next_{nullptr};      // guarded by guard(); once granted: the waker's
        link previous_{nullptr};  // guarded by guard()
        typename M::template plain<bool> granted_{false};              // guarded by guard()
        typename M::template atomic<std::uint32_t> forgotten_{0};  // 1: no waker knows us
    };

    /// Nodes that were granted under one guard and are to be woken after it.
    class granted {
    public:
        constexpr granted() noexcept = default;

    private:
        friend wait_queue;
        node* first_{nullptr};
        node* last_{nullptr};
    };

    /// Guards the line. Innermost: nothing is waited for while it is held.
    [[nodiscard]] constexpr spin_lock<M>& guard() noexcept { return guard_; }

    /// Is nobody in line?
    [[nodiscard]] constexpr bool empty(guarded const&) const noexcept {
        return head_.get() == nullptr;
    }

    /// How many are in line.
    [[nodiscard]] constexpr std::size_t length(guarded const&) const noexcept {
        return length_.get();
    }

    /// What the first in line wants. Precondition: not empty().
    [[nodiscard]] constexpr lock_mode first_wants(guarded const&) const noexcept {
        return head_.get()->wanted();
    }

    /// Gets in line, last. Its task was prepared (task::prepare_to_wait) before.
    constexpr void join(node& newcomer, guarded const&) noexcept {
        node* const last = tail_.get();
        newcomer.previous_.set(last);
        if (last == nullptr) {
            head_.set(&newcomer);
        } else {
            last->next_.set(&newcomer);
        }
        tail_.set(&newcomer);
        length_.set(length_.get() + 1);
    }

    /// Takes the first out of the line, into `list`: the caller has given it what it wanted.
    /// Precondition: not empty().
    constexpr void grant_first(granted& list, guarded const& held) noexcept {
        node* const lucky = head_.get();
        take_out(*lucky, held);
        lucky->next_.set(nullptr);
        lucky->granted_.set(true);
        if (list.last_ == nullptr) {
            list.first_ = lucky;
        } else {
            list.last_->next_.set(lucky);
        }
        list.last_ = lucky;
    }

    /// Wakes everyone on `list` and forgets them. Without the guard, once per list.
    constexpr void wake(granted const& list) noexcept {
        for (node* lucky = list.first_; lucky != nullptr;) {
            node* const next = lucky->next_.get();
            lucky->sleeper_->wake();
            // (wait_queue.forget) release: our accesses to the node end before its owner's return;
            // pairs with (wait_queue.forgotten). Nothing touches `lucky` after this.
            lucky->forgotten_.store(1, release("wait_queue.forget"));
            lucky = next;
        }
    }

    /// Sleeps until granted (success), or until a signal that `mode` admits (interrupted).
    ///
    /// `left(guarded const&) -> granted` is called after `me` left the line without a grant: it
    /// grants whoever may go now. After wait() nobody knows `me` or its task. Guard before and
    /// after: not held by the caller.
    template<class Left>
    constexpr result<void> wait(node& me, wait_mode mode, Left left) noexcept {
        for (;;) {
            me.sleeper_->wait(mode);
            switch (look_around(me, mode, left)) {
                case verdict::granted: return await_forgotten(me);
                case verdict::interrupted: return errc::interrupted;
                case verdict::keep_waiting: break;
            }
        }
    }

private:
    enum class verdict : std::uint8_t { granted, interrupted, keep_waiting };

    template<class Left>
    constexpr verdict look_around(node& me, wait_mode mode, Left& left) noexcept {
        granted behind_me;
        {
            guarded const held{guard_};
            if (me.granted_.get()) return verdict::granted;
            if (!me.sleeper_->signal_pending(mode)) {
                me.sleeper_->prepare_to_wait();
                return verdict::keep_waiting;
            }
            take_out(me, held);
            behind_me = left(held);
        }
        wake(behind_me);
        return verdict::interrupted;
    }

    constexpr result<void> await_forgotten(node const& me) noexcept {
        // (wait_queue.forgotten) acquire: the waker is through with our node and task; pairs with
        // (wait_queue.forget). Polled: the waker must not touch the word once more to notify.
        (void)M::poll(me.forgotten_, [](std::uint32_t yes) { return yes != 0; },
                      acquire("wait_queue.forgotten"));
        return {};
    }

    constexpr void take_out(node& gone, guarded const&) noexcept {
        node* const before = gone.previous_.get();
        node* const after = gone.next_.get();
        if (before == nullptr) {
            head_.set(after);
        } else {
            before->next_.set(after);
        }
        if (after == nullptr) {
            tail_.set(before);
        } else {
            after->previous_.set(before);
        }
        length_.set(length_.get() - 1);
    }

    spin_lock<M> guard_;
    typename M::template plain<std::uint32_t> length_{0};  // guarded by guard_
    typename M::template plain<node*> head_{nullptr};      // guarded by guard_
    typename M::template plain<node*> tail_{nullptr};      // guarded by guard_
};

}  // namespace mmhold
