// SPDX-License-Identifier: BSL-1.0
#pragma once

// story: what happened in one execution, line by line, to be printed in columns.

#include <mmhold/explore/clock.hpp>

#include <cstdint>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// One thing that happened.
struct story_line {
    static constexpr int memory = -1;  ///< column of the store buffers
    static constexpr int nobody = -2;  ///< set-up and end
    int step{-1};                      ///< -1: not a step (a plain access, a lock note)
    int column{nobody};
    std::string text{};
    std::string site{};
    std::source_location where{};
    std::uint32_t moment{0};  ///< epoch of the actor
    bool marked{false};       ///< one of the two that clash
};

/// Collects the lines of one execution.
class story {
public:
    void clear() {
        lines_.clear();
        remaining_.clear();
    }
    void add(story_line line) { lines_.push_back(std::move(line)); }
    void drained(int step, process owner, std::string const& name, std::string const& value) {
        std::string text{"T"};
        text += std::to_string(owner) + " drains " + name + " = " + value;
        add({step, story_line::memory, std::move(text), {}, {}, 0, false});
    }
    /// A store that never reached memory in this execution.
    void still_buffered(process owner, std::string const& name, std::string const& value,
                        int stored_at) {
        std::string text{"T"};
        text += std::to_string(owner) + " still holds in its store buffer: " + name + " = " +
                value + " (stored at step " + std::to_string(stored_at) + ")";
        remaining_.push_back(std::move(text));
    }
    /// Marks the last thing the actor did at or before that moment.
    void mark(std::uint32_t moment) {
        for (auto i = lines_.size(); i-- > 0;) {
            if (lines_[i].moment != 0 && lines_[i].moment >> 16U == moment >> 16U &&
                lines_[i].moment <= moment) {
                lines_[i].marked = true;
                return;
            }
        }
    }
    void mark_last() {
        if (!lines_.empty()) lines_.back().marked = true;
    }
    [[nodiscard]] std::vector<story_line> const& lines() const noexcept { return lines_; }
    [[nodiscard]] std::vector<std::string> const& remaining() const noexcept { return remaining_; }

private:
    std::vector<story_line> lines_{};
    std::vector<std::string> remaining_{};
};

}  // namespace detail

}  // namespace mmhold
