// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <unistd.h>

namespace stall {

/// Says on the standard error how far a long run has come: on a terminal one line that changes,
/// elsewhere a line now and then.
class progress {
public:
    explicit progress(std::FILE* to = stderr) : to_{to}, terminal_{isatty(fileno(to)) == 1} {}
    progress(progress const&) = delete;
    progress& operator=(progress const&) = delete;
    ~progress() { clear(); }

    /// `done` of `all` calls of this row have ended.
    void show(std::string_view row, std::uint64_t done, std::uint64_t all) {
        using namespace std::chrono_literals;
        auto const now = clock::now();
        if (now - last_ < (terminal_ ? clock::duration{500ms} : clock::duration{10s})) return;
        last_ = now;
        auto const text = std::string{row} + ": " + std::to_string(done) + " of " +
                          std::to_string(all) + " calls";
        std::fprintf(to_, terminal_ ? "\r\033[K%s ..." : "%s ...\n", text.c_str());
        std::fflush(to_);
        shown_ = true;
    }

    /// A line for good.
    void say(std::string const& text) {
        clear();
        std::fprintf(to_, "%s\n", text.c_str());
    }

    /// Takes the line away: something else is about to be printed.
    void clear() {
        if (terminal_ && shown_) std::fputs("\r\033[K", to_);
        std::fflush(to_);
        shown_ = false;
    }

private:
    using clock = std::chrono::steady_clock;

    std::FILE* to_;
    bool terminal_;
    bool shown_{false};
    clock::time_point last_{clock::now()};
};

}  // namespace stall
