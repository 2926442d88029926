// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace stall {

/// What the command line asks for.
struct options {
    std::optional<std::int32_t> pid{};    // the process whose layout is used; default: this one
    std::string maps{};                   // or a saved maps file
    std::chrono::milliseconds delay{20};  // the pager's time for one page
    std::uint32_t callers{2};             // threads that want pages
    std::uint32_t rounds{2};              // gup calls of each caller in each row
    std::string trace{};                  // where the timeline goes; empty: nowhere
    std::string json{};                   // where the table goes as JSON
    bool help{false};
};

inline constexpr std::string_view help_text =
    R"(proc_reader_stall - who waits for the mm lock while a page is slow to come?

Takes the layout of a real process, builds an address space like it, and lets a pager answer
page faults slowly, as a userfaultfd program or a file system in user space would. Meanwhile
callers of get_user_pages want those pages, a reader walks all mappings as /proc/PID/maps does,
and a writer maps and unmaps. Six ways of doing it, one row each; then a sentence and a check.

usage: proc_reader_stall [options]

  --pid N        use the layout of process N            (default: this process)
  --maps FILE    use a saved maps file instead
  --delay-ms N   the pager's time for one page, 1-10000 (default: 20)
  --callers N    threads that call gup, 1-16            (default: 2)
  --rounds N     gup calls of each caller, 1-1000       (default: 2)
  --trace FILE   write a timeline for https://ui.perfetto.dev
  --json FILE    write the table as JSON
  --help         this text

exit status: 0 the check passed, 1 it did not, 2 the program could not run as asked
)";

struct parsed_options {
    options wanted{};
    std::string error{};  // empty: understood
};

namespace detail {

/// Goes through the arguments; "--name=value" and "--name value" are the same.
class argument_reader {
public:
    explicit argument_reader(std::span<char const* const> arguments) : left_{arguments} {}

    parsed_options read() {
        while (!left_.empty() && out_.error.empty()) next();
        if (out_.error.empty() && out_.wanted.pid && !out_.wanted.maps.empty()) {
            out_.error = "--pid and --maps exclude each other";
        }
        return out_;
    }

private:
    void next() {
        std::string_view const argument = take();
        auto const equals = argument.find('=');
        name_ = argument.substr(0, equals);
        value_.reset();
        if (equals != argument.npos) value_ = argument.substr(equals + 1);
        dispatch();
        if (value_ && out_.error.empty()) fail("takes no value");
    }

    void dispatch() {
        auto& to = out_.wanted;
        if (name_ == "--help" || name_ == "-h") {
            to.help = true;
        } else if (name_ == "--pid") {
            if (auto const pid = number(1, 2'147'483'647)) to.pid = static_cast<std::int32_t>(*pid);
        } else if (name_ == "--delay-ms") {
            if (auto const delay = number(1, 10'000)) to.delay = std::chrono::milliseconds{*delay};
        } else if (name_ == "--callers") {
            if (auto const count = number(1, 16)) to.callers = static_cast<std::uint32_t>(*count);
        } else if (name_ == "--rounds") {
            if (auto const count = number(1, 1000)) to.rounds = static_cast<std::uint32_t>(*count);
        } else if (auto* const file = file_option()) {
            if (auto const path = value()) *file = *path;
        } else {
            out_.error = "unknown option '" + std::string{name_} + "'";
        }
    }

    std::string* file_option() {
        auto& to = out_.wanted;
        if (name_ == "--maps") return &to.maps;
        if (name_ == "--trace") return &to.trace;
        return name_ == "--json" ? &to.json : nullptr;
    }

    std::optional<std::string_view> value() {
        if (!value_ && !left_.empty()) value_ = take();
        auto const out = value_;
        value_.reset();
        if (!out || out->empty()) {
            fail("needs a value");
            return std::nullopt;
        }
        return out;
    }

    std::optional<std::int64_t> number(std::int64_t least, std::int64_t most) {
        auto const text = value();
        if (!text) return std::nullopt;
        std::int64_t out = 0;
        auto const end = text->data() + text->size();
        auto const read = std::from_chars(text->data(), end, out);
        if (read.ec == std::errc{} && read.ptr == end && out >= least && out <= most) return out;
        fail("wants a number from " + std::to_string(least) + " to " + std::to_string(most) +
             ", not '" + std::string{*text} + "'");
        return std::nullopt;
    }

    std::string_view take() {
        std::string_view const first = left_.front();
        left_ = left_.subspan(1);
        return first;
    }

    void fail(std::string_view what) { out_.error = std::string{name_} + " " + std::string{what}; }

    std::span<char const* const> left_;
    std::string_view name_{};
    std::optional<std::string_view> value_{};
    parsed_options out_{};
};

}  // namespace detail

/// Reads the command line without the program's name.
[[nodiscard]] inline parsed_options parse_options(std::span<char const* const> arguments) {
    return detail::argument_reader{arguments}.read();
}

}  // namespace stall
