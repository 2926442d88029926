// SPDX-License-Identifier: BSL-1.0
#pragma once

// What the program says about itself, and what follows from it: names for reports, who holds which
// lock, in which order locks are taken over all executions, and which waits were never answered by
// a notify.

#include <mmhold/explore/choices.hpp>
#include <mmhold/explore/operation.hpp>
#include <mmhold/explore/plan.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// Names of objects, in one execution.
class object_names {
public:
    static constexpr std::size_t no_index = static_cast<std::size_t>(-1);

    void begin_execution() noexcept {
        names_.clear();
        nameless_.clear();
    }
    void add(void const* object, char const* text, std::size_t index) {
        names_.push_back({object, text, index});
    }
    /// "pte[3]"; an object without a name is called by the named one at most 256 bytes before it,
    /// or numbered as it is asked for: addresses differ from run to run.
    [[nodiscard]] std::string of(void const* object) const {
        auto const text = lasting(object);
        return text.empty() ? numbered(reinterpret_cast<std::uintptr_t>(object)) : text;
    }
    /// The same for comparisons between executions: without a name, the address.
    [[nodiscard]] std::string key(void const* object) const {
        auto const text = lasting(object);
        return text.empty() ? hexadecimal(reinterpret_cast<std::uintptr_t>(object)) : text;
    }
    /// "&n0" if exactly this address has a name, else "".
    [[nodiscard]] std::string pointer(std::uint64_t value) const {
        for (auto i = names_.size(); i-- > 0;) {
            if (reinterpret_cast<std::uintptr_t>(names_[i].object) != value) continue;
            std::string text{'&'};
            text += plain(names_[i]);
            return text;
        }
        return {};
    }
    [[nodiscard]] static std::string hexadecimal(std::uint64_t value) {
        char text[24];
        std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
        return text;
    }

private:
    [[nodiscard]] std::string lasting(void const* object) const {
        auto const at = reinterpret_cast<std::uintptr_t>(object);
        named const* best = nullptr;
        std::uintptr_t best_at = 0;
        for (auto const& n : names_) {
            auto const here = reinterpret_cast<std::uintptr_t>(n.object);
            if (here <= at && at - here <= nearby && (best == nullptr || here >= best_at)) {
                best = &n;
                best_at = here;
            }
        }
        if (best == nullptr) return {};
        auto text = plain(*best);
        if (at != best_at) text.append(1, '+').append(std::to_string(at - best_at));
        return text;
    }
    [[nodiscard]] std::string numbered(std::uintptr_t address) const {
        std::size_t i = 0;
        while (i < nameless_.size() && nameless_[i] != address) ++i;
        if (i == nameless_.size()) nameless_.push_back(address);
        return std::string{"unnamed"}.append(std::to_string(i + 1));
    }

    static constexpr std::uintptr_t nearby = 256;
    struct named {
        void const* object;
        char const* text;
        std::size_t index;
    };
    [[nodiscard]] static std::string plain(named const& n) {
        if (n.index == no_index) return n.text;
        return std::string{n.text}.append(1, '[').append(std::to_string(n.index)).append(1, ']');
    }

    std::vector<named> names_{};
    mutable std::vector<std::uintptr_t> nameless_{};
};

/// A lock and how it is held.
struct held_lock {
    void const* lock{nullptr};
    lock_mode mode{lock_mode::shared};
};

/// Who holds what, in one execution.
class lock_ledger {
public:
    void begin_execution() noexcept {
        for (auto& mine : held_) mine.clear();
        given_.clear();
    }
    [[nodiscard]] std::vector<held_lock> const& of(process actor) const noexcept {
        return held_[actor];
    }
    [[nodiscard]] bool holds(process actor, void const* lock) const noexcept {
        for (auto const& h : held_[actor]) {
            if (h.lock == lock) return true;
        }
        return false;
    }
    /// Another actor whose hold excludes this one; -1: nobody.
    [[nodiscard]] int excluded_by(process actor, void const* lock, lock_mode mode) const noexcept {
        for (process other = 0; other < max_actors; ++other) {
            if (other == actor) continue;
            for (auto const& h : held_[other]) {
                bool const clash = mode == lock_mode::exclusive || h.mode == lock_mode::exclusive;
                if (h.lock == lock && clash) return other;
            }
        }
        return -1;
    }
    void take(process actor, void const* lock, lock_mode mode) {
        held_[actor].push_back({lock, mode});
    }
    /// False if that was not held in that mode.
    [[nodiscard]] bool give(process actor, void const* lock, lock_mode mode, std::uint32_t now) {
        auto& mine = held_[actor];
        for (auto i = mine.size(); i-- > 0;) {
            if (mine[i].lock == lock && mine[i].mode == mode) {
                mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(i));
                note_given(lock, mode, now);
                return true;
            }
        }
        return false;
    }
    /// When somebody gave up a hold that excludes this one, without that being known (`known`) to
    /// whoever takes it now; 0: all such is known. The two holds would overlap in another order of
    /// the same execution.
    [[nodiscard]] std::uint32_t given_unordered(void const* lock, lock_mode mode,
                                                sync_clock const& known) const noexcept {
        for (auto const& g : given_) {
            bool const clash = mode == lock_mode::exclusive || g.mode == lock_mode::exclusive;
            if (g.lock == lock && clash &&
                !known.covers(epoch_actor(g.moment), epoch_tick(g.moment)))
                return g.moment;
        }
        return 0;
    }

private:
    struct given_lock {
        void const* lock;
        lock_mode mode;
        std::uint32_t moment;  // the last of that actor
    };
    void note_given(void const* lock, lock_mode mode, std::uint32_t now) {
        for (auto& g : given_) {
            if (g.lock == lock && g.mode == mode && epoch_actor(g.moment) == epoch_actor(now)) {
                g.moment = now;
                return;
            }
        }
        given_.push_back({lock, mode, now});
    }

    std::vector<held_lock> held_[max_actors];
    std::vector<given_lock> given_{};
};

/// In which order locks are taken, over all executions. A cycle is a finding even if no execution
/// deadlocks in it.
class lock_order_graph {
public:
    struct edge {
        std::string first;
        std::string then;
        lock_mode first_mode;
        lock_mode then_mode;
        process actor;
        std::vector<choice> way{};  // the choices that led there
        std::uint64_t execution{0};
        std::uint32_t moment{0};
    };

    /// Was this pair of addresses not seen yet? (Names are dear; this is asked first.)
    [[nodiscard]] bool is_new(held_lock const& first, held_lock const& then) {
        for (auto const& p : pairs_) {
            if (p.first.lock == first.lock && p.second.lock == then.lock &&
                p.first.mode == first.mode && p.second.mode == then.mode) {
                return false;
            }
        }
        pairs_.emplace_back(first, then);
        return true;
    }

    /// Notes that `actor` takes `then` while holding `first`. Answers the edges that close a cycle
    /// (the newest last); empty: none does.
    [[nodiscard]] std::vector<edge> add(edge fresh) {
        for (auto const& e : edges_) {
            bool const same = e.first == fresh.first && e.then == fresh.then &&
                              e.first_mode == fresh.first_mode && e.then_mode == fresh.then_mode;
            if (same) return {};
        }
        edges_.push_back(fresh);
        std::vector<edge> path;
        std::vector<std::string> seen;
        if (!path_between(fresh.then, fresh.first, path, seen)) return {};
        if (path.size() == 1 && !collides(path.front(), fresh)) return {};
        path.push_back(fresh);
        return path;
    }

private:
    /// Two actors that hold one lock each and want the other: do they exclude each other at both?
    [[nodiscard]] static bool collides(edge const& a, edge const& b) noexcept {
        auto const clash = [](lock_mode x, lock_mode y) {
            return x == lock_mode::exclusive || y == lock_mode::exclusive;
        };
        return clash(a.first_mode, b.then_mode) && clash(a.then_mode, b.first_mode);
    }
    [[nodiscard]] bool path_between(std::string const& from, std::string const& to,
                                    std::vector<edge>& path, std::vector<std::string>& seen) const {
        for (auto const& s : seen) {
            if (s == from) return false;
        }
        seen.push_back(from);
        for (auto const& e : edges_) {
            if (e.first != from) continue;
            path.push_back(e);
            if (e.then == to || path_between(e.then, to, path, seen)) return true;
            path.pop_back();
        }
        return false;
    }

    std::vector<edge> edges_{};
    std::vector<std::pair<held_lock, held_lock>> pairs_{};
};

/// Which parked waits became true, and whether somebody said so. A wait that may have parked before
/// the write that made it true needs a notify after that write.
class wake_ledger {
public:
    struct wait {
        std::uint32_t location;
        int made_true_at;  // step
        process waiter;
    };
    enum class how_many : std::uint8_t { one, all };
    static constexpr std::uint8_t everybody = 255;

    void begin_execution() noexcept {
        waits_.clear();
        calls_.clear();
    }
    void needs_notify(wait w) { waits_.push_back(w); }
    /// `waiting`: how many stood there to be woken.
    void notified(std::uint32_t location, int steps_before, how_many many, process by = 0,
                  int waiting = 0) {
        calls_.push_back({location, steps_before, many, by, waiting});
    }
    /// What there was of notifies for an unanswered wait: too early, or too few.
    [[nodiscard]] std::string calls_in_words(wait const& w) const {
        std::string text;
        int late = 0;
        for (auto const& c : calls_) {
            if (c.location != w.location) continue;
            if (c.steps_before > w.made_true_at) {
                ++late;
                continue;
            }
            text += text.empty() ? " (" : ", ";
            text += actor_text(c.by);
            text += c.many == how_many::all ? "'s notify_all" : "'s notify_one";
            text += " after " + std::to_string(c.steps_before) + " steps came too early";
            if (c.waiting == 0) text += " and found nobody";
        }
        if (late != 0) {
            text += text.empty() ? " (" : ", ";
            text += std::to_string(late) + " notify_one for more waiters than that";
        }
        return text.empty() ? text : text + ")";
    }
    /// The first wait nobody answered; nullptr: none.
    [[nodiscard]] wait const* unanswered() const noexcept {
        for (auto const& w : waits_) {
            int singles = 0;
            bool all = false;
            for (auto const& c : calls_) {
                if (c.location != w.location || c.steps_before <= w.made_true_at) continue;
                all = all || c.many == how_many::all;
                ++singles;
            }
            int waiting = 0;
            for (auto const& other : waits_) {
                waiting += other.location == w.location && other.made_true_at >= w.made_true_at;
            }
            if (!all && singles < waiting) return &w;
        }
        return nullptr;
    }

private:
    struct call {
        std::uint32_t location;
        int steps_before;
        how_many many;
        process by;
        int waiting;
    };
    std::vector<wait> waits_{};
    std::vector<call> calls_{};
};

}  // namespace detail

}  // namespace mmhold
