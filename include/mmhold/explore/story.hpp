// SPDX-License-Identifier: BSL-1.0
#pragma once

// story: what happened in one execution, line by line, to be shown in columns (report.hpp), as a
// page (story_page.hpp) or on a time line (story_trace.hpp).

#include <mmhold/explore/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// One thing that happened.
struct story_line {
    static constexpr int memory = -1;  ///< column of the store buffers
    static constexpr int nobody = -2;  ///< set-up and end
    /// What kind of access it was, for who looks for places of fences.
    enum class access : std::uint8_t { none, load, store, update };
    /// One of the two that clash: the earlier one, and the one that found it.
    enum class mark : char { no = ' ', first = '<', second = '>' };

    int step{-1};  ///< -1: not a step (a plain access, a lock note)
    int column{nobody};
    std::string text{};
    std::string site{};
    std::source_location where{};
    std::uint32_t moment{0};  ///< epoch of the actor
    access what{access::none};
    mark marked{mark::no};
};

/// "lock.hpp:12"; empty if there is no place.
[[nodiscard]] inline std::string place_in_words(std::source_location where) {
    if (where.line() == 0) return {};
    std::string_view file = where.file_name();
    if (auto const slash = file.find_last_of('/'); slash != std::string_view::npos)
        file.remove_prefix(slash + 1);
    return std::string{file}.append(1, ':').append(std::to_string(where.line()));
}

/// Collects the lines of one execution.
class story {
public:
    void clear() {
        lines_.clear();
        remaining_.clear();
    }
    void add(story_line line) { lines_.push_back(std::move(line)); }
    void drained(int step, process owner, std::string const& name, std::string const& value) {
        add({step, story_line::memory, actor_text(owner) + " drains " + name + " = " + value});
    }
    /// A store that never reached memory in this execution.
    void still_buffered(process owner, std::string const& name, std::string const& value,
                        int stored_at) {
        remaining_.push_back(actor_text(owner) + " still holds: " + name + " = " + value +
                             " (stored at step " + std::to_string(stored_at) + ")");
    }
    /// Marks the last thing the actor did at or before that moment – with `about`, the last that
    /// names it, if there is one.
    void mark(std::uint32_t moment, std::string_view about = {}) {
        story_line* best = nullptr;
        for (auto i = lines_.size(); i-- > 0;) {
            auto& line = lines_[i];
            if (line.moment == 0 || line.moment >> 16U != moment >> 16U || line.moment > moment)
                continue;
            bool const fits = line.text.find(about) != std::string::npos;
            if (best == nullptr || fits) best = &line;
            if (fits) break;
        }
        if (best != nullptr && best->marked == story_line::mark::no)
            best->marked = story_line::mark::first;
    }
    void mark_step(int step) {
        for (auto& line : lines_) {
            if (line.step == step) line.marked = story_line::mark::first;
        }
    }
    void mark_last() {
        if (!lines_.empty()) lines_.back().marked = story_line::mark::second;
    }
    [[nodiscard]] std::vector<story_line> const& lines() const noexcept { return lines_; }
    [[nodiscard]] std::vector<std::string> const& remaining() const noexcept { return remaining_; }

    /// What was done again and again in the second half, the most frequent first: at most three.
    [[nodiscard]] std::string loop_in_words() const {
        struct counted {
            story_line const* line;
            std::size_t times;
        };
        std::vector<counted> all;
        for (auto i = lines_.size() / 2; i < lines_.size(); ++i) {
            auto const& line = lines_[i];
            if (line.column < 0) continue;
            std::size_t k = 0;
            while (k < all.size() && !alike(*all[k].line, line)) ++k;
            if (k == all.size()) all.push_back({&line, 0});
            ++all[k].times;
        }
        std::string text;
        for (int said = 0; said < 3; ++said) {
            counted* most = nullptr;
            for (auto& c : all) {
                if (c.times > 1 && (most == nullptr || c.times > most->times)) most = &c;
            }
            if (most == nullptr) break;
            text += text.empty() ? "" : "; ";
            text += actor_text(static_cast<std::size_t>(most->line->column)) + " repeats ";
            text += most->line->text;
            if (!most->line->site.empty()) text += " [" + most->line->site + "]";
            if (auto const place = place_in_words(most->line->where); !place.empty())
                text += " at " + place;
            most->times = 0;
        }
        return text;
    }

    /// Does `b` repeat `a`?
    [[nodiscard]] static bool alike(story_line const& a, story_line const& b) {
        return a.column == b.column && a.where.line() == b.where.line() && a.text == b.text;
    }

private:
    std::vector<story_line> lines_{};
    std::vector<std::string> remaining_{};
};

}  // namespace detail

}  // namespace mmhold
