// SPDX-License-Identifier: BSL-1.0
#pragma once

// search: which process goes next, in this execution and in the next one.

#include <mmhold/explore/choices.hpp>
#include <mmhold/explore/plan.hpp>
#include <mmhold/explore/reduction.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// The choices of all executions of one exploration (see reduction.hpp for those that are owed).
class search : public reduction {
public:
    explicit search(plan const& p)
        : reduction{static_cast<std::size_t>(p.longest)}, kind_{p.search}, seed_{p.seed} {}

    /// Does this search compute event clocks?
    [[nodiscard]] bool reduces() const noexcept { return kind_ == search_kind::all; }
    /// Are event clocks kept? (A replay needs them to judge wake-ups, but owes nothing.)
    [[nodiscard]] bool tracks() const noexcept { return reduces() || kind_ == search_kind::replay; }
    /// Was the choice at the present depth made in an earlier execution?
    [[nodiscard]] bool repeating() const noexcept { return depth_ < forced_; }
    /// The step that wrote the word last; -1: none, or this search does not keep track.
    [[nodiscard]] int last_write_of(std::uint32_t word) {
        return tracks() ? usage_of(word).last_write : -1;
    }
    /// The actor whose step (or whose buffer's step) that was.
    [[nodiscard]] process who_did(int step) const noexcept {
        return owner_of(node_at(step).who.who);
    }
    [[nodiscard]] process repeated() const noexcept { return node_at(depth_).who.who; }
    [[nodiscard]] std::uint8_t repeated_store() const noexcept { return node_at(depth_).who.back; }
    /// Was the next step taken in an earlier execution, after the same steps? Then it was judged
    /// there, and what it touches is known.
    [[nodiscard]] bool known() const noexcept { return depth_ < recorded_; }
    /// Does the search want to know what the next step touches?
    [[nodiscard]] bool wants_footprint() const noexcept { return tracks() && !known(); }

    /// Starts over at the first step.
    void begin_execution() noexcept {
        if (depth_ > longest_) longest_ = depth_;
        if (number_ <= pilots) length_ = longest_;
        depth_ = 0;
        take_back(forced_ > 0 ? forced_ - 1 : 0);
        next_in_script_ = 0;
        if (!draws()) return;
        random_ = random_numbers::of_execution(seed_, number_);
        if (kind_ == search_kind::pct) {
            priorities_.draw(random_, length_ > 0 ? static_cast<std::uint32_t>(length_) : 50U);
        }
        number_ += stride_;
    }
    [[nodiscard]] int longest() const noexcept { return depth_ > longest_ ? depth_ : longest_; }

    /// Follow these choices; where one cannot be taken, `strict` says whether that is an error.
    enum class script_rule : std::uint8_t { strict, lenient };
    void follow(std::vector<choice> script, script_rule rule) {
        kind_ = search_kind::replay;
        script_ = std::move(script);
        rule_ = rule;
    }

    // ---- one of several workers ----

    /// So many executions tell PCT how long one is.
    static constexpr std::uint64_t pilots = 16;
    /// Are executions drawn by lot, and therefore numbered?
    [[nodiscard]] bool draws() const noexcept {
        return kind_ == search_kind::random || kind_ == search_kind::pct;
    }
    /// The number, from 0, of the execution that begins next.
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    /// Draw every `stride`th execution from `first` on; one takes about `length` steps.
    void draw_every(std::uint64_t stride, std::uint64_t first, int length) noexcept {
        stride_ = stride;
        number_ = first;
        longest_ = length_ = length;
    }
    [[nodiscard]] int usual_length() const noexcept { return length_; }
    void work_on(work_tree& tree) noexcept { tree_ = &tree; }
    /// Goes to a branch that nobody is in; false: none is left.
    [[nodiscard]] bool take_job() {
        job branch;
        if (!tree_->next(branch, had_job_)) return false;
        had_job_ = work_tree::before::a_job;
        enter_branch(branch);
        forced_ = base_ + 1;
        return true;
    }

    static constexpr int nobody = -1;      ///< nothing can run, or all that can is asleep
    static constexpr int off_script = -2;  ///< a strict script names somebody who cannot run

    /// Who goes next? `current` is preferred where it makes no difference: a switch costs time.
    [[nodiscard]] int choose(process_set enabled, process current) {
        make_room_at(depth_);
        alternatives& n = node_at(depth_);
        if (kind_ != search_kind::all) n.sleep = 0;  // left over from an earlier execution
        auto const awake = static_cast<process_set>(enabled & ~n.sleep);
        n.untried = 0;
        n.fresh = true;
        n.who.back = 0;
        if (awake == 0) return nobody;
        int const who = pick(awake, current);
        if (who < 0) return who;
        n.who.who = static_cast<process>(who);
        n.enabled = enabled;
        n.backtrack = kind_ == search_kind::brute ? enabled : only(n.who.who);
        return who;
    }

    /// Which of the stores that a load may see? Bit k of `readable`: the one k back from the
    /// newest.
    [[nodiscard]] std::uint8_t choose_store(std::uint32_t readable) noexcept {
        alternatives& n = node_at(depth_);
        if (repeating()) {
            if (depth_ + 1 == forced_ && n.fresh) {
                n.fresh = false;
                take_store(n, readable);
            }
            return n.who.back;
        }
        n.fresh = false;
        take_store(n, readable);
        return n.who.back;
    }

    /// Adds the step that was just executed and was not known. `footprint_of(p)` answers what
    /// sleeping process p is about to do.
    template<class Footprints>
    void commit(step const& s, Footprints&& footprint_of) {
        int const now = depth_++;
        if (!tracks()) return;
        bool const fresh = reduces() && now + 1 >= forced_;
        record(static_cast<std::int16_t>(now), s, fresh ? owing::yes : owing::no);
        remember(static_cast<std::int16_t>(now), s);
        if (fresh) keep_asleep(now, s, footprint_of);
    }
    /// The step that was just executed was known.
    void commit_known() noexcept { ++depth_; }
    /// Prepares the next execution; false if none is owed.
    [[nodiscard]] bool next_execution() {
        if (depth_ > longest_) longest_ = depth_;
        if (draws()) return true;
        if (kind_ == search_kind::replay) return false;
        if (tree_ != nullptr && tree_->hungry()) share_branches();
        for (; depth_ > base_ + 1; --depth_) {
            alternatives& n = node_at(depth_ - 1);
            if (n.untried != 0) return read_another(n);
            n.sleep |= only(n.who.who);
            auto const owed = static_cast<process_set>(n.backtrack & ~n.sleep);
            if (owed != 0) {
                n.who = {static_cast<process>(std::countr_zero(owed)), 0};
                n.fresh = true;
                forced_ = depth_;
                return true;
            }
        }
        // At the step where this worker's branch begins, others are not its business.
        bool const more = base_ >= 0 && depth_ == base_ + 1 && node_at(base_).untried != 0;
        return more && read_another(node_at(base_));
    }

    /// The choices of the present execution.
    [[nodiscard]] std::vector<choice> choices() const {
        std::vector<choice> made;
        for (int i = 0; i < depth_; ++i) made.push_back(node_at(i).who);
        return made;
    }

private:
    bool read_another(alternatives& n) noexcept {
        read_first_of(n, n.untried);
        forced_ = depth_;
        return true;
    }
    [[nodiscard]] int pick(process_set awake, process current) noexcept {
        switch (kind_) {
            case search_kind::random: return random_.member_of(awake);
            case search_kind::pct: return priorities_.highest(awake, depth_);
            case search_kind::replay: {
                while (next_in_script_ < script_.size()) {
                    process const who = script_[next_in_script_++].who;
                    if ((awake & only(who)) != 0) return who;
                    if (rule_ == script_rule::strict) return off_script;
                }
                break;
            }
            default: break;
        }
        if ((awake & only(current)) != 0) return current;
        return std::countr_zero(awake);
    }

    void take_store(alternatives& n, std::uint32_t readable) noexcept {
        switch (kind_) {
            case search_kind::random:
            case search_kind::pct:
                n.untried = 0;
                n.who.back = static_cast<std::uint8_t>(random_bit(readable));
                return;
            case search_kind::replay: {
                bool const scripted = next_in_script_ > 0 && next_in_script_ <= script_.size();
                auto const back = scripted ? script_[next_in_script_ - 1].back : std::uint8_t{0};
                bool const there = (readable >> back & 1U) != 0;
                n.who.back = there ? back : static_cast<std::uint8_t>(std::countr_zero(readable));
                return;
            }
            default:
                n.who.back = static_cast<std::uint8_t>(std::countr_zero(readable));
                n.untried = readable & (readable - 1U);
        }
    }
    [[nodiscard]] int random_bit(std::uint32_t set) noexcept {
        for (auto skip = random_.below(static_cast<std::uint32_t>(std::popcount(set))); skip != 0;
             --skip) {
            set &= set - 1U;
        }
        return std::countr_zero(set);
    }

    search_kind kind_;
    std::uint64_t seed_;
    std::uint64_t number_{0};  // of the next execution
    std::uint64_t stride_{1};
    random_numbers random_{0};
    random_priorities priorities_{};
    int forced_{0};  // steps chosen by an earlier execution
    int longest_{0};
    int length_{0};  // of the pilots
    work_tree::before had_job_{work_tree::before::nothing};
    std::vector<choice> script_{};
    std::size_t next_in_script_{0};
    script_rule rule_{script_rule::strict};
};

}  // namespace detail

}  // namespace mmhold
