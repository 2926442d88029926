// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace stall {

using duration = std::chrono::nanoseconds;

/// Every single wait, so that percentiles are exact: no buckets, no estimates.
class samples {
public:
    void add(duration one) {
        sorted_ = false;
        values_.push_back(one);
    }
    void add(samples const& others) {
        sorted_ = false;
        values_.insert(values_.end(), others.values_.begin(), others.values_.end());
    }

    [[nodiscard]] std::size_t count() const { return values_.size(); }

    /// The smallest sample that at least `percent` of all samples do not exceed (nearest rank).
    /// Zero without samples. `percent` is 1 ... 100.
    [[nodiscard]] duration percentile(unsigned percent) {
        if (values_.empty()) return duration{0};
        if (!sorted_) std::sort(values_.begin(), values_.end());
        sorted_ = true;
        auto const rank = (values_.size() * percent + 99) / 100;
        return values_[std::clamp<std::size_t>(rank, 1, values_.size()) - 1];
    }

    [[nodiscard]] duration max() { return percentile(100); }

private:
    std::vector<duration> values_{};
    bool sorted_{true};
};

/// What is printed of a set of waits.
struct wait_summary {
    std::size_t count{0};
    duration p50{0};
    duration p99{0};
    duration max{0};
};

[[nodiscard]] inline wait_summary summarise(samples waits) {
    return {waits.count(), waits.percentile(50), waits.percentile(99), waits.max()};
}

}  // namespace stall
