// SPDX-License-Identifier: BSL-1.0
#pragma once

// story_page: what was searched and what was found, as a page to look at. It needs nothing but
// itself – no script, no font, no picture – and is readable in light and dark.

#include <mmhold/explore/report.hpp>
#include <mmhold/explore/run_record.hpp>
#include <mmhold/explore/story.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// Text for the page: markup becomes letters, control characters nothing.
[[nodiscard]] inline std::string page_text(std::string_view text) {
    std::string safe;
    for (char const c : text) {
        switch (c) {
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '&': safe += "&amp;"; break;
            case '"': safe += "&quot;"; break;
            default:
                if (c == '\n' || static_cast<unsigned char>(c) >= ' ') safe += c;
        }
    }
    return safe;
}

/// A finding with its execution.
struct told_run {
    run_record record{};
    story lines{};
};

inline constexpr std::string_view page_style =
    R"(:root{color-scheme:light dark;--ink:#1d2330;--soft:#5b6577;--paper:#fbfbfc;--line:#d8dce3;
--bad:#b3261e;--good:#1b6e3c;--mark:#fde7c7;--memory:#eef2f8}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ef;--soft:#98a3b5;--paper:#14171d;--line:#323947;
--bad:#ff8a80;--good:#7bd88f;--mark:#4a3a17;--memory:#1c222c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
margin:2rem auto;padding:0 1.5rem;max-width:88rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2.2rem 0 .3rem}
p{max-width:60rem;margin:.3rem 0}.soft{color:var(--soft)}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-size:.86rem}
th{text-align:left;color:var(--soft);font-weight:600;border-bottom:2px solid var(--line)}
th,td{padding:.2rem .7rem;vertical-align:top;white-space:nowrap}
td{border-bottom:1px solid var(--line)}td.n{text-align:right;font-variant-numeric:tabular-nums}
.story td{font-family:ui-monospace,monospace;font-size:.8rem}
.story td.m{background:var(--memory)}.story tr.mark td{background:var(--mark)}
.story td.k{font-weight:700;color:var(--bad)}
.bad{color:var(--bad)}.good{color:var(--good)}
pre{font:.8rem/1.5 ui-monospace,monospace;color:var(--soft);white-space:pre-wrap;margin:.4rem 0})";

/// Writes the page piece by piece.
class page_writer {
public:
    [[nodiscard]] std::string page(std::string_view title, std::vector<run_record> const& runs,
                                   std::vector<told_run> const& found) {
        text_ = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">";
        text_ += "<meta name=\"viewport\" content=\"width=device-width\">";
        element("title", title);
        text_ += "<style>" + std::string{page_style} + "</style></head>\n<body>";
        element("h1", title);
        summary(runs);
        table(runs);
        for (auto const& f : found) tell(f);
        return std::move(text_) + "</body></html>\n";
    }

private:
    void element(std::string_view name, std::string_view text, std::string_view kind = {}) {
        text_ += "<" + std::string{name};
        if (!kind.empty()) text_ += " class=\"" + std::string{kind} + "\"";
        text_ += ">" + page_text(text) + "</" + std::string{name} + ">";
    }
    void summary(std::vector<run_record> const& runs) {
        std::size_t wrong = 0;
        std::uint64_t executions = 0;
        for (auto const& r : runs) {
            wrong += !r.as_expected;
            executions += r.outcome.executions;
        }
        auto text = std::to_string(runs.size()) + (runs.size() == 1 ? " search, " : " searches, ");
        text += std::to_string(executions) + " executions";
        if (wrong != 0) text += ", " + std::to_string(wrong) + " not as expected";
        element("p",
                text +
                    ". No verification: the orders are those of the source, the actors "
                    "are few, and the stale model under-approximates C++.",
                "soft");
    }
    void table(std::vector<run_record> const& runs) {
        text_ += "<div class=\"wide\"><table><tr>";
        for (auto const* name : {"scenario", "model", "search", "actors", "events", "executions",
                                 "redundant", "seconds", "what came out"})
            element("th", name);
        text_ += "</tr>\n";
        for (auto const& r : runs) {
            auto const& v = r.outcome;
            char seconds[32];
            std::snprintf(seconds, sizeof seconds, "%.3f", v.seconds);
            text_ += "<tr>";
            element("td", r.name());
            element("td", to_string(r.how.memory));
            element("td", to_string(r.how.search));
            for (auto const& number :
                 {std::to_string(v.actors), std::to_string(v.longest), std::to_string(v.executions),
                  std::to_string(v.redundant), std::string{seconds}})
                element("td", number, "n");
            element("td", came_out(r), r.as_expected && !v.found() ? "good" : "bad");
            text_ += "</tr>\n";
        }
        text_ += "</table></div>\n";
    }
    [[nodiscard]] static std::string came_out(run_record const& r) {
        auto const& v = r.outcome;
        std::string text{v.found()     ? to_string(v.first.kind)
                         : v.exhausted ? "none wrong, all searched"
                                       : "none wrong in those"};
        return r.as_expected ? text : text + " – not as expected";
    }
    void tell(told_run const& f) {
        auto const& first = f.record.outcome.first;
        element("h2", f.record.name() + ": " + std::string{to_string(first.kind)});
        element("p", first.headline, "bad");
        element("p", f.record.coverage(), "soft");
        columns(f.lines, f.record.outcome.actors);
        std::string rest;
        for (auto const& left : f.lines.remaining()) rest += left + "\n";
        rest += first.details + "replay: " + first.token + "\n";
        rest += call_again(f.record.how, first.token);
        element("pre", rest);
    }
    void columns(story const& s, int actors) {
        text_ += "<div class=\"wide\"><table class=\"story\"><tr><th></th><th>#</th>";
        for (int a = 0; a < actors; ++a) element("th", actor_text(static_cast<std::size_t>(a)));
        text_ += "<th>memory</th><th>source</th></tr>\n";
        auto const shown = shown_lines(s.lines());
        for (std::size_t i = 0; i < shown.size(); ++i) {
            if (shown[i]) row(s.lines()[i], actors);
        }
        text_ += "</table></div>\n";
    }
    void row(story_line const& line, int actors) {
        bool const marked = line.marked != story_line::mark::no;
        text_ += marked ? "<tr class=\"mark\">" : "<tr>";
        element("td", marked ? std::string(1, static_cast<char>(line.marked)) : "", "k");
        element("td", line.step >= 0 ? std::to_string(line.step) : "", "n");
        int const column = line.column < 0 ? actors : line.column;
        for (int c = 0; c <= actors; ++c)
            element("td", c == column ? line.text : "", c == actors ? "m" : "");
        auto source = line.site.empty() ? "" : "[" + line.site + "] ";
        element("td", source + place_in_words(line.where), "soft");
        text_ += "</tr>\n";
    }

    std::string text_{};
};

}  // namespace detail

}  // namespace mmhold
