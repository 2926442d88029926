// SPDX-License-Identifier: BSL-1.0
#pragma once

// scheduler: runs the actors of one execution on fibers, one step at a time, in the order the
// search chooses.
//
// Actor   announces its next operation → hands control to whoever the search chooses → performs the
//         operation when it is its turn → continues to the next operation. Code between operations
//         runs undisturbed.
// Buffer  drains one store; needs no fiber: whoever is in control does it.
// Director  builds the scenario, starts the actors, and – if all of them end – finishes and
// destroys it. A finding, a deadlock or an execution that is known already is left by switching to
// the host and never back.

#include <mmhold/explore/execution.hpp>
#include <mmhold/explore/fiber.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// Stacks are dear to make and cheap to keep: one pool per host thread.
[[nodiscard]] inline fiber_stack& pooled_stack(std::size_t number) {
    static thread_local std::vector<std::unique_ptr<fiber_stack>> pool;
    while (pool.size() <= number) pool.push_back(std::make_unique<fiber_stack>());
    return *pool[number];
}

class scheduler : protected execution {
public:
    scheduler(scheduler const&) = delete;
    scheduler& operator=(scheduler const&) = delete;

    /// Records every step of what follows, for a story.
    void tell(story* listener) noexcept { story_ = listener; }
    [[nodiscard]] search& choices() noexcept { return search_; }
    /// Notes the order of locks where other workers do.
    void share_lock_order(shared_lock_order& all) noexcept { shared_order_ = &all; }

    /// Runs one execution from construction to its end.
    [[nodiscard]] ending run_one() {
        begin();
        ending_ = ending::running;
        started_ = 0;
        everybody_started_ = false;
        any_cut_ = false;
        on_ = &host_;
        director_.create(*stacks_[0], &direct, this);
        go(director_);
        phase_ = phase::outside;
        return ending_;
    }
    [[nodiscard]] finding const& found() const noexcept { return finding_; }
    [[nodiscard]] int depth() const noexcept { return search_.depth(); }

protected:
    step step_{};  // that is being taken, where the search does not know it yet

    scheduler(plan const& p, scenario_functions const& s)
        : execution{p, s},
          object_{std::make_unique_for_overwrite<std::byte[]>(s.size + s.alignment)} {
        for (std::size_t i = 0; i < actors_.size(); ++i) {
            actors_[i].id = static_cast<process>(i);
            actors_[i].owner = this;
        }
        for (std::size_t i = 0; i <= actors_.size(); ++i) stacks_[i] = &pooled_stack(i);
        watched_ = s.always != nullptr;
        auto const raw = reinterpret_cast<std::uintptr_t>(object_.get());
        scenario_object_ = object_.get() + (s.alignment - raw % s.alignment) % s.alignment;
    }
    ~scheduler() = default;

    // ---- turns ----

    /// Where the actor in control announces its next operation.
    [[nodiscard]] operation& announcement() noexcept { return me_->next; }
    /// Returns when it is the announced operation's turn. Then the caller performs it and calls
    /// done().
    ///
    /// Most steps of a search repeat steps of the execution before, and most of those are of the
    /// actor that made the last one: what such a step needs is inlined, the rest is not.
    [[gnu::always_inline]] void wait_turn() {
        bool const mine_again = search_.known() && search_.repeated() == self();
        if (!mine_again || !everybody_started_) take_turns();
    }

    /// Adds the performed step of the actor in control.
    [[gnu::always_inline]] void done() {
        commit();
        ++mine().known.ticks[self()];
        if (watched_) after_watched_step();
    }

    /// Ends the calling actor for this execution: too many retries.
    [[noreturn]] void cut_short() {
        actors_[self()].state = actor_state::cut;
        any_cut_ = true;
        leave_for_good();
    }

    /// Reports a finding and leaves the execution.
    /// `headline()` makes the text; nothing of its making is left behind on this stack.
    template<class Headline>
    [[noreturn]] void fail(finding_kind kind, Headline&& headline) {
        finding_.kind = kind;
        finding_.headline = headline();
        leave(ending::found);
    }

private:
    [[gnu::noinline]] void take_turns() {
        actor& me = *me_;
        if (everybody_started_) {
            pass_on();
        } else {
            start_next();
        }
        if (me.state != actor_state::running)
            fail(finding_kind::hidden_state,
                 [&] { return std::string{"a choice no longer fits"}; });
    }
    void go(fiber& to) noexcept {
        fiber& from = *on_;
        on_ = &to;
        fiber::switch_to(from, to);
    }
    /// Leaves the present flow and all others: this execution is over.
    [[noreturn]] void leave(ending how) {
        if (story_ != nullptr) tell_remaining();
        ending_ = how;
        phase_ = phase::outside;
        go(host_);
        std::abort();
    }

    static void direct(void* self) { static_cast<scheduler*>(self)->direct_execution(); }
    void direct_execution() {
        phase_ = phase::set_up;
        scenario_.construct(scenario_object_);
        phase_ = phase::actors;
        start_next();
        phase_ = phase::finish;
        if (scenario_.finish != nullptr) scenario_.finish(scenario_object_);
        scenario_.destroy(scenario_object_);
        judge_end();
        leave(ending::complete);
    }
    void judge_end() {
        if (auto const* const wait = wakes_.unanswered(); wait != nullptr) {
            if (story_ != nullptr && search_.tracks()) story_->mark_step(wait->made_true_at);
            fail(finding_kind::lost_wakeup, [&] { return lost_wakeup_text(*wait); });
        }
        for (auto const& b : heap_.blocks()) {
            if (b.alive) {
                fail(finding_kind::leak, [&] {
                    return std::string{names_.of(b.address) + " was created by " +
                                       owner_text(b.created) + " and never destroyed"};
                });
            }
        }
    }

    [[nodiscard]] std::string lost_wakeup_text(wake_ledger::wait const& w) const {
        auto text = actor_text(w.waiter) + " may sleep for ever on " + name_of(w.location);
        text += search_.tracks() ? ": " + actor_text(search_.who_did(w.made_true_at)) +
                                       " made it true at step " + std::to_string(w.made_true_at)
                                 : std::string{": it became true"};
        return text + " and no notify came after that" + wakes_.calls_in_words(w);
    }

    static void act(void* self) {
        auto& me = *static_cast<actor*>(self);
        auto& mine = *static_cast<scheduler*>(me.owner);
        mine.scenario_.act(mine.scenario_object_, me.id);
        mine.finish_actor();
    }
    void finish_actor() {
        auto const& held = locks_.of(self());
        if (!held.empty()) {
            fail(finding_kind::lock_misuse, [&] {
                return std::string{actor_name() + " ends and still holds " +
                                   names_.of(held.back().lock)};
            });
        }
        if (auto const* const off = claims_.off(self()); off != nullptr) {
            fail(finding_kind::irq_unbalanced, [&] {
                return std::string{actor_name() + " ends with interrupts off since step " +
                                   std::to_string(off->begin.step)};
            });
        }
        actors_[self()].state = actor_state::finished;
        leave_for_good();
    }
    [[noreturn]] void leave_for_good() {
        if (everybody_started_) {
            pass_on();
        } else {
            start_next();
        }
        fail(finding_kind::hidden_state,
             [&] { return std::string{"a choice names an actor that has ended"}; });
    }

    void start_next() {
        actor& a = actors_[static_cast<std::size_t>(started_)];
        a.flow.create(*stacks_[1 + static_cast<std::size_t>(started_)], &act, &a);
        a.state = actor_state::running;
        a.retries = 0;
        now_running(static_cast<process>(started_++));
        everybody_started_ = started_ == scenario_.actors;
        go(a.flow);
    }

    /// Lets the search choose until an actor is chosen. Returns in that actor.
    void pass_on() {
        process const me = self();
        for (;;) {
            int const next = search_.repeating() ? repeated() : choose();
            if (next < 0) {
                end_execution(next);
                return;
            }
            auto const chosen = static_cast<process>(next);
            if (is_buffer(chosen)) {
                drain(owner_of(chosen));
                continue;
            }
            now_running(chosen);
            if (chosen != me) go(actors_[chosen].flow);
            return;
        }
    }
    [[nodiscard]] int repeated() {
        if (!search_.tracks()) (void)enabled();  // it also watches who could park
        return search_.repeated();
    }
    [[nodiscard]] int choose() {
        judge_length();
        return search_.choose(enabled(), self());
    }

    [[gnu::always_inline]] void commit() {
        search_.known() ? search_.commit_known() : commit_unknown();
    }
    [[gnu::noinline]] void commit_unknown() {
        search_.commit(step_, [this](process p) { return footprint_of(p); });
    }

    void drain(process owner) {
        store_buffer& buffer = memory_.of(owner).buffer;
        if (buffer.empty())
            fail(finding_kind::hidden_state,
                 [&] { return std::string{"a choice drains an empty buffer"}; });
        buffered_store& oldest = buffer.oldest();
        location& l = memory_.at(oldest.location);
        if (search_.wants_footprint()) {
            step_ = step{};
            step_.by = buffer_of(owner);
            step_.what = footprint_of(step_.by);
            step_.after[0] = oldest.stored_at;
            step_.before = l.value;
            step_.forwarded = oldest.served;
        }
        if (l.alive) l.write(oldest.value, oldest.published);
        if (story_ != nullptr) {
            story_->drained(depth(), owner, name_of(oldest.location), shown(oldest.value));
        }
        if (oldest.notified != 0) pass_on_notify(oldest, owner);
        buffer.pop(static_cast<std::int16_t>(depth()));
        commit();
        if (watched_) after_watched_step();
    }
    /// A notify that followed a buffered store counts when the store is there.
    void pass_on_notify(buffered_store const& store, process owner) {
        if (store.notified == wake_ledger::everybody) {
            return wakes_.notified(store.location, depth() + 1, wake_ledger::how_many::all, owner);
        }
        for (int i = 0; i < store.notified; ++i) {
            wakes_.notified(store.location, depth() + 1, wake_ledger::how_many::one, owner);
        }
    }

    [[gnu::noinline]] void after_watched_step() {
        if (scenario_.always != nullptr) {
            phase_ = phase::observing;
            scenario_.always(scenario_object_);
            phase_ = phase::actors;
        }
    }
    void judge_length() {
        if (depth() >= plan_.longest) {
            fail(finding_kind::endless, [&] {
                return std::string{"more than " + std::to_string(plan_.longest) +
                                   " steps: a retry without bound, or a loop that waits by hand"};
            });
        }
    }

    /// Nobody can be chosen. Comes back (in the director) only if the execution is complete.
    void end_execution(int why) {
        if (why == search::off_script)
            fail(finding_kind::hidden_state,
                 [&] { return std::string{"the replay names somebody who cannot run"}; });
        bool waiting = false;
        for (auto& a : actors_) {
            if (a.state != actor_state::running) continue;
            waiting = true;
            if (search_.reduces()) owe_blocked(a);
        }
        if (enabled() != 0 || somebody_could_read_older()) leave(ending::redundant);
        if (any_cut_) leave(ending::cut);
        if (!waiting) {
            go(director_);
            return;
        }
        if (scenario_.blocked != nullptr) {
            phase_ = phase::observing;
            scenario_.blocked(scenario_object_);
        }
        if (story_ != nullptr) tell_waiting();
        finding_.kind = finding_kind::deadlock;
        finding_.headline = deadlock_text();
        leave(ending::deadlock);
    }

private:
    std::unique_ptr<std::byte[]> object_;
    fiber host_{};
    fiber director_{};
    fiber* on_{nullptr};
    fiber_stack* stacks_[1 + max_actors]{};
    ending ending_{ending::running};
    int started_{0};
    bool everybody_started_{false};
    bool watched_{false};  // the scenario has an always()
    bool any_cut_{false};
};

}  // namespace detail

}  // namespace mmhold
