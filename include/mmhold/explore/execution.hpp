// SPDX-License-Identifier: BSL-1.0
#pragma once

// execution: the state of one execution – memory, actors and what they are about to do – and the
// questions that can be asked about it: who can run, what would a step touch, how is a thing
// called.

#include <mmhold/explore/annotations.hpp>
#include <mmhold/explore/claims.hpp>
#include <mmhold/explore/deadlock.hpp>
#include <mmhold/explore/fiber.hpp>
#include <mmhold/explore/heap.hpp>
#include <mmhold/explore/memory.hpp>
#include <mmhold/explore/plain_fields.hpp>
#include <mmhold/explore/plan.hpp>
#include <mmhold/explore/search.hpp>
#include <mmhold/explore/story.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// A scenario without its type.
struct scenario_functions {
    int actors{0};
    std::size_t size{0};
    std::size_t alignment{0};
    void (*construct)(void* memory){nullptr};
    void (*act)(void* scenario, int who){nullptr};
    void (*always)(void* scenario){nullptr};   // nullptr: none
    void (*blocked)(void* scenario){nullptr};  // nullptr: none
    void (*finish)(void* scenario){nullptr};   // nullptr: none
    void (*destroy)(void* scenario){nullptr};
};

/// In which order locks are taken, over all executions of all workers.
struct shared_lock_order {
    std::mutex guard{};
    lock_order_graph graph{};
};

/// Where an exploration stands.
enum class phase : std::uint8_t { outside, set_up, actors, finish, observing };

/// How an execution ended.
enum class ending : std::uint8_t { running, complete, redundant, deadlock, cut, found };

class execution {
protected:
    enum class actor_state : std::uint8_t { idle, running, finished, cut };
    struct actor {
        fiber flow{};
        operation next{};
        actor_state state{actor_state::idle};
        process id{0};
        int retries{0};
        int parked_at{-1};     // the last step at which it could park in `next`; -1: never
        void* owner{nullptr};  // the scheduler
    };

    execution(plan const& p, scenario_functions const& s)
        : plan_{p},
          scenario_{s},
          search_{p},
          memory_{p.memory, s.actors},
          heap_{p.reuse},
          actors_(static_cast<std::size_t>(s.actors)) {}
    ~execution() = default;

    /// Forgets the last execution.
    void begin() {
        search_.begin_execution();
        memory_.begin_execution();
        heap_.begin_execution();
        names_.begin_execution();
        locks_.begin_execution();
        wakes_.begin_execution();
        claims_.begin_execution();
        noted_.begin_execution();
        finding_.details.clear();
        ++number_;
        if (story_ != nullptr) story_->clear();
        now_running(0);
        for (auto& a : actors_) a.state = actor_state::idle;
    }

    [[nodiscard]] bool tso() const noexcept { return plan_.memory == memory_model::tso; }
    [[nodiscard]] bool stale() const noexcept { return plan_.memory == memory_model::stale; }
    /// Is an actor in control, so that accesses are steps?
    [[nodiscard]] bool acting() const noexcept { return phase_ == phase::actors; }
    [[nodiscard]] process self() const noexcept { return running_; }
    /// What the actor in control knows and has seen.
    [[nodiscard]] actor_memory& mine() noexcept { return *mine_; }
    /// Hands control to `next`, as far as this book-keeping goes.
    void now_running(process next) noexcept {
        running_ = next;
        me_ = &actors_[next];
        mine_ = &memory_.of(next);
    }
    /// Who did it, for headlines.
    [[nodiscard]] std::string actor_name() const {
        return phase_ == phase::set_up ? "the set-up" : acting() ? actor_text(self()) : "the end";
    }
    [[nodiscard]] std::uint32_t now_epoch() noexcept {
        return acting() ? epoch(self(), mine().known.ticks[self()]) : 0;
    }

    [[nodiscard]] instant here() noexcept { return {search_.depth(), now_epoch()}; }

    // ---- what could happen next ----

    /// What process `p` is about to do, as others could notice.
    [[nodiscard]] footprint footprint_of(process p) noexcept {
        using enum footprint::mark;
        process const owner = owner_of(p);
        if (is_buffer(p)) {
            auto const where = memory_.of(owner).buffer.oldest().location;
            if (!memory_.at(where).alive) return {0, owner, 0};
            return {where, owner, writes};
        }
        operation const& op = actors_[p].next;
        unsigned order = 0;
        if (stale() && op.order == memory_order::seq_cst) order = ordered;
        auto const touching = [&](std::uint32_t where, unsigned marks) {
            return footprint{where, owner, static_cast<std::uint8_t>(marks | order)};
        };
        switch (op.kind) {
            case op_kind::load:
            case op_kind::await: {
                bool const forwarded =
                    tso() && memory_.of(p).buffer.youngest(op.location) != nullptr;
                return forwarded ? touching(0, 0) : touching(op.location, reads);
            }
            case op_kind::store:
                return tso() && !op.locked ? touching(0, buffers) : touching(op.location, writes);
            case op_kind::compare_exchange: {
                bool const succeeds = memory_.at(op.location).value == op.expected;
                return succeeds ? touching(op.location, reads | writes)
                                : touching(op.location, reads);
            }
            case op_kind::fence: return touching(0, 0);
            case op_kind::heavy_fence: return tso() ? touching(0, drains_all) : touching(0, global);
            default: return touching(op.location, reads | writes);
        }
    }
    /// The messages that the stale load or await of `p` may read now.
    ///
    /// A reducing search offers a store only if it is the newest or was overwritten in the reader's
    /// past: otherwise the reader could have come before the overwriting step, and that execution
    /// is searched as well.
    [[nodiscard]] std::uint32_t readable_by(process p, operation const& op) noexcept {
        bool const reduces = search_.reduces();
        return readable_by(
            p, op, [&](std::int16_t step) { return !reduces || search_.in_past_of(p, step); });
    }
    template<class InPast>
    [[nodiscard]] std::uint32_t readable_by(process p, operation const& op,
                                            InPast&& overwritten_in_past) noexcept {
        auto mask = memory_.readable(p, op.location, overwritten_in_past);
        if (op.kind != op_kind::await) return mask;
        for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1U) {
            auto const back = static_cast<unsigned>(std::countr_zero(rest));
            auto const value = memory_.back_from_newest(op.location, back).value;
            if (!op.done.holds(op.done.context, value)) mask &= ~(1U << back);
        }
        return mask;
    }

    [[nodiscard]] process_set enabled() noexcept {
        process_set set = 0;
        bool buffered = false;
        for (auto& a : actors_) {
            if (!memory_.of(a.id).buffer.empty()) {
                set |= only(buffer_of(a.id));
                buffered = true;
            }
        }
        for (auto& a : actors_) {
            if (a.state == actor_state::running && can_run(a, buffered)) set |= only(a.id);
        }
        return set;
    }
    [[nodiscard]] bool can_run(actor& a, bool buffered) noexcept {
        operation const& op = a.next;
        store_buffer const& buffer = memory_.of(a.id).buffer;
        if (op.locked && !buffer.empty()) return false;
        switch (op.kind) {
            case op_kind::store:
                return !tso() || op.locked ||
                       buffer.size() < static_cast<unsigned>(plan_.buffer_depth);
            case op_kind::await: return can_go_on(a);
            case op_kind::heavy_fence: return !buffered || !heavy_fence_must_wait();
            default: return true;
        }
    }
    /// Is what this await waits for so? If not, its actor parks – it may reach the await at any
    /// time after its last step. (Searches with event clocks ask those: reduction::awaited_write.)
    [[nodiscard]] bool can_go_on(actor& a) noexcept {
        operation const& op = a.next;
        bool const can = stale()
                             ? readable_by(a.id, op) != 0
                             : op.done.holds(op.done.context, memory_.visible(a.id, op.location));
        if (!can) a.parked_at = search_.depth();
        return can;
    }
    [[nodiscard]] bool heavy_fence_must_wait() noexcept {
        for (auto& a : actors_) {
            if (memory_.of(a.id).buffer.stops_heavy_fence()) return true;
        }
        return false;
    }

    /// Stale reads: a wait that ends with an older store is searched where it comes earlier.
    [[nodiscard]] bool somebody_could_read_older() noexcept {
        if (!stale() || !search_.reduces()) return false;
        for (auto& a : actors_) {
            if (a.state != actor_state::running || a.next.kind != op_kind::await) continue;
            if (readable_by(a.id, a.next, [](std::int16_t) { return true; }) != 0) return true;
        }
        return false;
    }
    void owe_blocked(actor& a) {
        if (a.next.kind == op_kind::heavy_fence) {
            search_.blocked_heavy_fence(a.id);
        } else if (a.next.kind == op_kind::await &&
                   memory_.of(a.id).buffer.youngest(a.next.location) == nullptr) {
            search_.blocked_await(a.id, a.next.location, a.next.done);
        }
    }

    // ---- words for reports ----

    [[nodiscard]] std::string name_of(std::uint32_t id) const {
        if (id <= calls_location) return id == calls_location ? "the other calls" : "heap";
        return names_.of(memory_.at(id).self);
    }
    /// A value as a report shows it.
    [[nodiscard]] std::string shown(std::uint64_t value) const {
        if (auto text = names_.pointer(value); !text.empty()) return text;
        return value < 100'000 ? std::to_string(value) : object_names::hexadecimal(value);
    }
    [[nodiscard]] static std::string owner_text(std::uint32_t e) {
        return e == 0 ? std::string{"the set-up"} : actor_text(epoch_actor(e));
    }
    /// What became of a word: who changed it last, and whether he can do it again.
    [[nodiscard]] std::string changes_of(std::uint32_t id, process asker) {
        int const step = search_.last_write_of(id);
        if (step < 0) return search_.tracks() ? "nobody has changed it" : "";
        process const by = search_.who_did(step);
        if (by == asker) return "it changed that last itself, at step " + std::to_string(step);
        return actor_text(by) + " changed it last, at step " + std::to_string(step) +
               (actors_[by].state == actor_state::running ? ", and waits itself"
                                                          : ", and has ended");
    }
    /// The lock whose word an actor looks at, for locks that do not say M::note(claim::wanted).
    [[nodiscard]] std::string lock_behind(std::uint32_t id) const {
        auto const word = name_of(id);
        for (process other = 0; other < actors_.size(); ++other) {
            for (auto const& h : locks_.of(other)) {
                if (names_.of(h.lock) == word) return word;
            }
        }
        return {};
    }
    [[nodiscard]] std::string deadlock_text() {
        std::vector<stuck_actor> stuck;
        for (auto const& a : actors_) {
            if (a.state != actor_state::running) continue;
            stuck_actor& s = stuck.emplace_back();
            s.actor = a.id;
            auto const* const lock = claims_.wanted(a.id);
            s.lock = lock != nullptr ? names_.of(lock) : lock_behind(a.next.location);
            for (auto const& h : locks_.of(a.id)) s.holds.push_back(names_.of(h.lock));
            s.word = name_of(a.next.location);
            s.value = shown(memory_.at(a.next.location).value);
            s.history = changes_of(a.next.location, a.id);
        }
        return deadlock_in_words(stuck);
    }

    void tell_waiting() {
        for (auto const& a : actors_) {
            if (a.state != actor_state::running) continue;
            story_line line{-1, a.id, "waits for " + name_of(a.next.location)};
            line.where = announced_[a.id];
            line.marked = story_line::mark::second;
            story_->add(std::move(line));
        }
    }
    /// How a lock is called in every execution of every worker.
    [[nodiscard]] std::string lock_label(void const* lock) const {
        auto text = names_.key(lock);
        if (!text.starts_with("0x")) return text;
        auto const* const at = static_cast<std::byte const*>(lock);
        if (auto const* const b = heap_.containing(lock); b != nullptr) {
            auto const number = static_cast<std::size_t>(b - heap_.blocks().data());
            return "block " + std::to_string(number) + "+" + std::to_string(at - b->address);
        }
        auto const* const begin = static_cast<std::byte const*>(scenario_object_);
        bool const inside = at >= begin && at < begin + scenario_.size;
        return inside ? "scenario+" + std::to_string(at - begin) : text;
    }
    [[nodiscard]] std::vector<lock_order_graph::edge> add_lock_order(lock_order_graph::edge fresh) {
        if (shared_order_ == nullptr) return lock_order_.add(std::move(fresh));
        std::lock_guard const hold{shared_order_->guard};
        return shared_order_->graph.add(std::move(fresh));
    }

    void tell_remaining() {
        for (auto const& a : actors_) {
            auto const& buffer = memory_.of(a.id).buffer;
            for (unsigned i = 0; i < buffer.size(); ++i) {
                auto const& e = buffer[i];
                story_->still_buffered(a.id, name_of(e.location), shown(e.value), e.stored_at);
            }
        }
    }

    plan const plan_;
    scenario_functions const scenario_;
    search search_;
    model_memory memory_;
    model_heap heap_;
    object_names names_{};
    lock_ledger locks_{};
    claim_ledger claims_{};
    noted_fields noted_{};
    lock_order_graph lock_order_{};
    shared_lock_order* shared_order_{nullptr};  // of all workers, if there are several
    void* scenario_object_{nullptr};
    wake_ledger wakes_{};
    story* story_{nullptr};
    finding finding_{};
    phase phase_{phase::outside};
    std::uint64_t number_{0};                       // of this execution
    std::source_location announced_[max_actors]{};  // where, while a story is told
    std::vector<actor> actors_;
    process running_{0};
    actor* me_{nullptr};           // actors_[running_]
    actor_memory* mine_{nullptr};  // its memory: both are asked for several times per step
};

}  // namespace detail

}  // namespace mmhold
