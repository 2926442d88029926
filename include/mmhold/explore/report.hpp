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
        : actors_{actors}, widths_(static_cast<std::size_t>(actors) + 1, 8) {
        for (auto const& line : told.lines()) {
            if (line.column == story_line::nobody) continue;
            auto& width = widths_[column_of(line)];
            width = std::max(width, line.text.size() + 2);
        }
    }
    [[nodiscard]] std::string header() const {
        std::string text = "      #  ";
        for (int a = 0; a < actors_; ++a)
            text += padded(actor_text(static_cast<std::size_t>(a)), static_cast<std::size_t>(a));
        return text + padded("memory", static_cast<std::size_t>(actors_)) + "source\n";
    }
    [[nodiscard]] std::string row(story_line const& line) const {
        std::string number = line.step >= 0 ? std::to_string(line.step) : "";
        std::string text = "  ";
        text += static_cast<char>(line.marked);
        text += std::string(number.size() < 4 ? 4 - number.size() : 0, ' ') + number + "  ";
        for (std::size_t i = 0; i < widths_.size(); ++i) {
            text += padded(i == column_of(line) ? line.text : std::string{}, i);
        }
        if (!line.site.empty()) text += "[" + line.site + "] ";
        text += place_in_words(line.where);
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

    int actors_;
    std::vector<std::size_t> widths_;
};

/// What becomes of a line of a story.
enum class line_fate : std::uint8_t {
    shown,
    skipped,  ///< counted: "... 3 lines like that"
    aside,    ///< left out without a trace in its place
};

/// A read or write of a plain field: no step, but at a place in the source.
[[nodiscard]] inline bool is_plain_access(story_line const& line) {
    return line.step < 0 && line.where.line() != 0;
}
/// A store or an update whose order has a name: somebody thought about who sees it.
[[nodiscard]] inline bool is_named_change(story_line const& line) {
    bool const changes =
        line.what == story_line::access::store || line.what == story_line::access::update;
    return changes && !line.site.empty();
}

/// Which lines are worth showing: not those that repeat the line before. A very long story leaves
/// plain accesses aside, and of its middle shows only named changes. What is marked stays.
[[nodiscard]] inline std::vector<line_fate> fates_of(std::vector<story_line> const& lines) {
    constexpr std::size_t head = 60;
    constexpr std::size_t tail = 60;
    bool const very_long = lines.size() > head + tail;
    std::vector<line_fate> fates(lines.size(), line_fate::shown);
    std::vector<std::size_t> rest;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].marked != story_line::mark::no) continue;
        bool const repeats = i > 0 && story::alike(lines[i - 1], lines[i]) && i + 1 < lines.size();
        if (very_long && is_plain_access(lines[i])) {
            fates[i] = line_fate::aside;
        } else if (repeats) {
            fates[i] = line_fate::skipped;
        } else {
            rest.push_back(i);
        }
    }
    for (std::size_t k = head; k + tail < rest.size(); ++k) {
        if (!is_named_change(lines[rest[k]])) fates[rest[k]] = line_fate::skipped;
    }
    return fates;
}

/// The lines in columns.
[[nodiscard]] inline std::string columns_of(story const& s, int actors) {
    column_text const columns{s, actors};
    auto text = columns.header();
    auto const fates = fates_of(s.lines());
    std::size_t skipped = 0;
    std::size_t aside = 0;
    for (std::size_t i = 0; i < fates.size(); ++i) {
        skipped += fates[i] == line_fate::skipped;
        aside += fates[i] == line_fate::aside;
        if (fates[i] != line_fate::shown) continue;
        if (skipped != 0) text += "         ... " + std::to_string(skipped) + " lines like that\n";
        skipped = 0;
        text += columns.row(s.lines()[i]);
    }
    if (aside != 0)
        text += "  " + std::to_string(aside) + " reads and writes of plain fields are left out\n";
    for (auto const& left : s.remaining()) text += "  " + left + "\n";
    return text;
}

/// A word of a shell's command line.
[[nodiscard]] inline std::string shell_word(std::string_view word) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=+:,";
    if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos)
        return std::string{word};
    std::string text{"'"};
    for (char const c : word) text += c == '\'' ? std::string{"'\\''"} : std::string(1, c);
    return text + "'";
}

/// The command line that shows the finding again, after plan::command.
[[nodiscard]] inline std::string command_again(plan const& p, std::string_view token) {
    auto text = p.command + " --model " + std::string{to_string(p.memory)};
    for (auto const& c : p.sites) {
        text += c.how == weakening::off
                    ? " --without " + shell_word(c.name)
                    : " --weaken " + shell_word(c.name + "=" + std::string{to_string(c.how)});
    }
    if (p.retries != plan{}.retries) text += " --retries " + std::to_string(p.retries);
    if (p.reuse == heap_reuse::always) text += " --reuse";
    return text + " --replay " + shell_word(token);
}
/// The call that shows it again.
[[nodiscard]] inline std::string call_again(plan const& p, std::string_view token) {
    if (!p.command.empty()) return command_again(p, token);
    auto text = "explore<S>({.memory = memory_model::" + std::string{to_string(p.memory)};
    text += ", .search = search_kind::replay, .replay = \"" + std::string{token} + "\"";
    if (!p.sites.empty()) text += ", .sites = /* as above */";
    if (p.retries != plan{}.retries) text += ", .retries = " + std::to_string(p.retries);
    if (p.buffer_depth != plan{}.buffer_depth)
        text += ", .buffer_depth = " + std::to_string(p.buffer_depth);
    if (p.longest != plan{}.longest) text += ", .longest = " + std::to_string(p.longest);
    if (p.reuse == heap_reuse::always) text += ", .reuse = heap_reuse::always";
    return text + "})";
}

/// The whole report. `remark`: lines about what the finding needs.
[[nodiscard]] inline std::string told(story const& s, finding const& f, plan const& p, int actors,
                                      std::string_view remark) {
    std::string text{to_string(f.kind)};
    text += ": " + f.headline + "\n";
    text += columns_of(s, actors);
    text += f.details;
    text += remark;
    text += "  model " + std::string{to_string(p.memory)};
    for (auto const& c : p.sites) text += ", site " + c.name + " " + std::string{to_string(c.how)};
    return text + "\n  replay: " + f.token + "   " + call_again(p, f.token) + "\n";
}

}  // namespace detail

}  // namespace mmhold
