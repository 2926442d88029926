// SPDX-License-Identifier: BSL-1.0
#pragma once

// trail: the steps of one execution and what they touched, kept from one execution to the next.
//
// An execution begins as the one before it did and differs from some step on. What is known about
// the common beginning – clocks, who touched which word last – is therefore not computed again: the
// steps behind it are taken back one by one, as a database takes back a transaction, and the rest
// stands. A word is called by its number; numbers are given out in the order of first use, so the
// common beginning gives the same numbers.

#include <mmhold/explore/choices.hpp>
#include <mmhold/explore/operation.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mmhold {

namespace detail {

/// Who touched a word last.
struct usage {
    std::int16_t last_write{-1};
    process_set readers{0};  // actors that read since
    std::int16_t last_read[max_actors]{};
};

/// One executed step, as the search needs it.
struct step {
    process by{0};
    footprint what{};
    std::uint64_t before{0};  // value that a write replaced
    std::int16_t after[2]{-1,
                          -1};  // steps that had to happen first (drains, the store behind a drain)
    std::int16_t forwarded{-1};         // drain: the youngest load that the buffer served
    predicate const* awaited{nullptr};  // await that needs the newest store: nothing older would do
};

class trail {
public:
    /// Is the step at `index` in the past of what p does next?
    [[nodiscard]] bool in_past_of(process p, int index) const noexcept {
        event const& e = event_at(index);
        return last_[p] >= 0 && event_at(last_[p]).clock.covers(e.by, e.sequence);
    }
    /// Does what `caller` does behind its step at `step` (-1: from the start) come after `write` in
    /// every order of these steps? A store of its own it did before, whenever that was drained.
    [[nodiscard]] bool must_follow(int step, process caller, int write) const noexcept {
        event const& w = event_at(write);
        if (owner_of(w.by) == caller) return step >= write;
        return step >= 0 && event_at(step).clock.covers(w.by, w.sequence);
    }
    [[nodiscard]] std::int16_t last_step_of(process p) const noexcept { return last_[p]; }
    [[nodiscard]] int depth() const noexcept { return depth_; }

protected:
    /// A step with its clock, and what has to be put back when it is taken back. 64 bytes.
    struct event {
        event_clock clock{};
        std::uint64_t before{0};
        footprint what{};
        std::int16_t sequence{0};
        std::int16_t previous_write{-1};
        std::int16_t previous_read{-1};
        std::int16_t previous_step{-1};     // of the same process
        std::int16_t previous_special{-1};  // the last that was ordered, global or drains_all
        process_set previous_readers{0};
        std::int16_t parked_before{-1};  // see reduction::awaited_write
        process by{0};

        [[nodiscard]] bool buffers() const noexcept { return what.has(footprint::buffers); }
        [[nodiscard]] bool drains() const noexcept { return is_buffer(by); }
    };

    explicit trail(std::size_t longest) : longest_{longest + 2}, used_(16) {
        for (auto& last : last_) last = -1;
        for (auto& heavy : last_heavy_) heavy = -1;
    }
    ~trail() = default;

    [[nodiscard]] event& event_at(int i) noexcept { return events_[static_cast<std::size_t>(i)]; }
    [[nodiscard]] event const& event_at(int i) const noexcept {
        return events_[static_cast<std::size_t>(i)];
    }
    [[nodiscard]] usage& usage_of(std::uint32_t word) {
        if (word >= used_.size()) used_.resize(std::size_t{word} * 2);
        return used_[word];
    }
    /// How many steps there will be room for, if not for that many yet.
    [[nodiscard]] std::size_t room_for(std::size_t steps) const noexcept {
        return std::min(longest_, std::max(std::size_t{64}, steps * 2));
    }
    void make_room(std::size_t room) { events_.resize(room); }

    /// Takes back every step from `first` on; those before stay.
    void take_back(int first) noexcept {
        while (recorded_ > first) put_back(event_at(--recorded_));
    }
    /// Adds the step at `now`: its clock is there already.
    void remember(std::int16_t now, step const& s) {
        event& e = event_at(now);
        e.by = s.by;
        e.what = s.what;
        e.before = s.before;
        e.previous_step = last_[s.by];
        last_[s.by] = now;
        if (s.what.location != 0) remember_use(now, s, e);
        if (s.what.has(footprint::ordered)) swap_in(last_ordered_, e, now);
        if (s.what.has(footprint::drains_all)) swap_in(last_heavy_[s.what.owner], e, now);
        if (s.what.has(footprint::global)) swap_in(last_global_, e, now);
        recorded_ = now + 1;
    }
    [[nodiscard]] std::int16_t next_sequence(process p) const noexcept {
        return static_cast<std::int16_t>(last_[p] >= 0 ? event_at(last_[p]).sequence + 1 : 1);
    }

    int depth_{0};     // steps so far
    int recorded_{0};  // steps that are known, from this execution or an earlier one
    std::int16_t last_[max_processes];
    std::int16_t last_heavy_[max_actors];
    std::int16_t last_ordered_{-1};
    std::int16_t last_global_{-1};

private:
    static void swap_in(std::int16_t& last, event& e, std::int16_t now) noexcept {
        e.previous_special = last;
        last = now;
    }
    void remember_use(std::int16_t now, step const& s, event& e) {
        usage& used = usage_of(s.what.location);
        auto& mine = used.last_read[s.what.owner];
        e.previous_write = used.last_write;
        e.previous_readers = used.readers;
        e.previous_read = mine;
        if (s.what.has(footprint::writes)) {
            used.last_write = now;
            used.readers = s.forwarded >= 0 ? only(s.what.owner) : process_set{0};
            if (s.forwarded >= 0) mine = s.forwarded;
        } else if (s.what.has(footprint::reads)) {
            used.readers |= only(s.what.owner);
            mine = now;
        }
    }
    void put_back(event const& e) noexcept {
        last_[e.by] = e.previous_step;
        if (e.what.location != 0) {
            usage& used = used_[e.what.location];
            used.last_write = e.previous_write;
            used.readers = e.previous_readers;
            used.last_read[e.what.owner] = e.previous_read;
        }
        if (e.what.has(footprint::ordered)) last_ordered_ = e.previous_special;
        if (e.what.has(footprint::drains_all)) last_heavy_[e.what.owner] = e.previous_special;
        if (e.what.has(footprint::global)) last_global_ = e.previous_special;
    }

    std::size_t longest_;
    std::vector<event> events_{};
    std::vector<usage> used_;
};

}  // namespace detail

}  // namespace mmhold
