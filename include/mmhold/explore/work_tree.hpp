// SPDX-License-Identifier: BSL-1.0
#pragma once

// work_tree: one exhaustive search, divided among workers.
//
// A search is a tree of executions; its inner nodes are steps with alternatives. At first one
// worker has the whole of it. When another one has nothing to do, a worker that has gives away what
// is still to be tried at the shallowest step of its execution: the steps up to there become
// *shared*, the worker keeps the branch it is in, and each alternative becomes a job. Whoever finds
// later, deep in some branch, that an alternative is owed at a shared step, makes it a job as well.
//
// Sleep sets keep the branches apart as they do in the search of one worker: there an alternative
// sleeps in the branches that are tried after it; here in those that are *begun* after it. Either
// way no execution is complete in two branches, so the number of executions is the same for any
// number of workers. (How many are begun in vain may differ, and which finding comes first.)

#include <mmhold/explore/choices.hpp>

#include <atomic>
#include <bit>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace mmhold {

namespace detail {

/// A step whose alternatives are divided among workers.
struct shared_step {
    shared_step(shared_step* parent, choice led_here, process_set can_run, process_set known)
        : before{parent}, taken_before{led_here}, enabled{can_run}, covered{known} {}

    shared_step* before;  // nullptr: this is the first step
    choice taken_before;  // at `before`, to come here
    process_set enabled;
    std::atomic<process_set> covered;  // tried, to be tried, or known from elsewhere; only grows
    process_set sleep{0};              // what sleeps in the next branch (guarded by the tree)
};

/// A branch that nobody is in yet.
struct job {
    shared_step* at{nullptr};  // nullptr: the whole search
    process who{0};
    process_set sleep{0};
    std::uint32_t stores{0};  // not 0: only these stores are to be read, and `sleep` is known
};

class work_tree {
public:
    work_tree() { jobs_.push_back(job{}); }

    /// Is somebody waiting and nothing there for him?
    [[nodiscard]] bool hungry() const noexcept {
        return waiting_.load(std::memory_order_relaxed) > queued_.load(std::memory_order_relaxed);
    }
    enum class before : std::uint8_t { nothing, a_job };
    /// Waits for the next job of a worker that had one before, or not. False: there will be none.
    [[nodiscard]] bool next(job& taken, before had) {
        std::unique_lock hold{mutex_};
        busy_ -= had == before::a_job;
        if (busy_ == 0 && jobs_.empty()) over_ = true;
        if (over_) wake_.notify_all();
        ++waiting_;
        wake_.wait(hold, [this] { return over_ || !jobs_.empty(); });
        --waiting_;
        if (over_) return false;
        taken = jobs_.front();
        jobs_.pop_front();
        --queued_;
        ++busy_;
        if (taken.at != nullptr && taken.stores == 0) {
            taken.sleep = taken.at->sleep;
            taken.at->sleep = static_cast<process_set>(taken.at->sleep | only(taken.who));
        }
        return true;
    }
    /// Lets everybody go home: something was found, or the budget is spent.
    void give_up() {
        std::lock_guard const hold{mutex_};
        over_ = true;
        wake_.notify_all();
    }

    /// One of `initials` must be tried at `at`; if none is yet, `preferred` will be.
    void owe(shared_step& at, process_set initials, process preferred) {
        if ((initials & at.covered.load(std::memory_order_relaxed)) != 0) return;
        std::lock_guard const hold{mutex_};
        if ((initials & at.covered.load(std::memory_order_relaxed)) != 0) return;
        at.covered.fetch_or(only(preferred), std::memory_order_relaxed);
        add({&at, preferred, 0, 0});
    }
    /// A step becomes shared. `sleep`: what sleeps in the branch of `who`, which the caller is in.
    /// `owed`: alternatives that are to be tried.
    [[nodiscard]] shared_step* share(shared_step* parent, choice led_here, process who,
                                     process_set enabled, process_set sleep, process_set owed) {
        std::lock_guard const hold{mutex_};
        auto const known = static_cast<process_set>(sleep | owed | only(who));
        shared_step& s = steps_.emplace_back(parent, led_here, enabled, known);
        s.sleep = static_cast<process_set>(sleep | only(who));
        for (auto rest = static_cast<process_set>(owed & ~s.sleep); rest != 0;
             rest = without_first(rest)) {
            add({&s, static_cast<process>(std::countr_zero(rest)), 0, 0});
        }
        return &s;
    }
    /// The branch of `who` at `at` is to be tried with these stores to read as well.
    void share_stores(shared_step* at, process who, process_set sleep, std::uint32_t stores) {
        std::lock_guard const hold{mutex_};
        add({at, who, sleep, stores});
    }

private:
    void add(job const& fresh) {
        jobs_.push_back(fresh);
        ++queued_;
        wake_.notify_one();
    }

    std::mutex mutex_{};
    std::condition_variable wake_{};
    std::deque<job> jobs_{};  // first come, first served: the shallowest branches are the largest
    std::deque<shared_step> steps_{};
    std::atomic<int> waiting_{0};
    std::atomic<int> queued_{1};
    int busy_{0};
    bool over_{false};
};

}  // namespace detail

}  // namespace mmhold
