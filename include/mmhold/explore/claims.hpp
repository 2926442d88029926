// SPDX-License-Identifier: BSL-1.0
#pragma once

// claims: protocol automata – what each actor has said it may use (M::note), and whether it still
// may when it does.
//
// They fire in every execution that breaks the rule, not only in the unlucky one where somebody
// else was quick: a vma used after the hold it was found under counts, whether or not a writer
// came in between. Three automata, each per actor:
//   holds       a hold of a lock begins with the first lock_taken and ends with the lock_given that
//               leaves none; what was found under one hold is worth nothing under the next.
//   references  so many taken, so many given back; after the last one, hands off. An actor that
//               never took one is not judged: it may stand on a lock or on somebody else's.
//   interrupts  off and on in pairs; in between nobody may sleep, even if he would not have to.

#include <mmhold/explore/clock.hpp>
#include <mmhold/machine/order.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mmhold {

namespace detail {

/// A point of an execution: after how many steps, and as a moment of its actor (for marking).
struct instant {
    int step{-1};
    std::uint32_t moment{0};
};

/// What the actors of one execution have claimed.
class claim_ledger {
public:
    /// One uninterrupted hold of one lock by one actor.
    struct hold {
        void const* lock{nullptr};
        process actor{0};
        int depth{0};  // 0: over
        instant begin{};
        instant end{};
    };
    /// What is left of an actor's right to use an object.
    struct reference {
        void const* object{nullptr};
        process actor{0};
        std::uint64_t count{0};
        instant given{};  // step -1: never
    };
    /// An actor with interrupts off.
    struct section {
        int depth{0};
        instant begin{};
    };

    void begin_execution() noexcept {
        holds_.clear();
        found_.clear();
        references_.clear();
        for (auto& s : sections_) s = section{};
        for (auto& w : wanted_) w.clear();
    }

    // ---- holds ----

    void lock_taken(process actor, void const* lock, instant now) {
        not_wanted(actor, lock);
        if (hold* const mine = current(actor, lock); mine != nullptr) {
            ++mine->depth;
        } else {
            holds_.push_back({lock, actor, 1, now, {}});
        }
    }
    void lock_given(process actor, void const* lock, instant now) noexcept {
        hold* const mine = current(actor, lock);
        if (mine != nullptr && --mine->depth == 0) mine->end = now;
    }
    /// `object` was found under the present hold of `lock`. Without one nothing is known about it.
    void found_under(process actor, void const* object, void const* lock) {
        for (std::size_t i = 0; i < found_.size(); ++i) {
            if (found_[i].object != object || found_[i].actor != actor) continue;
            found_[i] = found_.back();
            found_.pop_back();
            break;
        }
        hold* const mine = current(actor, lock);
        if (mine != nullptr)
            found_.push_back({object, actor, static_cast<std::size_t>(mine - holds_.data())});
    }
    /// The hold under which the actor found the object, if that hold is over; nullptr: nothing is
    /// wrong.
    [[nodiscard]] hold const* outlived(process actor, void const* object) const noexcept {
        for (auto const& f : found_) {
            if (f.object != object || f.actor != actor) continue;
            return holds_[f.hold].depth == 0 ? &holds_[f.hold] : nullptr;
        }
        return nullptr;
    }
    /// The present hold; nullptr: none.
    [[nodiscard]] hold const* held_now(process actor, void const* lock) const noexcept {
        for (auto const& h : holds_) {
            if (h.lock == lock && h.actor == actor && h.depth != 0) return &h;
        }
        return nullptr;
    }

    // ---- locks that are waited for ----

    /// While it waits for one lock an actor may take and give others: the guard of a queue.
    void wants(process actor, void const* lock) { wanted_[actor].push_back(lock); }
    void not_wanted(process actor, void const* lock) noexcept {
        auto& mine = wanted_[actor];
        while (!mine.empty() && mine.back() == lock) mine.pop_back();
    }
    /// What it wants now; nullptr: no lock.
    [[nodiscard]] void const* wanted(process actor) const noexcept {
        return wanted_[actor].empty() ? nullptr : wanted_[actor].back();
    }

    // ---- references ----

    void reference_taken(process actor, void const* object, std::uint64_t n) {
        for (auto& r : references_) {
            if (r.object != object || r.actor != actor) continue;
            r.count += n;
            return;
        }
        references_.push_back({object, actor, n, {}});
    }
    void reference_given(process actor, void const* object, std::uint64_t n, instant now) noexcept {
        for (auto& r : references_) {
            if (r.object != object || r.actor != actor || r.count == 0) continue;
            r.count = r.count > n ? r.count - n : 0;
            if (r.count == 0) r.given = now;
        }
    }
    /// The actor's lost reference to the object; nullptr: it has one, or never had.
    [[nodiscard]] reference const* lost(process actor, void const* object) const noexcept {
        for (auto const& r : references_) {
            if (r.object == object && r.actor == actor && r.count == 0 && r.given.step >= 0)
                return &r;
        }
        return nullptr;
    }
    /// The references were handed to somebody else (a page table entry): no more, and not lost.
    void reference_passed(process actor, void const* object, std::uint64_t n) noexcept {
        for (auto& r : references_) {
            if (r.object != object || r.actor != actor) continue;
            r.count = r.count > n ? r.count - n : 0;
            if (r.count == 0) r.given = {};
        }
    }

    // ---- interrupts ----

    void interrupts_off(process actor, instant now) noexcept {
        if (sections_[actor].depth++ == 0) sections_[actor].begin = now;
    }
    /// False: they were on.
    [[nodiscard]] bool interrupts_on(process actor) noexcept {
        if (sections_[actor].depth == 0) return false;
        --sections_[actor].depth;
        return true;
    }
    /// Since when they are off; nullptr: they are on.
    [[nodiscard]] section const* off(process actor) const noexcept {
        return sections_[actor].depth != 0 ? &sections_[actor] : nullptr;
    }

private:
    struct found {
        void const* object;
        process actor;
        std::size_t hold;
    };
    [[nodiscard]] hold* current(process actor, void const* lock) noexcept {
        return const_cast<hold*>(held_now(actor, lock));
    }

    std::vector<hold> holds_{};
    std::vector<found> found_{};
    std::vector<reference> references_{};
    section sections_[max_actors]{};
    std::vector<void const*> wanted_[max_actors];
};

}  // namespace detail

}  // namespace mmhold
