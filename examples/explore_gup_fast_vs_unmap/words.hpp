// SPDX-License-Identifier: BSL-1.0
#pragma once

// What a search and a story come to, in words and in JSON.

#include <mmhold/explore/plan.hpp>
#include <mmhold/observe/json_writer.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace unmap {

/// A search that was done, and of what.
struct searched {
    std::string what;
    mmhold::verdict outcome;
};

[[nodiscard]] inline std::string_view long_name(mmhold::memory_model model) {
    switch (model) {
        case mmhold::memory_model::sc: return "sequentially consistent";
        case mmhold::memory_model::tso: return "x86-TSO";
        case mmhold::memory_model::stale: return "stale-reads";
    }
    return "?";
}

/// How far the search went, and what it saw. Claims no more than that.
[[nodiscard]] inline std::string coverage(searched const& s, mmhold::plan const& p) {
    auto const& v = s.outcome;
    auto const count = std::to_string(v.executions);
    auto const kind = std::string{long_name(p.memory)} + " executions of " + s.what;
    auto const bounds = "\n  (" + std::to_string(v.actors) + " actors, up to " +
                        std::to_string(v.longest) + " events, at most " +
                        std::to_string(p.retries) + " retries)";
    if (v.found()) {
        return "execution " + std::to_string(v.first.at_execution) + " of " + s.what +
               " is wrong:\n  " + v.first.headline;
    }
    if (!v.exhausted) return count + " " + kind + bounds + ", not all there are: none wrong";
    return "all " + kind + bounds + ": " + count + ", none wrong";
}

/// 1234567 as "1 234 567".
[[nodiscard]] inline std::string grouped(std::uint64_t value) {
    auto text = std::to_string(value);
    for (auto at = text.size(); at > 3; text.insert(at -= 3, 1, ' ')) {}
    return text;
}

/// What the search cost.
[[nodiscard]] inline std::string cost(mmhold::verdict const& v) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.3f", v.seconds);
    auto const rate = v.seconds > 0 ? static_cast<double>(v.executions) / v.seconds : 0.0;
    return grouped(v.events) + " events in " + seconds +
           " s: " + grouped(static_cast<std::uint64_t>(rate)) + " executions/s";
}

/// Is this row of a story about the page: its entry, the references of its frame, the mm lock? Or
/// one that the explorer marked?
[[nodiscard]] inline bool about_the_page(std::string_view row) {
    auto const has = [row](std::string_view text) { return row.find(text) != row.npos; };
    auto const entry = has("pte[") && has("[paging.");
    auto const references = has("frame[0]:") || has("frame[0] =");
    auto const lock = has("holds mm lock") || has("gives up mm lock");
    return entry || references || lock || row.starts_with("  >");
}

/// A step of a story, or a line around them?
[[nodiscard]] inline bool is_row(std::string_view line) {
    constexpr std::size_t margin = 4;
    return line.starts_with("  >") || line.find_first_not_of(' ') >= margin;
}

/// The story with only the rows about the page.
[[nodiscard]] inline std::string short_story(std::string_view story) {
    std::string out;
    int left_out = 0;
    for (std::size_t line = 0; !story.empty(); ++line) {
        auto const end = story.find('\n') + 1;
        auto const text = story.substr(0, end);
        story.remove_prefix(end == 0 ? story.size() : end);
        auto const heading = line < 2;
        if (heading || !is_row(text) || about_the_page(text)) {
            out += text;
        } else {
            ++left_out;
        }
    }
    return out + "  (" + std::to_string(left_out) + " other rows: --whole)\n";
}

/// The numbers of all searches as one JSON object.
[[nodiscard]] inline std::string to_json(std::vector<searched> const& all, mmhold::plan const& p) {
    std::string text;
    mmhold::json_writer out{[&text](std::string_view piece) { text += piece; }};
    out.begin_object();
    out.key("model");
    out.text(to_string(p.memory));
    out.key("retries");
    out.number(static_cast<std::uint64_t>(p.retries));
    out.key("searches");
    out.begin_array();
    for (auto const& [what, v] : all) {
        auto const number = [&out](std::string_view key, std::uint64_t value) {
            out.key(key);
            out.number(value);
        };
        out.begin_object();
        out.key("of");
        out.text(what);
        out.key("complete");
        out.truth(v.complete());
        number("actors", static_cast<std::uint64_t>(v.actors));
        number("longest", static_cast<std::uint64_t>(v.longest));
        number("executions", v.executions);
        number("redundant", v.redundant);
        number("events", v.events);
        number("nanoseconds", static_cast<std::uint64_t>(v.seconds * 1e9));
        out.key("finding");
        out.text(to_string(v.first.kind));
        out.key("replay");
        out.text(v.first.token);
        out.end_object();
    }
    out.end_array();
    out.end_object();
    return text + "\n";
}

}  // namespace unmap
