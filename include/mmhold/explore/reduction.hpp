// SPDX-License-Identifier: BSL-1.0
#pragma once

// reduction: the order of the steps of one execution, and which other executions that makes owing.
//
// Exhaustive search is source-DPOR with sleep sets (Abdulla, Aronis, Jonsson, Sagonas: "Source
// sets", J. ACM 2017). An execution is a list of steps; two executions that differ only in the
// order of steps that do not conflict count as one. Whenever a new step conflicts with an earlier
// one of another process and nothing orders the two otherwise, the opposite order is owed: some
// process is added to the backtrack set at the earlier step. A process whose alternatives are all
// explored goes to sleep there and wakes when something conflicting happens.
//
// What this search does beyond the paper – each item is a bug that random programs found in a
// prototype:
//   * an await is owed an earlier place before the youngest write before which it was enabled,
//     which need not be the last one; a write of its own actor ends that search, for nothing older
//     shines through;
//   * the same for a heavy fence and the stores that filled the buffers it waits for;
//   * an actor that waits for ever might have run earlier: its pending step is treated like one
//     that happened, also when the execution ends because everything left is asleep;
//   * a load served by the own store buffer reads nothing, but it becomes a reader of the word when
//     the store drains; a compare_exchange that fails is a load.

#include <mmhold/explore/trail.hpp>
#include <mmhold/explore/work_tree.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace mmhold {

namespace detail {

/// The steps of one execution in their order, and the alternatives at each of them.
class reduction : public trail {
    class races;

public:
    /// `p` waits for ever (or as long as this execution lasts) for `done` of `word`.
    void blocked_await(process p, std::uint32_t word, predicate const& done) {
        end_ = depth_;
        auto const base = program_clock(p);
        reverse_await(base, p, usage_of(word), done);
        for (auto const other :
             {last_ordered_, last_global_}) {  // they may have hidden what it waited for
            if (other < 0 || base.covers(event_at(other).by, event_at(other).sequence)) continue;
            reverse(other, base, p, owed_before::everything_independent);
        }
    }
    /// `p` waits for all store buffers to be empty and this execution ends before they are.
    void blocked_heavy_fence(process p) {
        end_ = depth_;
        reverse_heavy(program_clock(p), p);
    }

    /// The youngest write that made `done` true of the word, if another actor did it and `p` –
    /// whose await is the next step – may have been waiting already; -1 otherwise.
    [[nodiscard]] int awaited_write(process p, std::uint32_t word, predicate const& done) {
        auto& answer = event_at(depth_).parked_before;
        if (depth_ >= recorded_) answer = find_awaited_write(p, usage_of(word), done);
        return answer;
    }

protected:
    /// What is to be tried at one step.
    struct alternatives {
        choice who{};
        process_set backtrack{0};
        process_set sleep{0};
        process_set enabled{0};
        bool fresh{true};  // which store to read is still to be chosen
        std::uint32_t untried{0};
    };

    /// Is the opposite order of races owed?
    enum class owing : std::uint8_t { no, yes };

    explicit reduction(std::size_t longest) : trail{longest} {}
    ~reduction() = default;

    [[nodiscard]] alternatives& node_at(int i) noexcept {
        return nodes_[static_cast<std::size_t>(i)];
    }
    [[nodiscard]] alternatives const& node_at(int i) const noexcept {
        return nodes_[static_cast<std::size_t>(i)];
    }

    /// Makes room for the step at `depth` and the one behind it.
    void make_room_at(int depth) {
        auto const needed = static_cast<std::size_t>(depth) + 2;
        if (needed > nodes_.size()) grow(needed);
    }

    /// Computes what comes before the new step. With owing::yes the opposite order of its races is
    /// owed.
    void record(std::int16_t now, step const& s, owing whether) {
        end_ = now;
        event& e = event_at(now);
        event_clock base = program_clock(s.by);
        for (auto const required : s.after) {
            if (required >= 0) base.join(event_at(required).clock);
        }
        races found{*this, base};
        collect(found, s);
        e.sequence = next_sequence(s.by);
        e.clock = base;
        if (s.what.has(footprint::drains_all)) join_buffers(e.clock);
        for (int i = 0; i < found.count(); ++i) e.clock.join(event_at(found[i]).clock);
        e.clock.ticks[s.by] = e.sequence;
        if (whether == owing::yes) owe(found, s, base, e.clock);
    }
    /// Owes the opposite order of everything the new step races with.
    void owe(races const& found, step const& s, event_clock const& base, event_clock const& clock) {
        bool const waited = s.awaited != nullptr && s.what.location != 0;
        int const written = waited ? usage_of(s.what.location).last_write : -1;
        if (written >= 0) reverse_await(base, s.by, usage_of(s.what.location), *s.awaited);
        for (int i = 0; i < found.count(); ++i) {
            if (found[i] == written || !found.immediate(i)) continue;
            reverse(found[i], clock, s.by, owed_before::everything_independent);
        }
        if (s.what.has(footprint::drains_all)) reverse_heavy(base, s.by);
    }

    void collect(races& found, step const& s) {
        if (s.what.location != 0) {
            usage const& used = usage_of(s.what.location);
            auto const last = used.last_write;
            if (s.what.has(footprint::writes)) {
                found.consider(last);
                for (auto rest = used.readers; rest != 0; rest = without_first(rest)) {
                    auto const reader = std::countr_zero(rest);
                    if (reader != s.what.owner) found.consider(used.last_read[reader]);
                }
            } else if (last >= 0 && owner_of(event_at(last).by) != s.what.owner) {
                found.consider(last);
            }
        }
        if (s.what.has(footprint::ordered)) found.consider(last_ordered_);
        if (s.what.has(footprint::buffers)) {
            for (process q = 0; q < max_actors; ++q) {
                if (q != s.what.owner) found.consider(last_heavy_[q]);
            }
        }
        if (s.what.has(footprint::global)) {
            for (auto const last : last_) found.consider(last);
        } else {
            found.consider(last_global_);
        }
    }
    void join_buffers(event_clock& clock) const noexcept {
        for (process q = 0; q < max_actors; ++q) {
            if (auto const last = last_[buffer_of(q)]; last >= 0) clock.join(event_at(last).clock);
        }
    }

    // ---- one of several workers (work_tree.hpp) ----

    /// Goes to the first step of a branch.
    void enter_branch(job const& branch) {
        take_back(0);
        path_.clear();
        for (auto* s = branch.at; s != nullptr; s = s->before) path_.push_back(s);
        std::reverse(path_.begin(), path_.end());
        base_ = static_cast<int>(path_.size()) - 1;
        if (base_ < 0) return;
        make_room_at(base_);
        for (int i = 0; i <= base_; ++i) {
            auto const& s = *path_[static_cast<std::size_t>(i)];
            node_at(i) = alternatives{};
            node_at(i).enabled = s.enabled;
            if (i > 0) node_at(i - 1).who = s.taken_before;
        }
        alternatives& n = node_at(base_);
        n.who = {branch.who, 0};
        n.sleep = branch.sleep;
        if (branch.stores != 0) read_first_of(n, branch.stores);
    }
    static void read_first_of(alternatives& n, std::uint32_t stores) noexcept {
        n.who.back = static_cast<std::uint8_t>(std::countr_zero(stores));
        n.untried = stores & (stores - 1U);
        n.fresh = false;
    }
    /// Gives away what is to be tried at the shallowest step that has something.
    void share_branches() {
        int last = base_ + 1;
        while (last < depth_ && !has_more(node_at(last))) ++last;
        bool const own_stores = base_ >= 0 && node_at(base_).untried != 0;
        if (last == depth_ && !own_stores) return;
        if (own_stores) share_stores(base_);
        if (last == depth_) return;
        for (int i = base_ + 1; i <= last; ++i) {
            auto const& n = node_at(i);
            auto* const parent = i > 0 ? path_[static_cast<std::size_t>(i) - 1] : nullptr;
            auto const led_here = i > 0 ? node_at(i - 1).who : choice{};
            path_.push_back(
                tree_->share(parent, led_here, n.who.who, n.enabled, n.sleep, n.backtrack));
            if (n.untried != 0) share_stores(i);
        }
        base_ = last;
    }

    template<class Footprints>
    void keep_asleep(int now, step const& s, Footprints&& footprint_of) noexcept {
        process_set stays = node_at(now).sleep;
        for (process_set rest = stays; rest != 0; rest = without_first(rest)) {
            auto const p = static_cast<process>(std::countr_zero(rest));
            if (p == s.by || conflict(footprint_of(p), s.what))
                stays = static_cast<process_set>(stays & ~only(p));
        }
        node_at(now + 1).sleep = stays;
    }

    work_tree* tree_{nullptr};  // nullptr: the only worker
    int base_{-1};              // the last shared step; -1: none

private:
    enum class owed_before : std::uint8_t { everything_independent, own_past };

    [[nodiscard]] static bool has_more(alternatives const& n) noexcept {
        return n.untried != 0 || (n.backtrack & ~(n.sleep | only(n.who.who))) != 0;
    }
    void share_stores(int i) {
        alternatives& n = node_at(i);
        tree_->share_stores(path_[static_cast<std::size_t>(i)], n.who.who, n.sleep, n.untried);
        n.untried = 0;
    }
    [[gnu::noinline]] void grow(std::size_t needed) {
        auto const room = room_for(needed);
        make_room(room);
        nodes_.resize(room);
    }
    [[nodiscard]] std::int16_t find_awaited_write(process p, usage const& memory,
                                                  predicate const& done) const noexcept {
        for (auto w = memory.last_write; w >= 0; w = event_at(w).previous_write) {
            event const& e = event_at(w);
            if (owner_of(e.by) == p || in_past_of(p, w)) return -1;
            if (!done.holds(done.context, e.before)) return w;
        }
        return -1;
    }
    [[nodiscard]] event_clock program_clock(process p) const noexcept {
        return last_[p] >= 0 ? event_at(last_[p]).clock : event_clock{};
    }

    /// The steps that conflict with the new one and are not ordered before it otherwise.
    class races {
    public:
        races(reduction const& owner, event_clock const& base) noexcept
            : owner_{owner}, base_{base} {}
        void consider(std::int16_t index) noexcept {
            if (index < 0) return;
            event const& e = owner_.event_at(index);
            if (base_.covers(e.by, e.sequence)) return;
            for (int i = 0; i < count_; ++i) {
                if (found_[i] == index) return;  // conflicts in two ways
            }
            found_[count_++] = index;
        }
        [[nodiscard]] int count() const noexcept { return count_; }
        [[nodiscard]] std::int16_t operator[](int i) const noexcept { return found_[i]; }
        /// Nothing stands between this one and the new step.
        [[nodiscard]] bool immediate(int i) const noexcept {
            event const& e = owner_.event_at(found_[i]);
            for (int k = 0; k < count_; ++k) {
                if (k != i && owner_.event_at(found_[k]).clock.covers(e.by, e.sequence))
                    return false;
            }
            return true;
        }

    private:
        reduction const& owner_;
        event_clock const& base_;
        int count_{0};
        std::int16_t found_[3 * max_processes];
    };

    /// The new step of `by` (with clock `last`) could come before the step at `index`: owe that.
    void reverse(int index, event_clock const& last, process by, owed_before which) {
        event const& first = event_at(index);
        event_clock firsts;
        for (auto& tick : firsts.ticks) tick = std::numeric_limits<std::int16_t>::max();
        process_set initials = 0;
        process_set seen = 0;
        int fallback = by;
        for (int j = index + 1; j < end_; ++j) {
            event const& e = event_at(j);
            if ((seen & only(e.by)) != 0 || e.clock.covers(first.by, first.sequence)) continue;
            if (which == owed_before::own_past && !last.covers(e.by, e.sequence)) continue;
            if (!e.clock.reaches(firsts)) {
                if (initials == 0) fallback = e.by;
                initials |= only(e.by);
            }
            seen |= only(e.by);
            firsts.ticks[e.by] = e.sequence;
        }
        if ((seen & only(by)) == 0 && !last.reaches(firsts)) initials |= only(by);
        alternatives& n = node_at(index);
        initials = static_cast<process_set>(initials & n.enabled);
        if (initials == 0) return;
        auto const owed = (initials & only(by)) != 0 ? by : static_cast<process>(fallback);
        if (index <= base_)
            return tree_->owe(*path_[static_cast<std::size_t>(index)], initials, owed);
        if ((initials & (n.backtrack | n.sleep)) == 0) n.backtrack |= only(owed);
    }

    void reverse_await(event_clock const& base, process by, usage const& memory,
                       predicate const& done) {
        for (int w = memory.last_write; w >= 0; w = event_at(w).previous_write) {
            event const& e = event_at(w);
            if (owner_of(e.by) == by || base.covers(e.by, e.sequence)) return;
            if (done.holds(done.context, e.before)) {
                reverse(w, base, by, owed_before::everything_independent);
                return;
            }
        }
    }

    void reverse_heavy(event_clock const& base, process by) {
        for (int i = end_ - 1; i >= 0; --i) {
            event const& e = event_at(i);
            if (!e.buffers() || owner_of(e.by) == by || base.covers(e.by, e.sequence)) continue;
            event_clock needed = base;
            if (buffers_can_empty(i, needed)) {
                reverse(i, needed, by, owed_before::own_past);
                return;
            }
        }
    }
    /// Could every store be drained if the steps before `index` and those that `needed` knows had
    /// happened, without the step at `index`? Adds to `needed` the drains that takes, and what they
    /// need in turn.
    [[nodiscard]] bool buffers_can_empty(int index, event_clock& needed) const noexcept {
        event const& without = event_at(index);
        for (;;) {
            std::int16_t waiting[max_actors]{};
            std::int16_t drained[max_actors]{};
            for (int j = 0; j < end_; ++j) {
                event const& e = event_at(j);
                if (j >= index && !needed.covers(e.by, e.sequence)) continue;
                if (e.buffers()) ++waiting[e.by];
                if (e.drains()) ++drained[owner_of(e.by)];
            }
            int owner = 0;
            while (owner < static_cast<int>(max_actors) && waiting[owner] == drained[owner])
                ++owner;
            if (owner == static_cast<int>(max_actors)) return true;
            auto const drain =
                find_event(buffer_of(static_cast<process>(owner)), drained[owner] + 1);
            if (drain < 0 || event_at(drain).clock.covers(without.by, without.sequence))
                return false;
            needed.join(event_at(drain).clock);
        }
    }
    [[nodiscard]] int find_event(process by, int sequence) const noexcept {
        for (int j = 0; j < end_; ++j) {
            if (event_at(j).by == by && event_at(j).sequence == sequence) return j;
        }
        return -1;
    }

    std::vector<alternatives> nodes_{};
    std::vector<shared_step*> path_{};  // the steps up to base_
    int end_{0};                        // steps that were there before the one under consideration
};

}  // namespace detail

}  // namespace mmhold
