// SPDX-License-Identifier: BSL-1.0
#pragma once

// runner: a command line around a scenario_book, so that a user's scenarios get the same program as
// ours.
//
//     mmhold_explore --list [--json FILE]
//     mmhold_explore --scenario NAME [--mutant NAME] [--model sc|tso|stale] [--search
//                    all|random|pct] [--without SITE] [--weaken SITE=acquire|release|acq_rel]
//                    [--budget N] [--seconds S] [--seed N] [--retries N] [--reuse] [--replay TOKEN]
//                    [--jobs N] [--json FILE]
//     mmhold_explore --all [--jobs N] [--json FILE]
//                    every scenario, every mutant; status 1 if one is not as it should be
//     mmhold_explore --necessity [--json FILE]
//                    every site switched off in turn; status 1 if nobody needs one and no excuse is
//                    given
//     mmhold_explore --races [--json FILE]
//                    which scenario and mutant shows which race; status 1 if one has neither

#include <mmhold/explore/scenario_book.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace mmhold {

namespace detail {

/// One run, for tables and files.
struct run_record {
    std::string scenario;
    std::string mutant;
    std::string model;
    std::string search;
    verdict outcome;
    bool as_expected{true};
};

[[nodiscard]] inline std::string json_text(std::string_view text) {
    std::string quoted{"\""};
    for (char const c : text) {
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else if (c == '\n') {
            quoted += "\\n";
        } else {
            quoted += c;
        }
    }
    return quoted + "\"";
}

[[nodiscard]] inline std::string json_of(run_record const& r) {
    auto const& v = r.outcome;
    std::string text =
        "{\"scenario\": " + json_text(r.scenario) + ", \"mutant\": " + json_text(r.mutant);
    text += ", \"model\": " + json_text(r.model) + ", \"search\": " + json_text(r.search);
    text += std::string{", \"complete\": "} + (v.complete() ? "true" : "false");
    text += std::string{", \"as_expected\": "} + (r.as_expected ? "true" : "false");
    text += ", \"finding\": " + json_text(to_string(v.first.kind)) +
            ", \"headline\": " + json_text(v.first.headline);
    text += ", \"replay\": " + json_text(v.first.token) +
            ", \"executions\": " + std::to_string(v.executions);
    text += ", \"redundant\": " + std::to_string(v.redundant) +
            ", \"longest\": " + std::to_string(v.longest);
    text +=
        ", \"actors\": " + std::to_string(v.actors) + ", \"seconds\": " + std::to_string(v.seconds);
    return text + "}";
}

inline bool write_file(std::string const& path, std::string const& text) {
    std::FILE* const file = path == "-" ? stdout : std::fopen(path.c_str(), "w");
    if (file == nullptr) return false;
    std::fwrite(text.data(), 1, text.size(), file);
    return file == stdout || std::fclose(file) == 0;
}

[[nodiscard]] inline std::string json_list(std::vector<std::string> const& items) {
    std::string text = "[\n";
    for (std::size_t i = 0; i < items.size(); ++i)
        text += "  " + items[i] + (i + 1 < items.size() ? ",\n" : "\n");
    return text + "]\n";
}

/// What the command line asks for.
struct runner_options {
    enum class deed : std::uint8_t { help, list, one, all, necessity, races };
    deed what{deed::help};
    std::string scenario{};
    std::string mutant{};
    std::string json{};
    plan how{};
    std::string complaint{};
};

[[nodiscard]] inline memory_model model_named(std::string_view name) noexcept {
    return name == "sc"      ? memory_model::sc
           : name == "stale" ? memory_model::stale
                             : memory_model::tso;
}

inline void set_weakening(runner_options& o, std::string const& text) {
    auto const equals = text.find('=');
    auto const how = equals == std::string::npos ? std::string{} : text.substr(equals + 1);
    auto const name = text.substr(0, equals);
    weakening const w = how == "acquire"   ? weakening::to_acquire
                        : how == "release" ? weakening::to_release
                        : how == "acq_rel" ? weakening::to_acq_rel
                                           : weakening::off;
    o.how.sites.push_back({name, w});
}

/// Options that take a value.
[[nodiscard]] inline bool set_option(runner_options& o, std::string_view name,
                                     std::string const& value) {
    using deed = runner_options::deed;
    auto const number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
    if (name == "--scenario") {
        o.scenario = value;
        o.what = deed::one;
    } else if (name == "--mutant") {
        o.mutant = value;
    } else if (name == "--model") {
        o.how.memory = model_named(value);
    } else if (name == "--search") {
        o.how.search = value == "random" ? search_kind::random
                       : value == "pct"  ? search_kind::pct
                                         : search_kind::all;
        if (o.how.search != search_kind::all) o.how.executions = 100'000;
    } else if (name == "--without" || name == "--weaken") {
        set_weakening(o, value);
    } else if (name == "--budget") {
        o.how.executions = number();
    } else if (name == "--seconds") {
        o.how.seconds = std::strtod(value.c_str(), nullptr);
    } else if (name == "--seed") {
        o.how.seed = number();
    } else if (name == "--retries") {
        o.how.retries = static_cast<int>(number());
    } else if (name == "--replay") {
        o.how.search = search_kind::replay;
        o.how.replay = value;
    } else if (name == "--json") {
        o.json = value;
    } else {
        return false;
    }
    return true;
}

/// plan::workers; false if that is no number of them.
[[nodiscard]] inline bool set_jobs(runner_options& o, char const* text) {
    char* end = nullptr;
    auto const jobs = std::strtol(text, &end, 10);
    if (end == text || *end != '\0' || jobs < 1 || jobs > 64) return false;
    o.how.workers = static_cast<int>(jobs);
    return true;
}

[[nodiscard]] inline runner_options parse(int count, char** arguments) {
    using deed = runner_options::deed;
    runner_options o;
    for (int i = 1; i < count; ++i) {
        std::string_view const name = arguments[i];
        if (name == "--list") {
            o.what = deed::list;
        } else if (name == "--all") {
            o.what = deed::all;
        } else if (name == "--necessity") {
            o.what = deed::necessity;
        } else if (name == "--races") {
            o.what = deed::races;
        } else if (name == "--reuse") {
            o.how.reuse = heap_reuse::always;
        } else if (i + 1 < count && name == "--jobs" && set_jobs(o, arguments[i + 1])) {
            ++i;
        } else if (i + 1 >= count || !set_option(o, name, arguments[i + 1])) {
            o.complaint = "unknown option or missing value: " + std::string{name};
            return o;
        } else {
            ++i;
        }
    }
    return o;
}

[[nodiscard]] inline int list_entries(scenario_book const& book, runner_options const& o) {
    std::vector<std::string> items;
    for (auto const& e : book.entries()) {
        std::string sites;
        if (!o.json.empty() && !e.is_mutant()) {
            for (auto const& s : sites_of(e, {}))
                sites += (sites.empty() ? "" : ", ") + json_text(s.name);
        }
        items.push_back("{\"scenario\": " + json_text(e.is_mutant() ? e.mutant_of : e.name) +
                        ", \"mutant\": " + json_text(e.is_mutant() ? e.name : "") +
                        ", \"about\": " + json_text(e.about) + ", \"sites\": [" + sites + "]}");
        if (o.json.empty()) {
            std::printf(e.is_mutant() ? "    mutant %-40s %s\n" : "%-51s %s\n", e.name.c_str(),
                        e.about.c_str());
        }
    }
    return o.json.empty() || write_file(o.json, json_list(items)) ? 0 : 2;
}

inline void print_record(run_record const& r) {
    auto const& v = r.outcome;
    auto const name = r.mutant.empty() ? r.scenario : r.scenario + " / " + r.mutant;
    std::printf("%-52s %-5s %-6s %9llu executions %5llu redundant %4d events %8.3f s  %s%s\n",
                name.c_str(), r.model.c_str(), r.search.c_str(),
                static_cast<unsigned long long>(v.executions),
                static_cast<unsigned long long>(v.redundant), v.longest, v.seconds,
                v.found()     ? std::string{to_string(v.first.kind)}.c_str()
                : v.exhausted ? "none wrong, all searched"
                              : "none wrong in those",
                r.as_expected ? "" : "   <== NOT AS EXPECTED");
    std::fflush(stdout);
}

/// Every scenario in every model, every mutant until a model shows it.
[[nodiscard]] inline int run_all(scenario_book const& book, runner_options const& o) {
    std::vector<std::string> items;
    int unexpected = 0;
    for (auto const& e : book.entries()) {
        bool found = false;
        for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
            if (e.is_mutant() && (found || model == memory_model::sc)) continue;
            plan p = o.how;
            p.memory = model;
            p.story = story_kind::omitted;
            bool const all = e.how_far == reach::complete ||
                             (e.how_far == reach::tso_only && model != memory_model::stale);
            p.search = all ? search_kind::all : search_kind::pct;
            p.executions = all ? 3'000'000 : 20'000;
            run_record r{e.is_mutant() ? e.mutant_of : e.name,
                         e.is_mutant() ? e.name : "",
                         std::string{to_string(model)},
                         all ? "all" : "pct",
                         explore(e, p),
                         true};
            found = found || r.outcome.found();
            bool const last = model == memory_model::stale || found;
            r.as_expected = e.is_mutant() ? found || !last
                                          : !r.outcome.found() && (r.outcome.exhausted || !all);
            unexpected += !r.as_expected;
            print_record(r);
            if (!r.as_expected && r.outcome.found())
                std::printf("    %s\n", r.outcome.first.headline.c_str());
            items.push_back(json_of(r));
        }
    }
    std::printf("%d not as expected\n", unexpected);
    if (!o.json.empty() && !write_file(o.json, json_list(items))) return 2;
    return unexpected == 0 ? 0 : 1;
}

[[nodiscard]] inline int run_necessity(scenario_book const& book, runner_options const& o) {
    std::vector<std::string> items;
    int without_reason = 0;
    for (auto const& n : necessity(book)) {
        auto const excuse =
            std::string{n.scenario.empty() ? book.excuse_of(n.where.name, n.how) : ""};
        without_reason += n.scenario.empty() && excuse.empty();
        auto const needed = !n.scenario.empty() ? n.scenario
                            : excuse.empty()    ? std::string{"nobody"}
                                                : "excused: " + excuse;
        std::printf("%-28s %-11s %-8s %-42s %-6s %s\n", n.where.name.c_str(),
                    std::string{to_string(n.where.kind)}.c_str(),
                    std::string{to_string(n.how)}.c_str(), needed.c_str(),
                    n.scenario.empty() ? "" : std::string{to_string(n.model)}.c_str(),
                    n.scenario.empty() ? "" : std::string{to_string(n.finding)}.c_str());
        items.push_back("{\"site\": " + json_text(n.where.name) +
                        ", \"kind\": " + json_text(to_string(n.where.kind)) + ", \"weakened\": " +
                        json_text(to_string(n.how)) + ", \"needed_by\": " + json_text(n.scenario) +
                        ", \"excuse\": " + json_text(excuse) + ", \"model\": " +
                        json_text(n.scenario.empty() ? "" : to_string(n.model)) +
                        ", \"finding\": " + json_text(to_string(n.finding)) +
                        ", \"executions\": " + std::to_string(n.executions) + "}");
    }
    if (!o.json.empty() && !write_file(o.json, json_list(items))) return 2;
    return without_reason == 0 ? 0 : 1;
}

/// Which scenario, and which mutant of it, shows which race. Nothing is searched.
[[nodiscard]] inline int run_races(scenario_book const& book, runner_options const& o) {
    std::vector<std::string> items;
    int open = 0;
    for (auto const& r : book.races()) {
        std::printf("%2d  %s\n", r.number, r.about.c_str());
        for (auto const& name : r.scenarios) {
            auto const mutants = book.mutants_of(name);
            bool const shown = book.find(name) != nullptr && !mutants.empty();
            open += !shown;
            std::printf("      %-40s%s\n", name.c_str(),
                        shown ? "" : "   <== NO SUCH SCENARIO OR NO MUTANT");
            std::string names;
            for (auto const& m : mutants) {
                std::printf("          %s\n", m.c_str());
                names += (names.empty() ? "" : ", ") + json_text(m);
            }
            items.push_back("{\"race\": " + std::to_string(r.number) + ", \"about\": " +
                            json_text(r.about) + ", \"scenario\": " + json_text(name) +
                            ", \"mutants\": [" + names + "]}");
        }
    }
    std::printf("%zu races, %d scenarios missing\n", book.races().size(), open);
    if (!o.json.empty() && !write_file(o.json, json_list(items))) return 2;
    return open == 0 ? 0 : 1;
}

[[nodiscard]] inline int run_one(scenario_book const& book, runner_options const& o) {
    auto const* const entry = book.find(o.scenario, o.mutant);
    if (entry == nullptr) {
        std::fprintf(stderr, "no such scenario: %s %s (try --list)\n", o.scenario.c_str(),
                     o.mutant.c_str());
        return 2;
    }
    static constexpr char const* names[] = {"all", "brute", "random", "pct", "replay"};
    run_record const r{o.scenario,
                       o.mutant,
                       std::string{to_string(o.how.memory)},
                       names[static_cast<int>(o.how.search)],
                       explore(*entry, o.how),
                       true};
    print_record(r);
    if (r.outcome.found()) std::printf("\n%s", r.outcome.first.story.c_str());
    if (!o.json.empty() && !write_file(o.json, json_of(r) + "\n")) return 2;
    return r.outcome.found() ? 1 : 0;
}

}  // namespace detail

/// Does what the arguments say. Status: 0 as expected, 1 something was found (or not found), 2 a
/// usage error.
[[nodiscard]] inline int run_explorer(scenario_book const& book, int count, char** arguments) {
    using deed = detail::runner_options::deed;
    auto const o = detail::parse(count, arguments);
    if (!o.complaint.empty()) std::fprintf(stderr, "%s\n", o.complaint.c_str());
    switch (o.complaint.empty() ? o.what : deed::help) {
        case deed::list: return detail::list_entries(book, o);
        case deed::one: return detail::run_one(book, o);
        case deed::all: return detail::run_all(book, o);
        case deed::necessity: return detail::run_necessity(book, o);
        case deed::races: return detail::run_races(book, o);
        case deed::help: break;
    }
    std::fprintf(
        stderr,
        "usage: %s --list | --scenario NAME | --all | --necessity | --races\n"
        "(see explore/runner.hpp)\n",
        count > 0 ? arguments[0] : "mmhold_explore");
    return 2;
}

}  // namespace mmhold
