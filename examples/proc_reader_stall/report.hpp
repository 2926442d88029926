// SPDX-License-Identifier: BSL-1.0
#pragma once

// What the program has to say: a table, a sentence, a JSON file.

#include <mmhold/observe/json_writer.hpp>
#include <mmhold/vocab/errc.hpp>

#include "row.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stall {

/// "0.004": milliseconds, to the microsecond.
[[nodiscard]] inline std::string milliseconds(duration time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f",
                  std::chrono::duration<double, std::milli>(time).count());
    return text;
}

namespace detail {

inline std::string left(std::string_view text, std::size_t width) {
    std::string out{text};
    out.resize(std::max(out.size(), width), ' ');
    return out;
}
/// Right-aligned, with at least one blank before it.
inline std::string right(std::string_view text, std::size_t width) {
    return std::string(width > text.size() ? width - text.size() : 1, ' ') + std::string{text};
}

inline constexpr std::size_t name_width = 30;
inline constexpr std::size_t widths[] = {6, 7, 9, 6, 7, 8, 8, 6, 7, 8, 8, 8, 6};
inline constexpr std::size_t waits_width = 6 + 7 + 8 + 8;
inline constexpr std::string_view headings[] = {"held", "error",   "hold ms", "count", "p50",
                                                "p99",  "max",     "count",   "p50",   "p99",
                                                "max",  "retries", "drops"};

/// In the middle of `width` characters.
inline std::string centred(std::string_view text, std::size_t width) {
    return left(right(text, (width + text.size() + 1) / 2), width);
}

inline std::vector<std::string> cells(row const& of) {
    auto const error = of.error == mmhold::errc::ok ? "-" : mmhold::errno_name(of.error);
    return {std::to_string(of.pages_held), std::string{error},
            milliseconds(of.longest_hold), std::to_string(of.reader.count),
            milliseconds(of.reader.p50),   milliseconds(of.reader.p99),
            milliseconds(of.reader.max),   std::to_string(of.writer.count),
            milliseconds(of.writer.p50),   milliseconds(of.writer.p99),
            milliseconds(of.writer.max),   std::to_string(of.retries),
            std::to_string(of.lock_drops)};
}

}  // namespace detail

/// The two lines above the rows.
[[nodiscard]] inline std::string table_head() {
    using namespace detail;
    auto out = left("", name_width) + right("pages", widths[0]) + right("", widths[1]) +
               right("longest", widths[2]) + centred("reader waits, ms", waits_width) +
               centred("writer waits, ms", waits_width) + right("", widths[11]) +
               right("lock", widths[12]) + "\n" + left("how the pages are got", name_width);
    for (std::size_t i = 0; i < std::size(widths); ++i) out += right(headings[i], widths[i]);
    return out + "\n";
}

/// One line of the table.
[[nodiscard]] inline std::string table_line(row const& of) {
    auto out = detail::left(of.name, detail::name_width);
    auto const texts = detail::cells(of);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        out += detail::right(texts[i], detail::widths[i]);
    }
    return out + "\n";
}

namespace detail {

inline duration worst_wait(std::span<row const> rows, lesson shown) {
    duration worst{0};
    for (auto const& one : rows) {
        if (one.shows == shown) worst = std::max({worst, one.reader.max, one.writer.max});
    }
    return worst;
}
inline duration longest_call(std::span<row const> rows, lesson shown) {
    duration longest{0};
    for (auto const& one : rows) {
        if (one.shows == shown) longest = std::max(longest, one.longest_call);
    }
    return longest;
}

}  // namespace detail

/// What the table shows, in one sentence.
[[nodiscard]] inline std::string conclusion(std::span<row const> rows, duration delay) {
    return "While a page took " + milliseconds(delay) + " ms to come, readers and writers of the " +
           "mm lock waited up to " + milliseconds(detail::worst_wait(rows, lesson::stalls)) +
           " ms where the fault kept the lock and up to " +
           milliseconds(detail::worst_wait(rows, lesson::flows)) +
           " ms where it could give the lock up or never took it; a caller that may not lose " +
           "the lock was refused within " +
           milliseconds(detail::longest_call(rows, lesson::refused)) + " ms instead of hanging.";
}

/// `text` in lines of at most `width` characters, broken at blanks.
[[nodiscard]] inline std::string wrapped(std::string_view text, std::size_t width) {
    std::string out;
    while (text.size() > width) {
        auto const blank = text.rfind(' ', width);
        if (blank == text.npos) break;
        out += std::string{text.substr(0, blank)} + "\n";
        text.remove_prefix(blank + 1);
    }
    return out + std::string{text};
}

/// A row is measured again, and why.
[[nodiscard]] inline std::string again(row const& of) {
    return std::string{of.name} + ": measured again, because the computer itself was up to " +
           milliseconds(of.host_stall) + " ms late";
}

/// How punctual the computer itself was.
[[nodiscard]] inline std::string host_text(std::span<row const> rows) {
    duration worst{0};
    for (auto const& one : rows) worst = std::max(worst, one.host_stall);
    auto out = "the computer itself: threads that only slept were woken up to " +
               milliseconds(worst) + " ms late\n";
    for (auto const& one : rows) {
        if (one.attempts == 1) continue;
        out += "  " + std::string{one.name} + " was measured " + std::to_string(one.attempts) +
               " times: it had failed while the computer was late\n";
    }
    return out;
}

/// Everything a JSON reader may want to know.
struct report {
    std::string layout{};  // where the mappings came from
    std::size_t mappings{0};
    duration delay{0};
    std::uint32_t callers{0};
    std::uint32_t rounds{0};
    std::span<row const> rows{};
    std::span<std::string const> failures{};  // of the self-check
};

namespace detail {

template<class Json>
void write_waits(Json& to, std::string_view key, wait_summary const& waits) {
    to.key(key);
    to.begin_object();
    to.key("count");
    to.number(waits.count);
    for (auto const& [name, time] :
         {std::pair{"p50", waits.p50}, std::pair{"p99", waits.p99}, std::pair{"max", waits.max}}) {
        to.key(name);
        to.signed_number(time.count());
    }
    to.end_object();
}

template<class Json>
void write_row(Json& to, row const& of) {
    to.begin_object();
    to.key("name");
    to.text(of.name);
    to.key("error");
    to.text(mmhold::errno_name(of.error));
    for (auto const& [name, value] :
         {std::pair{"pages_wanted", of.pages_wanted}, std::pair{"pages_held", of.pages_held},
          std::pair{"retries", of.retries}, std::pair{"lock_drops", of.lock_drops},
          std::pair{"lost_events", of.lost_events}, std::pair{"torn_walks", of.torn_walks},
          std::pair{"attempts", std::uint64_t{of.attempts}}}) {
        to.key(name);
        to.number(value);
    }
    for (auto const& [name, time] : {std::pair{"longest_call_ns", of.longest_call},
                                     std::pair{"longest_hold_ns", of.longest_hold},
                                     std::pair{"host_stall_ns", of.host_stall}}) {
        to.key(name);
        to.signed_number(time.count());
    }
    write_waits(to, "reader_waits_ns", of.reader);
    write_waits(to, "writer_waits_ns", of.writer);
    to.end_object();
}

}  // namespace detail

/// The report as one JSON object; times in nanoseconds.
[[nodiscard]] inline std::string to_json(report const& of) {
    std::string out;
    mmhold::json_writer to{[&out](std::string_view piece) { out += piece; }};
    to.begin_object();
    to.key("layout");
    to.text(of.layout);
    for (auto const& [name, value] :
         {std::pair{"mappings", std::uint64_t{of.mappings}},
          std::pair{"delay_ns", static_cast<std::uint64_t>(of.delay.count())},
          std::pair{"callers", std::uint64_t{of.callers}},
          std::pair{"rounds", std::uint64_t{of.rounds}}}) {
        to.key(name);
        to.number(value);
    }
    to.key("rows");
    to.begin_array();
    for (auto const& one : of.rows) {
        to.new_line();
        detail::write_row(to, one);
    }
    to.new_line();
    to.end_array();
    to.key("conclusion");
    to.text(conclusion(of.rows, of.delay));
    to.key("failures");
    to.begin_array();
    for (auto const& failure : of.failures) to.text(failure);
    to.end_array();
    to.key("passed");
    to.truth(of.failures.empty());
    to.end_object();
    return out + "\n";
}

}  // namespace stall
