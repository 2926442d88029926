// SPDX-License-Identifier: BSL-1.0
#pragma once

// report: a finding told as a story – what and who first, then one column per actor and one for
// memory, then what still sits in store buffers, and last the token that shows it again.

#include <mmhold/explore/plan.hpp>
#include <mmhold/explore/search.hpp>
#include <mmhold/explore/story.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mmhold {

namespace detail {

/// The choices of an execution as text: a digit for an actor, a letter (a = 0) for its buffer, 'k
/// after a load that read the store k back from the newest.
[[nodiscard]] inline std::string to_token(std::vector<choice> const& choices) {
    std::string text;
    for (auto const c : choices) {
        text += static_cast<char>(is_buffer(c.who) ? 'a' + owner_of(c.who) : '0' + c.who);
        if (c.back != 0) {
            text += '\'';
            text += static_cast<char>(c.back < 10 ? '0' + c.back : 'A' + (c.back - 10));
        }
    }
    return text;
}
/// The inverse; characters that no token has are skipped.
[[nodiscard]] inline std::vector<choice> from_token(std::string_view text) {
    std::vector<choice> choices;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char const c = text[i];
        if (c >= '0' && c <= '7') {
            choices.push_back({static_cast<process>(c - '0'), 0});
        } else if (c >= 'a' && c <= 'h') {
            choices.push_back({buffer_of(static_cast<process>(c - 'a')), 0});
        } else if (c == '\'' && i + 1 < text.size() && !choices.empty()) {
            char const back = text[++i];
            choices.back().back =
                static_cast<std::uint8_t>(back <= '9' ? back - '0' : back - 'A' + 10);
        }
    }
    return choices;
}

/// How often an execution changes from one actor to another.
[[nodiscard]] inline int switches(std::vector<choice> const& choices) noexcept {
    int count = 0;
    int last = -1;
    for (auto const c : choices) {
        if (is_buffer(c.who)) continue;
        count += last >= 0 && c.who != last;
        last = c.who;
    }
    return count;
}

/// Text in columns of equal width.
class column_text {
public:
    column_text(story const& told, int actors)
        : actors_{actors}, widths_(static_cast<std::size_t>(actors) + 1, 6) {
        for (auto const& line : told.lines()) {
            if (line.column == story_line::nobody) continue;
            auto& width = widths_[column_of(line)];
            width = std::max(width, line.text.size() + 2);
        }
    }
    [[nodiscard]] std::string header() const {
        std::string text = "     #  ";
        for (int a = 0; a < actors_; ++a)
            text += padded(actor_text(static_cast<std::size_t>(a)), static_cast<std::size_t>(a));
        return text + "memory\n";
    }
    [[nodiscard]] std::string row(story_line const& line) const {
        std::string number = line.step >= 0 ? std::to_string(line.step) : "";
        std::string text = line.marked ? "  > " : "    ";
        text += std::string(number.size() < 3 ? 3 - number.size() : 0, ' ') + number + " ";
        for (std::size_t i = 0; i < widths_.size(); ++i) {
            text += padded(i == column_of(line) ? line.text : std::string{}, i);
        }
        if (!line.site.empty()) text += "[" + line.site + "] ";
        if (line.where.line() != 0) text += place(line.where);
        while (!text.empty() && text.back() == ' ') text.pop_back();
        return text + "\n";
    }

private:
    [[nodiscard]] std::size_t column_of(story_line const& line) const noexcept {
        return static_cast<std::size_t>(line.column < 0 ? actors_ : line.column);
    }
    [[nodiscard]] std::string padded(std::string text, std::size_t column) const {
        if (text.size() < widths_[column]) text.resize(widths_[column], ' ');
        return text;
    }
    [[nodiscard]] static std::string place(std::source_location where) {
        std::string_view file = where.file_name();
        if (auto const slash = file.find_last_of('/'); slash != std::string_view::npos)
            file.remove_prefix(slash + 1);
        return std::string{file} + ":" + std::to_string(where.line());
    }

    int actors_;
    std::vector<std::size_t> widths_;
};

/// The whole report.
[[nodiscard]] inline std::string told(story const& s, finding const& f, plan const& p, int actors,
                                      std::string_view remark) {
    std::string text{to_string(f.kind)};
    text += ": " + f.headline + "\n";
    column_text const columns{s, actors};
    text += columns.header();
    for (auto const& line : s.lines()) text += columns.row(line);
    for (auto const& left : s.remaining()) text += "  " + left + "\n";
    text += f.details;
    if (!remark.empty()) text += "  " + std::string{remark} + "\n";
    text += "  model " + std::string{to_string(p.memory)};
    for (auto const& c : p.sites) text += ", site " + c.name + " " + std::string{to_string(c.how)};
    return text + "\n  replay: " + f.token + "\n";
}

}  // namespace detail

}  // namespace mmhold
