// SPDX-License-Identifier: BSL-1.0
#pragma once

// judge: the accesses and remarks that are no steps – births and deaths, plain fields, names,
// locks, expectations – and the findings that follow from them. All are judged by happens-before,
// so the order that ran does not matter.

#include <mmhold/explore/plain_fields.hpp>
#include <mmhold/explore/scheduler.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

class judge : public scheduler {
public:
    // ---- birth and death of words and fields ----

    /// Leaves a mark in an object whose life ends. Volatile: to the compiler such a store is a dead
    /// one.
    static void bury(std::uint32_t& mark, std::uint32_t value) noexcept {
        *static_cast<std::uint32_t volatile*>(&mark) = value;
    }

    void born(cell& c) noexcept { c.born = now_epoch(); }
    void died(cell& c) {
        if (!acting()) return;
        auto const id = memory_.find(c);
        bury(c.id, cell::dead);
        if (id == 0) return;
        location& l = memory_.at(id);
        for (process q = 0; !search_.known() && q < max_actors; ++q) {
            if (q == self() || memory_.of(self()).known.covers(q, l.touched.ticks[q])) continue;
            if (story_ != nullptr) tell_note("ends the life of " + name_of(id), {});
            clash(epoch(q, l.touched.ticks[q]), name_of(id));
            fail(finding_kind::use_after_free, [&] {
                return std::string{actor_name() + " ends the life of " + name_of(id) +
                                   " although a use by T" + std::to_string(q) +
                                   " is not ordered before it"};
            });
        }
        l.alive = false;
    }
    void born(field_cell& f) noexcept { f.written = now_epoch(); }
    void died(field_cell& f) {
        if (acting()) touch(f, &f, "ends the life of", true);
        bury(f.state, 0);
    }
    /// The same for the noted fields in a block of memory.
    void died(model_heap::block const& gone) {
        noted_.end(gone.address, gone.size, [this](field_cell& f, void const* at) {
            if (acting()) touch(f, at, "ends the life of", true);
        });
    }

    // ---- plain fields ----

    void read(field_cell const& constant, std::source_location where) {
        if (!acting()) return;
        auto& f = const_cast<field_cell&>(constant);
        read(f, &f, where);
    }
    void written(field_cell& f, std::source_location where) {
        if (acting()) written(f, &f, where);
    }

    // ---- what the program says ----

    void name(void const* object, char const* text, std::size_t index) {
        names_.add(object, text, index);
    }
    void expect(bool holds, char const* text) {
        if (holds) return;
        if (story_ != nullptr && acting()) story_->mark_last();
        fail(finding_kind::expectation, [&] { return std::string{actor_name() + ": " + text}; });
    }
    /// A finding that a scenario itself has made. Moves from its arguments: nothing that owns
    /// memory may be left behind on this stack.
    [[noreturn]] void reject(finding_kind kind, std::string& headline, std::string& details) {
        finding_.details = std::move(details);
        fail(kind, [&] { return std::string{std::move(headline)}; });
    }
    void lock_taken(void const* lock, lock_mode mode) {
        if (!acting()) return;
        if (search_.known()) return locks_.take(self(), lock, mode);
        if (story_ != nullptr)
            tell_note((mode == lock_mode::shared ? "holds shared " : "holds ") + names_.of(lock),
                      {});
        if (auto const other = locks_.excluded_by(self(), lock, mode); other >= 0) {
            fail(finding_kind::exclusion, [&] {
                return std::string{actor_name() + " and T" + std::to_string(other) + " both hold " +
                                   names_.of(lock)};
            });
        }
        if (auto const given = locks_.given_unordered(lock, mode, memory_.of(self()).known);
            given != 0) {
            clash_over(given, lock);
            fail(finding_kind::exclusion, [&] {
                return std::string{actor_name() + " takes " + names_.of(lock) + ", but that " +
                                   owner_text(given) + " gave it up is not ordered before"};
            });
        }
        if (!locks_.holds(self(), lock)) {  // else it changes its mode, which waits for nobody
            for (auto const& held : locks_.of(self())) note_order(held, lock, mode);
        }
        locks_.take(self(), lock, mode);
        claims_.lock_taken(self(), lock, here());
    }
    void lock_given(void const* lock, lock_mode mode) {
        if (!acting()) return;
        if (story_ != nullptr) tell_note("gives up " + names_.of(lock), {});
        if (!locks_.give(self(), lock, mode, now_epoch())) {
            fail(finding_kind::lock_misuse, [&] {
                return std::string{actor_name() + " gives up " + names_.of(lock) +
                                   ", which it does not hold"};
            });
        }
        claims_.lock_given(self(), lock, here());
    }
    /// What actors may use, and whether they still may (claims.hpp).
    void note(claim what, void const* object, void const* lock, std::uint64_t count) {
        if (!acting()) return;
        process const me = self();
        switch (what) {
            case claim::found_under: return claims_.found_under(me, object, lock);
            case claim::used: return check_use(object);
            case claim::reference_taken: return claims_.reference_taken(me, object, count);
            case claim::reference_given: return claims_.reference_given(me, object, count, here());
            case claim::reference_passed: return claims_.reference_passed(me, object, count);
            case claim::wanted: return claims_.wants(me, object);
            case claim::may_sleep: check_awake(object); return claims_.wants(me, object);
            case claim::not_wanted: return claims_.not_wanted(me, object);
            case claim::interrupts_off:
                if (story_ != nullptr) tell_note("interrupts off", {});
                return claims_.interrupts_off(me, here());
            case claim::interrupts_on: return interrupts_on();
            case claim::plain_read: return read(noted(object), object, {});
            case claim::plain_written: return written(noted(object), object, {});
        }
    }
    [[nodiscard]] bool holds(void const* lock) const noexcept {
        return !acting() || locks_.holds(self(), lock);
    }

    /// After a lock_order finding: how to come to each of the other lock chains of the cycle.
    [[nodiscard]] std::vector<std::vector<choice>> const& other_chains() const noexcept {
        return chains_;
    }

protected:
    judge(plan const& p, scenario_functions const& s) : scheduler{p, s} {}
    ~judge() = default;

    [[noreturn]] void used_after_death(void const* object) {
        auto const* const b = heap_.containing(object);
        if (b != nullptr && !b->alive) clash(b->destroyed, "destroy ");
        fail(finding_kind::use_after_free, [&] {
            return std::string{actor_name() + " uses " + names_.of(object) + ", which " +
                               (b != nullptr && !b->alive ? owner_text(b->destroyed) + " destroyed"
                                                          : std::string{"is gone"})};
        });
    }

    // ---- automata ----

    void check_use(void const* object) {
        if (auto const* const over = claims_.outlived(self(), object); over != nullptr) {
            clash_over(over->end.moment, over->lock);
            auto const* const again = claims_.held_now(self(), over->lock);
            fail(finding_kind::stale_hold, [&] {
                auto text = actor_name() + " uses " + names_.of(object);
                text += ", which it found under a hold of " + names_.of(over->lock);
                text += " that it gave up at step " + std::to_string(over->end.step);
                if (again != nullptr)
                    text += " (the hold since step " + std::to_string(again->begin.step) +
                            " is another one)";
                return text;
            });
        }
        if (auto const* const lost = claims_.lost(self(), object); lost != nullptr) {
            clash(lost->given.moment);
            fail(finding_kind::stale_reference, [&] {
                return std::string{actor_name() + " uses " + names_.of(object) +
                                   ", whose last reference it gave back at step " +
                                   std::to_string(lost->given.step)};
            });
        }
    }
    /// May the actor sleep now? `until`: what it would wait for; nullptr: no name for that.
    void check_awake(void const* until) {
        auto const* const off = claims_.off(self());
        if (off == nullptr) return;
        clash(off->begin.moment, "interrupts off");
        fail(finding_kind::irq_sleep, [&] {
            auto text = actor_name() + " may sleep";
            if (until != nullptr) text += " waiting for " + names_.of(until);
            text += " with interrupts off since step " + std::to_string(off->begin.step);
            return text;
        });
    }
    void interrupts_on() {
        if (story_ != nullptr) tell_note("interrupts on", {});
        if (claims_.interrupts_on(self())) return;
        fail(finding_kind::irq_unbalanced,
             [&] { return std::string{actor_name() + " turns interrupts on that were not off"}; });
    }

    // ---- judging ----

    /// `object`: what the field is called by.
    void read(field_cell& f, void const* object, std::source_location where) {
        tell_access("read", object, where);
        touch(f, object, "reads", false);
        f.read.ticks[self()] = memory_.of(self()).known.ticks[self()];
    }
    void written(field_cell& f, void const* object, std::source_location where) {
        tell_access("write", object, where);
        touch(f, object, "writes", true);
        f.written = now_epoch();
        f.read = sync_clock{};
    }
    [[nodiscard]] field_cell& noted(void const* object) {
        if (auto* const known = noted_.find(object); known != nullptr) return *known;
        auto const* const b = heap_.containing(object);
        if (b != nullptr && !b->alive) used_after_death(object);
        auto& fresh = noted_.add(object);
        if (b != nullptr) fresh.written = b->created;
        return fresh;
    }
    void touch(field_cell& f, void const* object, char const* how, bool changes) {
        if (search_.known()) return;  // judged when it happened first
        if (mark_in(f.state) != field_cell::is_alive) used_after_death(object);
        auto& mine = memory_.of(self()).known;
        std::uint32_t other = 0;
        if (!memory_.happened_before(f.written, self())) other = f.written;
        for (process q = 0; changes && other == 0 && q < max_actors; ++q) {
            if (q != self() && !mine.covers(q, f.read.ticks[q])) other = epoch(q, f.read.ticks[q]);
        }
        if (other == 0) return;
        clash_over(other, object);
        fail(finding_kind::data_race, [&] {
            return std::string{actor_name() + " " + how + " " + names_.of(object) + " while " +
                               owner_text(other) + " uses it: nothing orders the two"};
        });
    }
    void note_order(held_lock const& held, void const* then, lock_mode mode) {
        if (!lock_order_.is_new(held, {then, mode})) return;
        if (!closes_cycle(held, then, mode)) return;
        fail(finding_kind::lock_order, [&] { return std::string{std::move(finding_.headline)}; });
    }
    /// Leaves the text of the cycle in the finding, and the ways to its other edges.
    [[nodiscard]] bool closes_cycle(held_lock const& held, void const* then, lock_mode mode) {
        auto const cycle = add_lock_order({lock_label(held.lock), lock_label(then), held.mode, mode,
                                           self(), search_.choices(), number_, now_epoch()});
        finding_.headline.clear();
        chains_.clear();
        if (story_ != nullptr && !cycle.empty()) story_->mark_last();
        for (auto const& e : cycle) {
            if (story_ != nullptr && e.execution == number_)
                story_->mark(e.moment, "holds " + e.then);
            if (!finding_.headline.empty()) finding_.headline += "; ";
            finding_.headline +=
                actor_text(e.actor) + " takes " + e.then + " while holding " + e.first;
            chains_.push_back(e.way);
        }
        if (!chains_.empty()) chains_.pop_back();  // the last is this execution
        return !cycle.empty();
    }

    // ---- telling ----

    /// Marks what was told last, and what the other one did to `about` before.
    void clash(std::uint32_t other, std::string const& about = {}) {
        if (story_ == nullptr) return;
        story_->mark_last();
        story_->mark(other, about);
    }
    void clash_over(std::uint32_t other, void const* object) {
        if (story_ != nullptr) clash(other, names_.of(object));
    }
    void tell_step(std::string text, request const& r,
                   story_line::access what = story_line::access::none) {
        if (story_ == nullptr) return;
        story_->add({depth(), self(), std::move(text), r.site, r.where, now_epoch(), what});
    }
    void tell_note(std::string text, std::source_location where) {
        if (story_ == nullptr) return;
        story_->add({-1, self(), std::move(text), {}, where, now_epoch()});
    }
    void tell_access(char const* what, void const* object, std::source_location where) {
        if (story_ != nullptr) tell_note(std::string{what} + " " + names_.of(object), where);
    }
    void tell_update(operation const& op, std::uint64_t old, std::uint64_t value,
                     request const& r) {
        static constexpr char const* words[] = {"exchange ", "add ", "subtract ",
                                                "or ",       "and ", "compare-exchange "};
        auto const which =
            static_cast<std::size_t>(op.kind) - static_cast<std::size_t>(op_kind::exchange);
        bool const fails = op.kind == op_kind::compare_exchange && old != op.expected;
        tell_step(words[which] + name_of(op.location) + ": " + shown(old) +
                      (fails ? " is not " + shown(op.expected) : " -> " + shown(value)),
                  r, story_line::access::update);
    }

private:
    std::vector<std::vector<choice>> chains_{};
};

}  // namespace detail

}  // namespace mmhold
