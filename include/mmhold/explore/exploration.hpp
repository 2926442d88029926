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

    // (Requests go by reference: copying one that was written in parts a moment ago stalls the
    // processor.)

    [[nodiscard]] std::uint64_t load(cell const& c, request const& r) {
        return acting() ? load_in_turn(c, r) : value_now(c);
    }
    void store(cell& c, std::uint64_t value, request const& r) {
        acting() ? store_in_turn(c, value, r) : set_now(c, value);
    }
    [[nodiscard]] std::uint64_t load_in_turn(cell const& c, request const& r) {
        operation& op = announced(op_kind::load, c, r);
        wait_turn();
        auto const value = perform_read(op, r);
        treat_after(r);
        return value;
    }
    void store_in_turn(cell& c, std::uint64_t value, request const& r) {
        operation& op = announced(op_kind::store, c, r);
        op.operand = value;
        op.locked = tso() && op.order == memory_order::seq_cst;
        wait_turn();
        perform_store(op, r);
        treat_after(r);
    }
    [[nodiscard]] std::uint64_t update(op_kind kind, cell& c, std::uint64_t operand,
                                       std::uint64_t mask, request const& r) {
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
                                        request const& r) {
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
    [[nodiscard]] std::uint64_t await(cell const& c, predicate done, waiting how,
                                      request const& r) {
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
        me_->parked_at = -1;
        wait_turn();
        if (op.parks) note_wait(op, me_->parked_at);
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
        if (auto* const entry = mine().buffer.youngest(id); entry != nullptr) {
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

    void fence(request const& r) {
        if (!acting()) return;
        auto const order = sites_.order_of_fence(r, site_kind::fence);
        if (order == memory_order::relaxed) return;  // nothing is left of it
        bool const full = order == memory_order::seq_cst;
        if (full && plan_.memory != memory_model::sc) {
            operation& op = announcement();
            op = {op_kind::fence, order, tso()};
            wait_turn();
            begin(op);
            if (story_ != nullptr) tell_step("full fence", r);
            memory_.sync_fence(self(), memory_order::acquire);
            if (stale()) memory_.ordered_fence(self());
            memory_.sync_fence(self(), memory_order::release);
            mine().exposed = false;
            done();
        } else {
            memory_.sync_fence(self(), order);
            ++mine().known.ticks[self()];
        }
    }
    /// Orders nothing by itself. Switched off, it leaves what stands before it out of reach of
    /// heavy fences.
    void light_fence(request const& r) {
        if (!acting()) return;
        bool const there =
            sites_.order_of_fence(r, site_kind::light_fence) != memory_order::relaxed;
        if (!there) mine().buffer.expose();
        mine().exposed = !there;
    }
    void heavy_fence(request const& r) {
        if (!acting()) return;
        auto const order = sites_.order_of_fence(r, site_kind::heavy_fence);
        if (order == memory_order::relaxed) return;
        if (plan_.memory == memory_model::sc) {  // nothing to drain, but a fence all the same
            memory_.sync_fence(self(), order);
            ++mine().known.ticks[self()];
            return;
        }
        operation& op = announcement();
        op = {op_kind::heavy_fence, memory_order::acq_rel, tso()};
        wait_turn();
        begin(op);
        if (story_ != nullptr) tell_step("heavy fence", r);
        memory_.sync_fence(self(), memory_order::acquire);
        if (stale()) memory_.heavy_fence(self());
        memory_.sync_fence(self(), memory_order::release);
        done();
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
        auto& block = *heap_.find(address);
        died(block);
        heap_.release(block, now_epoch());
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

    [[nodiscard, gnu::always_inline]] operation& announced(op_kind kind, cell const& c,
                                                           request const& r) {
        if (story_ != nullptr) announced_[self()] = r.where;
        auto const where = enter(c);
        operation& op = announcement();
        op.kind = kind;
        op.order = sites_.order_of(r, kind);
        op.locked = false;
        op.location = where;
        op.mask = ~std::uint64_t{0};
        return op;
    }
    [[nodiscard, gnu::always_inline]] std::uint32_t enter(cell const& c) {
        if (auto const id = memory_.find(c); id != 0) return id;
        return enter_anew(c);
    }
    [[nodiscard, gnu::noinline]] std::uint32_t enter_anew(cell const& c) {
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
    /// The turn has come. A step that is known was judged when it was taken first.
    [[gnu::always_inline]] void begin(operation const& op) {
        if (!search_.known()) begin_unknown(op);
    }
    [[gnu::noinline]] void begin_unknown(operation const& op) {
        if (op.location != 0) judge_use(op.location, memory_.at(op.location));
        if (!search_.tracks()) return;
        step_ = step{};
        step_.by = self();
        step_.what = footprint_of(self());
        step_.before = memory_.at(op.location).value;
        if (op.kind == op_kind::await) step_.awaited = &op.done;
        if (op.locked) {
            step_.after[0] = search_.last_step_of(buffer_of(self()));
        } else if (step_.what.has(footprint::buffers)) {
            step_.after[0] = mine().buffer.room_since(static_cast<unsigned>(plan_.buffer_depth));
        }
    }
    /// The word of the step, which knows from now on when the actor used it last.
    [[nodiscard, gnu::always_inline]] location& used(operation const& op) {
        location& l = memory_.at(op.location);
        l.touched.ticks[self()] = mine().known.ticks[self()];
        return l;
    }
    /// Is the word still there, and was its birth known?
    void judge_use(std::uint32_t where, location const& l) {
        if (!l.alive) {
            tell_use(l.self);
            used_after_death(l.self);
        }
        if (!memory_.happened_before(l.born, self())) born_elsewhere(where, l);
    }
    [[noreturn, gnu::noinline]] void born_elsewhere(std::uint32_t where, location const& l) {
        tell_use(l.self);
        clash(l.born);
        fail(finding_kind::data_race, [&] {
            return std::string{actor_name() + " uses " + name_of(where) + ", but that " +
                               owner_text(l.born) + " made it is not ordered before"};
        });
    }

    [[nodiscard, gnu::always_inline]] std::uint64_t perform_read(operation const& op,
                                                                 request const& r) {
        begin(op);
        location& l = used(op);
        std::uint64_t value = l.value;
        if (stale()) {
            value = read_stale(op);
        } else if (auto* const own = mine().buffer.youngest(op.location); own != nullptr) {
            own->served = static_cast<std::int16_t>(depth());
            value = own->value;
        } else {
            memory_.learn(self(), l.published, op.order);
        }
        if (op.kind == op_kind::await && !op.done.holds(op.done.context, value)) ended_early();
        if (story_ != nullptr) tell_read(op, value, r);
        done();
        return value;
    }
    [[noreturn, gnu::noinline]] void ended_early() {
        fail(finding_kind::hidden_state,
             [&] { return std::string{"an await was chosen that cannot go on"}; });
    }
    [[nodiscard]] std::uint64_t read_stale(operation const& op) {
        if (op.order == memory_order::seq_cst) memory_.raise_to_ordered(self(), op.location);
        auto back = search_.repeated_store();
        if (!search_.known()) {
            auto const readable = readable_by(self(), op);
            if (readable > 1)
                step_.awaited = nullptr;  // it could have gone on before the newest store, too
            back = search_.choose_store(readable);
        }
        message const m = memory_.back_from_newest(op.location, back);
        memory_.read_message(self(), op.location, m, op.order);
        return m.value;
    }

    [[gnu::always_inline]] void perform_store(operation const& op, request const& r) {
        begin(op);
        location& l = used(op);
        bool const buffered = tso() && !op.locked;
        if (story_ != nullptr) tell_store(op, buffered ? " (buffered)" : "", r);
        if (stale()) {
            if (op.order == memory_order::seq_cst) memory_.raise_to_ordered(self(), op.location);
            memory_.append(self(), op.location, op.operand, op.order,
                           static_cast<std::int16_t>(depth()), false);
        } else if (buffered) {
            store_buffer& buffer = mine().buffer;
            buffered_store& entry = buffer.push();
            entry.location = op.location;
            entry.value = op.operand;
            entry.stored_at = static_cast<std::int16_t>(depth());
            entry.served = -1;
            entry.exposed = false;
            entry.notified = 0;
            entry.published = memory_.taught_by(self(), op.order);
        } else {
            l.write(op.operand, memory_.taught_by(self(), op.order));
        }
        done();
    }

    /// Updates see the newest value. A failed compare_exchange is a load of it (never a stale one).
    [[nodiscard]] std::uint64_t perform_update(operation const& op, request const& r) {
        begin(op);
        location& l = used(op);
        auto const old = l.value;
        bool const fails = op.kind == op_kind::compare_exchange && old != op.expected;
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
                l.write(value, carried);
            }
        }
        if (story_ != nullptr) tell_update(op, old, value, r);
        done();
        return old;
    }

    [[gnu::noinline]] void tell_read(operation const& op, std::uint64_t value, request const& r) {
        tell_step((op.kind == op_kind::await ? "await " : "load ") + name_of(op.location) + " = " +
                      shown(value) +
                      (step_.what.location == 0                 ? " (own buffer)"
                       : value != memory_.at(op.location).value ? " (stale)"
                                                                : ""),
                  r, story_line::access::load);
    }
    [[gnu::noinline]] void tell_store(operation const& op, char const* how, request const& r) {
        tell_step("store " + name_of(op.location) + " = " + shown(op.operand) + how, r,
                  story_line::access::store);
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
    /// With event clocks: could it have parked before the write that ended it? Without: did it,
    /// since which step?
    void note_wait(operation const& op, int waiting_since) {
        if (search_.tracks()) {
            if (mine().buffer.youngest(op.location) != nullptr) return;
            auto const write = search_.awaited_write(self(), op.location, op.done);
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
        begin(op);
        location& l = used(op);
        memory_.learn(self(), l.published, memory_order::acquire);
        l.write(0, memory_.taught_by(self(), memory_order::release));
        done();
    }

    void mark_moment(op_kind kind, char const* what) {
        if (!acting()) return;
        operation& op = announcement();
        op = {};
        op.kind = kind;
        op.location = calls_location;
        wait_turn();
        begin(op);
        if (story_ != nullptr) tell_step(what, {});
        done();
    }

    site_table& sites_;
};

/// The exploration that runs on this host thread; static members of the model machine find it here.
inline constinit thread_local exploration* running = nullptr;

}  // namespace detail

}  // namespace mmhold
