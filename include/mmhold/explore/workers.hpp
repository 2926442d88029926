// SPDX-License-Identifier: BSL-1.0
#pragma once

// workers: runs the executions of a search, on this thread or divided among several.
//
// Each worker has an exploration of its own: words, heap, stacks. They share the tree of what is to
// be tried (work_tree.hpp), the count of executions, and the order in which locks were taken – a
// cycle may have its halves in executions of different workers. Fibers stay on the thread that made
// them.

#include <mmhold/explore/exploration.hpp>
#include <mmhold/explore/plan.hpp>
#include <mmhold/explore/report.hpp>
#include <mmhold/explore/work_tree.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// The exploration that runs on this host thread; static members of the model machine find it here.
/// (The core of the library forbids thread_local, for there two simulated cpus often share a thread
/// and who acts is an argument. Here a thread is a worker, which has one exploration at a time.)
struct running_here {
    explicit running_here(exploration& x) noexcept : outer_{std::exchange(running, &x)} {}
    running_here(running_here const&) = delete;
    running_here& operator=(running_here const&) = delete;
    ~running_here() { running = outer_; }

private:
    exploration* outer_;
};

/// What all workers of one search know.
class search_progress {
public:
    explicit search_progress(plan const& p) noexcept : plan_{p}, limit_{p.executions} {}

    [[nodiscard]] plan const& how() const noexcept { return plan_; }
    [[nodiscard]] double elapsed() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    }
    /// Counts an execution; answers how many there are now.
    std::uint64_t count() noexcept { return 1 + executions_.fetch_add(1, relaxed_order); }
    /// May the execution of that number begin?
    [[nodiscard]] bool allows(std::uint64_t number) const noexcept {
        return number < limit_.load(relaxed_order) && !spent_.load(relaxed_order);
    }
    [[nodiscard]] bool allows_more() const noexcept {
        return allows(executions_.load(relaxed_order));
    }
    /// No execution from `number` on is wanted.
    void stop_at(std::uint64_t number) noexcept {
        auto limit = limit_.load(relaxed_order);
        while (number < limit && !limit_.compare_exchange_weak(limit, number, relaxed_order)) {}
    }
    void watch_the_clock(std::uint64_t executions) noexcept {
        if (plan_.seconds > 0 && (executions & 255U) == 0 && elapsed() > plan_.seconds)
            spent_.store(true, relaxed_order);
    }

private:
    static constexpr auto relaxed_order = std::memory_order_relaxed;
    plan const& plan_;
    std::chrono::steady_clock::time_point begin_{std::chrono::steady_clock::now()};
    std::atomic<std::uint64_t> executions_{0};
    std::atomic<std::uint64_t> limit_;
    std::atomic<bool> spent_{false};
};

/// The token of the finding that `x` has just made.
[[nodiscard]] inline std::string token_of(exploration& x) {
    std::string token;
    if (x.found().kind == finding_kind::lock_order) {
        for (auto const& way : x.other_chains()) token += to_token(way) + '+';
    }
    return token + to_token(x.choices().choices());
}

/// Runs the next execution of `x` and adds it to `v`. `number` is the count of it, from 1. True: it
/// shows something wrong.
inline bool run_next(exploration& x, verdict& v, std::uint64_t number) {
    auto const how = x.run_one();
    v.events += static_cast<std::uint64_t>(x.depth());
    ++(how == ending::redundant ? v.redundant : v.executions);
    v.cut = v.cut || how == ending::cut;
    v.deadlocks += how == ending::deadlock;
    bool const bad = how == ending::found || how == ending::deadlock;
    if (bad) v.kinds |= std::uint32_t{1} << static_cast<unsigned>(x.found().kind);
    if (bad && !v.found()) {
        v.first = x.found();
        v.first.at_execution = number;
        v.first.token = token_of(x);
    }
    return bad;
}

/// Runs executions until the search is exhausted, a budget is spent or something is found.
[[nodiscard]] inline verdict run_search(exploration& x, plan const& p) {
    running_here const here{x};
    search_progress progress{p};
    verdict v;
    while (progress.allows_more() && !v.exhausted) {
        bool const bad = run_next(x, v, v.executions + 1);
        progress.watch_the_clock(progress.count());
        if (bad && p.on_finding == after_finding::stop) break;
        v.exhausted = !x.choices().next_execution();
    }
    v.longest = x.choices().longest();
    v.seconds = progress.elapsed();
    return v;
}

/// Tries one branch after the other, until there is none.
inline void work_off(exploration& x, work_tree& tree, search_progress& progress, verdict& v) {
    running_here const here{x};
    x.choices().work_on(tree);
    while (x.choices().take_job()) {
        for (bool more = true; more;) {
            auto const count = progress.count();
            progress.watch_the_clock(count);
            bool const bad = run_next(x, v, count);
            bool const enough = bad && progress.how().on_finding == after_finding::stop;
            if (enough) progress.stop_at(0);
            more = x.choices().next_execution();
            if (progress.allows(count)) continue;
            v.exhausted = false;
            return tree.give_up();
        }
    }
}

/// Runs every `stride`th execution of a search by lot.
inline void draw_off(exploration& x, search_progress& progress, verdict& v) {
    running_here const here{x};
    for (auto number = x.choices().number(); progress.allows(number);
         number = x.choices().number()) {
        bool const bad = run_next(x, v, number + 1);
        progress.watch_the_clock(progress.count());
        if (!bad || progress.how().on_finding != after_finding::stop) continue;
        return progress.stop_at(number);
    }
}

/// Adds what one worker found out. Of two findings, the one that came first by number – with
/// branches, where numbers mean little, the one of the smaller token – is kept.
inline void merge(verdict& into, verdict const& part, bool numbered) {
    into.exhausted = into.exhausted && part.exhausted;
    into.cut = into.cut || part.cut;
    into.executions += part.executions;
    into.redundant += part.redundant;
    into.deadlocks += part.deadlocks;
    into.events += part.events;
    into.kinds |= part.kinds;
    into.longest = std::max(into.longest, part.longest);
    if (!part.found()) return;
    bool const sooner = numbered ? part.first.at_execution < into.first.at_execution
                                 : part.first.token < into.first.token;
    if (!into.found() || sooner) into.first = part.first;
}

/// How many workers a plan gets.
[[nodiscard]] inline std::size_t workers_of(plan const& p) noexcept {
    bool const divides = p.search == search_kind::all || p.search == search_kind::random ||
                         p.search == search_kind::pct;
    return divides ? static_cast<std::size_t>(std::clamp(p.workers, 1, 64)) : 1;
}

/// The search of one scenario by several workers.
class divided_search {
public:
    divided_search(scenario_functions const& f, plan const& p)
        : functions_{f}, plan_{p}, progress_{p}, parts_(workers_of(p)) {}

    [[nodiscard]] verdict run() {
        bool const numbered = plan_.search != search_kind::all;
        verdict v;
        if (numbered) {
            v = run_pilots();
        } else {
            v.exhausted = true;
        }
        if (progress_.allows_more()) run_workers(numbered);
        for (auto const& part : parts_) merge(v, part, numbered);
        v.seconds = progress_.elapsed();
        return v;
    }

private:
    /// The first executions by lot: all workers go by their length.
    [[nodiscard]] verdict run_pilots() {
        verdict v;
        site_table sites{plan_.sites, site_collection::off};
        auto const x = std::make_unique<exploration>(plan_, functions_, sites);
        running_here const here{*x};
        while (x->choices().number() < search::pilots && progress_.allows_more()) {
            auto const number = x->choices().number();
            bool const bad = run_next(*x, v, number + 1);
            progress_.watch_the_clock(progress_.count());
            if (bad && plan_.on_finding == after_finding::stop) progress_.stop_at(number);
        }
        v.longest = length_ = x->choices().longest();
        return v;
    }
    void run_workers(bool numbered) {
        std::vector<std::thread> others;
        for (std::size_t i = 1; i < parts_.size(); ++i)
            others.emplace_back([this, i, numbered] { work(i, numbered); });
        work(0, numbered);
        for (auto& other : others) other.join();
    }
    void work(std::size_t which, bool numbered) {
        verdict& v = parts_[which];
        site_table sites{plan_.sites, site_collection::off};
        auto const x = std::make_unique<exploration>(plan_, functions_, sites);
        x->share_lock_order(lock_order_);
        if (numbered) {
            x->choices().draw_every(parts_.size(), search::pilots + which, length_);
            draw_off(*x, progress_, v);
        } else {
            v.exhausted = true;
            work_off(*x, tree_, progress_, v);
        }
        v.longest = x->choices().longest();
    }

    scenario_functions const& functions_;
    plan const& plan_;
    search_progress progress_;
    work_tree tree_{};
    shared_lock_order lock_order_{};
    std::vector<verdict> parts_;
    int length_{0};
};

}  // namespace detail

}  // namespace mmhold
