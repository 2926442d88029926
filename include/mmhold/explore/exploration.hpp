// SPDX-License-Identifier: BSL-1.0
#pragma once

// exploration: what each operation of the model machine does when its turn comes, and what it is
// judged by.
//
// Two ways in. While actors run, an access is a step: announce, wait for the turn, perform. During
// set-up, at the end and in always() it is done on the spot, sees memory as it is and is nobody's
// step.

#include <mmhold/explore/judge.hpp>
#include <mmhold/explore/sites.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <utility>

namespace mmhold {

namespace detail {

class exploration : public judge {
public:
    exploration(plan const& p, scenario_functions const& s, site_table& sites)
        : judge{p, s}, sites_{sites} {}

    // ---- words ----

    [[nodiscard]] std::uint64_t load(cell const& c, request r) {
        if (!acting()) return value_now(c);
        operation& op = announced(op_kind::load, c, r);
        wait_turn();
        auto const value = perform_read(op, r);
        treat_after(r);
        return value;
    }
    void store(cell& c, std::uint64_t value, request r) {
        if (!acting()) return set_now(c, value);
        operation& op = announced(op_kind::store, c, r);
        op.operand = value;
        op.locked = tso() && op.order == memory_order::seq_cst;
        wait_turn();
        perform_store(op, r);
        treat_after(r);
    }
    [[nodiscard]] std::uint64_t update(op_kind kind, cell& c, std::uint64_t operand,
                                       std::uint64_t mask, request r) {
        if (!acting()) {
            auto const old = value_now(c);
            set_now(c, updated(kind, old, operand) & mask);
            return old;
        }
        operation& op = announced(kind, c, r);
        op.operand = operand;
        op.mask = mask;
        op.locked = tso();
        wait_turn();
        auto const old = perform_update(op, r);
        treat_after(r);
        return old;
    }
    [[nodiscard]] bool compare_exchange(cell& c, std::uint64_t& expected, std::uint64_t desired,
                                        request r) {
        if (!acting()) {
            auto const old = value_now(c);
            bool const equal = old == expected;
            if (equal) set_now(c, desired);
            expected = old;
            return equal;
        }
        operation& op = announced(op_kind::compare_exchange, c, r);
        op.operand = desired;
        op.expected = expected;
        op.locked = tso();
        wait_turn();
        auto const old = perform_update(op, r);
        bool const equal = old == expected;
        expected = old;
        return equal;
    }
    enum class waiting : std::uint8_t { parks, polls };
    [[nodiscard]] std::uint64_t await(cell const& c, predicate done, waiting how, request r) {
        if (!acting()) {
            auto const value = value_now(c);
            if (!done.holds(done.context, value)) {
                fail(finding_kind::deadlock, [&] {
                    return std::string{actor_name() + " waits for " + names_.of(&c) +
                                       " and nobody else runs"};
                });
            }
            return value;
        }
        if (how == waiting::parks) check_awake(&c);
        operation& op = announced(op_kind::await, c, r);
        op.done = done;
        op.parks = how == waiting::parks && plan_.wakes == wake_rule::strict;
        int const since = op.parks && !already(op) ? depth() : -1;
        wait_turn();
        if (op.parks) note_wait(op, since);
        return perform_read(op, r);
    }
    void notify(cell& c, wake_ledger::how_many many, std::source_location where) {
        if (!acting()) return;
        auto const id = memory_.find(c);
        int const sleepers = id == 0 ? 0 : waiting_at(id);
        if (story_ != nullptr) {
            tell_note((many == wake_ledger::how_many::all ? "notify_all " : "notify_one ") +
                          names_.of(&c) + (sleepers == 0 ? " (nobody waits)" : ""),
                      where);
        }
        if (id == 0) return;
        if (auto* const entry = memory_.of(self()).buffer.youngest(id); entry != nullptr) {
            if (many == wake_ledger::how_many::all) {
                entry->notified = wake_ledger::everybody;
            } else if (entry->notified + 1 < wake_ledger::everybody) {
                ++entry->notified;
            }
        } else {
            wakes_.notified(id, depth(), many, self(), sleepers);
        }
    }

    // ---- fences ----

    void fence(request r) {
        if (!acting() || !sites_.apply_fence(r, site_kind::fence)) return;
        bool const full = r.order == memory_order::seq_cst;
        if (full && plan_.memory != memory_model::sc) {
            operation& op = announcement();
            op = {op_kind::fence, r.order, tso()};
            wait_turn();
            step s = begun(op);
            if (tso()) s.after[0] = search_.last_step_of(buffer_of(self()));
            if (story_ != nullptr) tell_step("full fence", r);
            memory_.sync_fence(self(), memory_order::acquire);
            if (stale()) memory_.ordered_fence(self());
            memory_.sync_fence(self(), memory_order::release);
            memory_.of(self()).exposed = false;
            done(s);
        } else {
            memory_.sync_fence(self(), r.order);
            ++memory_.of(self()).known.ticks[self()];
        }
    }
    /// Orders nothing by itself. Switched off, it leaves what stands before it out of reach of
    /// heavy fences.
    void light_fence(request r) {
        if (!acting()) return;
        bool const there = sites_.apply_fence(r, site_kind::light_fence);
        if (!there) memory_.of(self()).buffer.expose();
        memory_.of(self()).exposed = !there;
    }
    void heavy_fence(request r) {
        if (!acting() || !sites_.apply_fence(r, site_kind::heavy_fence) ||
            plan_.memory == memory_model::sc)
            return;
        operation& op = announcement();
        op = {op_kind::heavy_fence, memory_order::acq_rel, tso()};
        wait_turn();
        step s = begun(op);
        if (tso()) s.after[0] = search_.last_step_of(buffer_of(self()));
        if (story_ != nullptr) tell_step("heavy fence", r);
        memory_.sync_fence(self(), memory_order::acquire);
        if (stale()) memory_.heavy_fence(self());
        memory_.sync_fence(self(), memory_order::release);
        done(s);
    }
    void relax() {
        if (!acting()) return;
        if (++actors_[self()].retries > plan_.retries) cut_short();
    }

    // ---- memory ----

    [[nodiscard]] void* create(std::size_t size, std::size_t alignment) {
        heap_step();
        return heap_.allocate(size, alignment < 16 ? 16 : alignment, now_epoch());
    }
    /// Called before the destructors run.
    void destroying(void const* address) {
        auto* const b = heap_.find(address);
        if (b == nullptr)
            fail(finding_kind::wrong_free,
                 [&] { return std::string{actor_name() + " destroys " + names_.of(address)}; });
        if (!b->alive) {
            clash(b->destroyed);
            fail(finding_kind::double_free, [&] {
                return std::string{actor_name() + " destroys " + names_.of(address) + ", which " +
                                   owner_text(b->destroyed) + " destroyed already"};
            });
        }
        if (story_ != nullptr && acting()) tell_note("destroy " + names_.of(address), {});
    }
    /// Called after the destructors have run.
    void destroyed(void const* address) {
        heap_.release(*heap_.find(address), now_epoch());
        heap_step();
    }

    // ---- histories ----

    /// Call and answer of a recorded operation as steps: an answer is never swapped with a call.
    /// They order nothing and drain nothing.
    void mark_call() { mark_moment(op_kind::load, "calls"); }
    void mark_answer() { mark_moment(op_kind::heap, "is answered"); }
    /// The actor in control; -1: none is.
    [[nodiscard]] int who() const noexcept { return acting() ? self() : -1; }
    /// What the actor in control knows to have happened.
    [[nodiscard]] sync_clock knowledge() noexcept {
        return acting() ? memory_.of(self()).known : sync_clock{};
    }

    [[nodiscard]] std::uint64_t now() const noexcept { return static_cast<std::uint64_t>(depth()); }
    [[nodiscard]] site_table& sites() noexcept { return sites_; }

private:
    /// The fence that a remedy wants after this access.
    void treat_after(request const& r) {
        if (sites_.fence_after(r)) fence({memory_order::seq_cst, "", r.where});
    }

    // ---- on the spot ----

    [[nodiscard]] std::uint64_t value_now(cell const& c) noexcept {
        auto const id = memory_.find(c);
        return id != 0 ? memory_.at(id).value : c.initial;
    }
    void set_now(cell& c, std::uint64_t value) noexcept {
        if (auto const id = memory_.find(c); id != 0) memory_.at(id).value = value;
        c.initial = value;
    }

    // ---- as steps ----

    [[nodiscard]] operation& announced(op_kind kind, cell const& c, request& r) {
        sites_.apply(r, kind);
        if (story_ != nullptr) announced_[self()] = r.where;
        auto const where = enter(c);
        operation& op = announcement();
        op.kind = kind;
        op.order = r.order;
        op.locked = false;
        op.location = where;
        op.mask = ~std::uint64_t{0};
        return op;
    }
    [[nodiscard]] std::uint32_t enter(cell const& c) {
        if (auto const id = memory_.find(c); id != 0) return id;
        if (mark_in(c.id) != cell::unregistered) {
            tell_use(&c);
            used_after_death(&c);
        }
        auto const id = memory_.enter(const_cast<cell&>(c));
        if (id == 0)
            fail(finding_kind::endless,
                 [&] { return std::string{"stale reads keep track of 255 words only"}; });
        return id;
    }
    /// A use that will not be performed.
    void tell_use(void const* object) {
        if (story_ != nullptr) tell_note("use of " + names_.of(object), announced_[self()]);
    }
    /// The turn has come: is the word still there, and was its birth known?
    [[nodiscard]] step begun(operation const& op) {
        step s;
        s.what = footprint_of(self());
        if (op.location == 0) return s;
        location& l = memory_.at(op.location);
        if (!l.alive) {
            tell_use(l.self);
            used_after_death(l.self);
        }
        if (!memory_.happened_before(l.born, self())) {
            tell_use(l.self);
            clash(l.born);
            fail(finding_kind::data_race, [&] {
                return std::string{actor_name() + " uses " + name_of(op.location) + ", but that " +
                                   owner_text(l.born) + " made it is not ordered before"};
            });
        }
        l.touched.ticks[self()] = memory_.of(self()).known.ticks[self()];
        s.memory = &l.used;
        s.before = l.value;
        return s;
    }

    [[nodiscard]] std::uint64_t perform_read(operation const& op, request const& r) {
        step s = begun(op);
        location& l = memory_.at(op.location);
        std::uint64_t value = l.value;
        if (op.kind == op_kind::await) s.awaited = &op.done;
        if (stale()) {
            if (op.order == memory_order::seq_cst) memory_.raise_to_ordered(self(), op.location);
            auto const readable = readable_by(self(), op);
            if (readable > 1)
                s.awaited = nullptr;  // it could have gone on before the newest store, too
            auto const back = search_.choose_store(readable);
            message const m = memory_.back_from_newest(op.location, back);
            memory_.read_message(self(), op.location, m, op.order);
            value = m.value;
        } else if (auto* const own = memory_.of(self()).buffer.youngest(op.location);
                   own != nullptr) {
            own->served = static_cast<std::int16_t>(depth());
            value = own->value;
            s.memory = nullptr;
        } else {
            memory_.learn(self(), l.published, op.order);
        }
        if (op.kind == op_kind::await && !op.done.holds(op.done.context, value)) {
            fail(finding_kind::hidden_state,
                 [&] { return std::string{"an await was chosen that cannot go on"}; });
        }
        if (story_ != nullptr) {
            tell_step((op.kind == op_kind::await ? "await " : "load ") + name_of(op.location) +
                          " = " + shown(value) +
                          (s.memory == nullptr ? " (own buffer)"
                           : value != l.value  ? " (stale)"
                                               : ""),
                      r, story_line::access::load);
        }
        done(s);
        return value;
    }

    void perform_store(operation const& op, request const& r) {
        step s = begun(op);
        bool const buffered = s.what.has(footprint::buffers);
        if (story_ != nullptr) {
            tell_step("store " + name_of(op.location) + " = " + shown(op.operand) +
                          (buffered ? " (buffered)" : ""),
                      r, story_line::access::store);
        }
        if (stale()) {
            if (op.order == memory_order::seq_cst) memory_.raise_to_ordered(self(), op.location);
            memory_.append(self(), op.location, op.operand, op.order,
                           static_cast<std::int16_t>(depth()), false);
        } else if (buffered) {
            store_buffer& buffer = memory_.of(self()).buffer;
            s.after[0] = buffer.room_since(static_cast<unsigned>(plan_.buffer_depth));
            s.memory = nullptr;
            buffered_store& entry = buffer.push();
            entry.location = op.location;
            entry.value = op.operand;
            entry.stored_at = static_cast<std::int16_t>(depth());
            entry.served = -1;
            entry.exposed = false;
            entry.notified = 0;
            entry.published = memory_.taught_by(self(), op.order);
        } else {
            if (tso()) s.after[0] = search_.last_step_of(buffer_of(self()));
            memory_.write(op.location, op.operand, memory_.taught_by(self(), op.order));
        }
        done(s);
    }

    /// Updates see the newest value. A failed compare_exchange is a load of it (never a stale one).
    [[nodiscard]] std::uint64_t perform_update(operation const& op, request const& r) {
        step s = begun(op);
        if (tso()) s.after[0] = search_.last_step_of(buffer_of(self()));
        location& l = memory_.at(op.location);
        auto const old = l.value;
        bool const fails = !s.what.has(footprint::writes);
        auto const order = fails ? failure_order(op.order) : op.order;
        auto const value = updated(op.kind, old, op.operand) & op.mask;
        if (stale()) {
            memory_.read_message(self(), op.location,
                                 message{memory_.back_from_newest(op.location, 0)}, order);
            if (!fails) {
                memory_.append(self(), op.location, value, order,
                               static_cast<std::int16_t>(depth()), true);
            }
        } else {
            memory_.learn(self(), l.published, order);
            if (!fails) {
                sync_clock carried = memory_.taught_by(self(), order);
                carried.join(l.published);
                memory_.write(op.location, value, carried);
            }
        }
        if (story_ != nullptr) tell_update(op, old, value, r);
        done(s);
        return old;
    }

    /// How many actors have announced an await of the word that can park and have not passed it.
    [[nodiscard]] int waiting_at(std::uint32_t id) const noexcept {
        int count = 0;
        for (auto const& a : actors_) {
            count += a.state == actor_state::running && a.id != self() &&
                     a.next.kind == op_kind::await && a.next.parks && a.next.location == id;
        }
        return count;
    }
    /// Is what this await waits for there already?
    [[nodiscard]] bool already(operation const& op) {
        return op.done.holds(op.done.context, memory_.visible(self(), op.location));
    }
    /// With event clocks: could it have parked before the write that ended it? Without: did it,
    /// since which step?
    void note_wait(operation const& op, int waiting_since) {
        if (search_.tracks()) {
            if (memory_.of(self()).buffer.youngest(op.location) != nullptr) return;
            auto const write = search_.awaited_write(self(), memory_.at(op.location).used, op.done);
            if (write >= 0) wakes_.needs_notify({op.location, write, self()});
        } else if (waiting_since >= 0) {
            wakes_.needs_notify({op.location, waiting_since, self()});
        }
    }
    /// Where addresses are used again, who gets which block depends on the order of create and
    /// destroy.
    void heap_step() {
        if (!acting() || plan_.reuse == heap_reuse::never) return;
        operation& op = announcement();
        op = {};
        op.kind = op_kind::heap;
        op.location = heap_location;
        wait_turn();
        step s;
        s.what = footprint_of(self());
        s.memory = &memory_.at(heap_location).used;
        location& l = memory_.at(heap_location);
        memory_.learn(self(), l.published, memory_order::acquire);
        memory_.write(heap_location, 0, memory_.taught_by(self(), memory_order::release));
        done(s);
    }

    void mark_moment(op_kind kind, char const* what) {
        if (!acting()) return;
        operation& op = announcement();
        op = {};
        op.kind = kind;
        op.location = calls_location;
        wait_turn();
        step s;
        s.what = footprint_of(self());
        s.memory = &memory_.at(calls_location).used;
        if (story_ != nullptr) tell_step(what, {});
        done(s);
    }

    site_table& sites_;
};

/// The exploration that runs on this host thread; static members of the model machine find it here.
inline constinit thread_local exploration* running = nullptr;

}  // namespace detail

}  // namespace mmhold
