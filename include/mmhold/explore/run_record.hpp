// SPDX-License-Identifier: BSL-1.0
#pragma once

// run_record: one search and what came out of it, as JSON.

#include <mmhold/explore/coverage.hpp>
#include <mmhold/explore/plan.hpp>
#include <mmhold/observe/json_writer.hpp>

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// One run, for tables and files.
struct run_record {
    std::string scenario;
    std::string mutant;  // empty: the scenario itself
    plan how{};
    verdict outcome{};
    bool as_expected{true};

    [[nodiscard]] std::string name() const {
        return mutant.empty() ? scenario : scenario + " / " + mutant;
    }
    [[nodiscard]] std::string coverage() const { return coverage_sentence(name(), how, outcome); }
};

/// Makes a string of what `write(json)` says to a json_writer.
template<class Write>
[[nodiscard]] std::string json_written(Write&& write) {
    std::string text;
    json_writer json{[&text](std::string_view piece) { text += piece; }};
    write(json);
    return text + "\n";
}
inline void json_member(auto& json, std::string_view key, std::string_view value) {
    json.key(key);
    json.text(value);
}
inline void json_member(auto& json, std::string_view key, std::uint64_t value) {
    json.key(key);
    json.number(value);
}
inline void json_truth(auto& json, std::string_view key, std::same_as<bool> auto value) {
    json.key(key);
    json.truth(value);
}

/// One record as an object.
inline void write_record(auto& json, run_record const& r) {
    auto const& v = r.outcome;
    json.begin_object();
    json_member(json, "scenario", r.scenario);
    json_member(json, "mutant", r.mutant);
    json_member(json, "model", to_string(r.how.memory));
    json_member(json, "search", to_string(r.how.search));
    json_truth(json, "complete", v.complete());
    json_truth(json, "exhausted", v.exhausted);
    json_truth(json, "cut", v.cut);
    json_truth(json, "as_expected", r.as_expected);
    json_member(json, "finding", to_string(v.first.kind));
    json_member(json, "headline", v.first.headline);
    json_member(json, "at_execution", v.first.at_execution);
    json_member(json, "replay", v.first.token);
    json_member(json, "executions", v.executions);
    json_member(json, "redundant", v.redundant);
    json_member(json, "events", v.events);
    json_member(json, "longest", static_cast<std::uint64_t>(v.longest));
    json_member(json, "actors", static_cast<std::uint64_t>(v.actors));
    json.key("seconds");
    json.millionths(static_cast<std::uint64_t>(v.seconds * 1e6));
    json_member(json, "coverage", r.coverage());
    json_member(json, "story", v.first.story);
    json.end_object();
}

[[nodiscard]] inline std::string json_of(run_record const& r) {
    return json_written([&](auto& json) { write_record(json, r); });
}
/// A list: `write(json)` writes its elements, each on a new line.
template<class Write>
[[nodiscard]] std::string json_list(Write&& write) {
    return json_written([&](auto& json) {
        json.begin_array();
        write(json);
        json.new_line();
        json.end_array();
    });
}
[[nodiscard]] inline std::string json_of(std::vector<run_record> const& all) {
    return json_list([&](auto& json) {
        for (auto const& r : all) {
            json.new_line();
            write_record(json, r);
        }
    });
}

/// Writes a whole file; "-" is standard output. False: it could not be written.
[[nodiscard]] inline bool write_file(std::string const& path, std::string const& text) {
    std::FILE* const file = path == "-" ? stdout : std::fopen(path.c_str(), "wb");
    if (file == nullptr) return false;
    bool const all = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    bool const closed = (file == stdout ? std::fflush(file) : std::fclose(file)) == 0;
    return all && closed;
}
/// Can that file be written? Asked before a long search; leaves its contents alone.
[[nodiscard]] inline bool can_write(std::string const& path) {
    if (path.empty() || path == "-") return true;
    std::FILE* const file = std::fopen(path.c_str(), "ab");
    return file != nullptr && std::fclose(file) == 0;
}

}  // namespace detail

}  // namespace mmhold
