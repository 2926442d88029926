// SPDX-License-Identifier: BSL-1.0
#pragma once

// story_trace: an execution on a time line, for ui.perfetto.dev or chrome://tracing (JSON trace
// event format). One track per actor and one for memory; a step lasts one unit of time; a store
// that waits in a buffer is an arrow from the store to its drain.

#include <mmhold/explore/story.hpp>
#include <mmhold/observe/json_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace mmhold {

namespace detail {

/// Writes the events of one story.
template<class Json>
class story_tracer {
public:
    story_tracer(Json& json, int actors) : json_{json}, actors_{actors}, waiting_(8) {}

    void write(std::string_view heading, story const& s) {
        json_.begin_object();
        json_.key("displayTimeUnit");
        json_.text("ns");
        json_.key("traceEvents");
        json_.begin_array();
        name_track("process_name", 0, heading);
        for (int a = 0; a < actors_; ++a)
            name_track("thread_name", a + 1, actor_text(static_cast<std::size_t>(a)));
        name_track("thread_name", actors_ + 1, "memory");
        for (auto const& line : s.lines()) write_line(line);
        json_.new_line();
        json_.end_array();
        json_.end_object();
    }

private:
    [[nodiscard]] int track_of(story_line const& line) const noexcept {
        if (line.column == story_line::nobody) return 0;
        return line.column < 0 ? actors_ + 1 : line.column + 1;
    }
    void begin(std::string_view phase, std::string_view name, int track) {
        json_.new_line();
        json_.begin_object();
        json_.key("ph");
        json_.text(phase);
        json_.key("name");
        json_.text(name);
        json_.key("pid");
        json_.number(1);
        json_.key("tid");
        json_.number(static_cast<std::uint64_t>(track));
    }
    void at(std::uint64_t time) {
        json_.key("ts");
        json_.number(time);
    }
    void name_track(std::string_view what, int track, std::string_view name) {
        begin("M", what, track);
        json_.key("args");
        json_.begin_object();
        json_.key("name");
        json_.text(name);
        json_.end_object();
        json_.end_object();
    }
    void write_line(story_line const& line) {
        begin("X", line.text, track_of(line));
        at(time_);
        json_.key("dur");
        json_.number(duration);
        json_.key("args");
        json_.begin_object();
        if (line.step >= 0) {
            json_.key("step");
            json_.number(static_cast<std::uint64_t>(line.step));
        }
        member("site", line.site);
        member("source", place_in_words(line.where));
        if (line.marked != story_line::mark::no) member("clash", mark_text(line.marked));
        json_.end_object();
        if (line.marked != story_line::mark::no) member("cname", "terrible");
        json_.end_object();
        follow_store(line);
        time_ += distance;
    }
    void member(std::string_view key, std::string_view value) {
        if (value.empty()) return;
        json_.key(key);
        json_.text(value);
    }
    [[nodiscard]] static std::string_view mark_text(story_line::mark m) noexcept {
        return m == story_line::mark::first ? "first" : "second";
    }
    /// Buffers are first in, first out: the n-th buffered store of an actor is its n-th drain.
    void follow_store(story_line const& line) {
        bool const buffered = line.text.ends_with("(buffered)") && line.column >= 0;
        if (buffered) {
            waiting_[static_cast<std::size_t>(line.column)].push_back(++arrows_);
            arrow("s", arrows_, line.column + 1);
        } else if (line.column == story_line::memory && line.text.size() > 1) {
            auto& mine = waiting_[static_cast<std::size_t>(line.text[1] - '0') % waiting_.size()];
            if (mine.empty()) return;
            arrow("f", mine.front(), actors_ + 1);
            mine.pop_front();
        }
    }
    void arrow(std::string_view phase, std::uint64_t number, int track) {
        begin(phase, "store buffer", track);
        at(time_ + 1);
        json_.key("cat");
        json_.text("buffer");
        json_.key("id");
        json_.number(number);
        if (phase == "f") member("bp", "e");
        json_.end_object();
    }

    static constexpr std::uint64_t duration = 8;
    static constexpr std::uint64_t distance = 10;
    Json& json_;
    int actors_;
    std::uint64_t time_{0};
    std::uint64_t arrows_{0};
    std::vector<std::deque<std::uint64_t>> waiting_;
};

/// The whole file.
[[nodiscard]] inline std::string trace_of(std::string_view heading, story const& s, int actors) {
    std::string text;
    json_writer json{[&text](std::string_view piece) { text += piece; }};
    story_tracer{json, actors}.write(heading, s);
    return text + "\n";
}

}  // namespace detail

}  // namespace mmhold
