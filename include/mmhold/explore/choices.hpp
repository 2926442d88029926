// SPDX-License-Identifier: BSL-1.0
#pragma once

// choices: the decisions that make an execution, and the two ways of making them by lot.

#include <mmhold/explore/clock.hpp>

#include <bit>
#include <cstdint>

namespace mmhold {

namespace detail {

/// One choice: the process, and for stale loads how many stores back from the newest.
struct choice {
    process who{0};
    std::uint8_t back{0};
};

/// A small deterministic generator (splitmix64).
class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed) noexcept : state_{seed} {}
    /// The numbers of one execution: they depend on its number and the seed only, so it does not
    /// matter who runs the others.
    [[nodiscard]] static random_numbers of_execution(std::uint64_t seed,
                                                     std::uint64_t number) noexcept {
        random_numbers numbers{number};
        return random_numbers{numbers.next() ^ random_numbers{seed}.next()};
    }
    std::uint64_t next() noexcept {
        state_ += 0x9e37'79b9'7f4a'7c15U;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30U)) * 0xbf58'476d'1ce4'e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d0'49bb'1331'11ebU;
        return z ^ (z >> 31U);
    }
    std::uint32_t below(std::uint32_t limit) noexcept {
        return static_cast<std::uint32_t>((next() >> 32U) * limit >> 32U);
    }
    process member_of(process_set set) noexcept {
        for (auto skip = below(static_cast<std::uint32_t>(std::popcount(set))); skip != 0; --skip) {
            set = without_first(set);
        }
        return static_cast<process>(std::countr_zero(set));
    }

private:
    std::uint64_t state_;
};

/// Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): random priorities, and 1 to
/// 5 points where whoever runs falls behind everybody else – depths 2 to 6, a new one per
/// execution.
class random_priorities {
public:
    /// Draws everything anew for an execution of about `length` steps.
    void draw(random_numbers& random, std::uint32_t length) noexcept {
        for (auto& priority : priorities_) priority = 1000 + random.below(1'000'000);
        changes_left_ = 1 + static_cast<int>(random.below(5));
        for (int i = 0; i < changes_left_; ++i) {
            change_at_[i] = static_cast<int>(random.below(length));
        }
    }
    /// Who of `awake` goes at that step.
    [[nodiscard]] int highest(process_set awake, int step) noexcept {
        int chosen = best(awake);
        for (int i = 0; i < changes_left_; ++i) {
            if (change_at_[i] != step) continue;
            priorities_[chosen] = static_cast<std::uint32_t>(i);
            chosen = best(awake);
        }
        return chosen;
    }

private:
    [[nodiscard]] int best(process_set awake) const noexcept {
        int found = std::countr_zero(awake);
        for (process_set rest = awake; rest != 0; rest = without_first(rest)) {
            int const p = std::countr_zero(rest);
            if (priorities_[p] > priorities_[found]) found = p;
        }
        return found;
    }

    std::uint32_t priorities_[max_processes]{};
    int changes_left_{0};
    int change_at_[5]{};
};

}  // namespace detail

}  // namespace mmhold
