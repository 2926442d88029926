// SPDX-License-Identifier: BSL-1.0
#pragma once

// runner: a command line around a scenario_book, so that a user's scenarios get the same program as
// ours.
//
//     mmhold_explore --list | --scenario NAME | --all | --necessity | --races | --help
//                    [options]
//
// runner_help (runner_options.hpp) is the whole list; run_record.hpp is what is written as JSON,
// story_trace.hpp and story_page.hpp the other two files.

#include <mmhold/explore/run_record.hpp>
#include <mmhold/explore/runner_options.hpp>
#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/explore/story_page.hpp>
#include <mmhold/explore/story_trace.hpp>
#include <mmhold/explore/telling.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

[[nodiscard]] constexpr std::string_view order_name(memory_order order) noexcept {
    switch (order) {
        case memory_order::relaxed: return "relaxed";
        case memory_order::acquire: return "acquire";
        case memory_order::release: return "release";
        case memory_order::acq_rel: return "acq_rel";
        case memory_order::seq_cst: return "seq_cst";
    }
    return "?";
}
[[nodiscard]] constexpr std::string_view to_string(reach how_far) noexcept {
    switch (how_far) {
        case reach::complete: return "complete";
        case reach::tso_only: return "tso_only";
        case reach::sampled: return "sampled";
    }
    return "?";
}

/// One command: the book, what was asked, where tables go.
class runner {
public:
    static constexpr int as_expected = 0;
    static constexpr int not_as_expected = 1;
    static constexpr int usage = 2;

    runner(scenario_book const& book, runner_options o)
        : book_{book},
          o_{std::move(o)},
          out_{o_.json == "-" || o_.trace == "-" || o_.html == "-" ? stderr : stdout} {}

    /// Does it; the answer is the exit status.
    [[nodiscard]] int run() {
        using deed = runner_options::deed;
        if (!o_.complaint.empty()) return complain(o_.complaint);
        for (auto const* file : {&o_.json, &o_.trace, &o_.html}) {
            if (!can_write(*file)) return complain("cannot write " + *file);
        }
        switch (o_.what) {
            case deed::list: return list();
            case deed::one: return one();
            case deed::all: return all();
            case deed::necessity: return sites();
            case deed::races: return races();
            case deed::help:
                std::fprintf(out_, "%s", std::string{runner_help}.c_str());
                return as_expected;
            case deed::nothing: break;
        }
        return complain("nothing to do");
    }

private:
    [[nodiscard]] static int complain(std::string const& text) {
        std::fprintf(stderr, "%s (--help tells what there is)\n", text.c_str());
        return usage;
    }
    /// Writes a file that was asked for; false: it failed and was said.
    [[nodiscard]] static bool wrote(std::string const& path, std::string const& text) {
        if (path.empty() || write_file(path, text)) return true;
        std::fprintf(stderr, "cannot write %s\n", path.c_str());
        return false;
    }

    // ---- names ----

    /// The entry that was asked for; nullptr: none, and that was said.
    [[nodiscard]] scenario_entry const* entry() const {
        auto const* const found = book_.find(o_.scenario, o_.mutant);
        if (found != nullptr) return found;
        bool const known = book_.find(o_.scenario) != nullptr;
        std::vector<std::string> names;
        for (auto const& e : book_.entries()) {
            if (known ? e.mutant_of == o_.scenario : !e.is_mutant()) names.push_back(e.name);
        }
        auto const& wrong = known ? o_.mutant : o_.scenario;
        (void)complain((known ? o_.scenario + " has no mutant '" : "no scenario '") + wrong + "'" +
                       did_you_mean(wrong, names));
        return nullptr;
    }
    /// Are all sites that are to be changed known? If not, that was said.
    [[nodiscard]] bool sites_known(scenario_entry const& entry) const {
        std::vector<std::string> names;
        for (auto const& s : sites_of(entry, o_.how)) names.push_back(s.name);
        for (auto const& c : o_.how.sites) {
            if (std::find(names.begin(), names.end(), c.name) != names.end()) continue;
            if (named_elsewhere(c.name, names)) {
                std::fprintf(stderr, "note: %s passes no site '%s'\n", entry.name.c_str(),
                             c.name.c_str());
                continue;
            }
            (void)complain("no site '" + c.name + "'" + did_you_mean(c.name, names));
            return false;
        }
        return true;
    }
    /// Does another scenario pass a site of that name? Adds what there is to `names`.
    [[nodiscard]] bool named_elsewhere(std::string const& name,
                                       std::vector<std::string>& names) const {
        for (auto const& e : book_.entries()) {
            if (e.is_mutant()) continue;
            for (auto const& s : sites_of(e, o_.how)) {
                if (s.name == name) return true;
                names.push_back(s.name);
            }
        }
        return false;
    }

    // ---- deeds ----

    [[nodiscard]] int list() const {
        if (o_.json.empty() || out_ == stdout) {
            for (auto const& e : book_.entries()) {
                std::fprintf(out_, e.is_mutant() ? "    mutant %-40s %s\n" : "%-51s %s\n",
                             e.name.c_str(), e.about.c_str());
            }
        }
        if (o_.json.empty()) return as_expected;
        auto const text = json_list([&](auto& json) {
            for (auto const& e : book_.entries()) write_entry(json, e);
        });
        return wrote(o_.json, text) ? as_expected : usage;
    }
    void write_entry(auto& json, scenario_entry const& e) const {
        json.new_line();
        json.begin_object();
        json_member(json, "scenario", e.is_mutant() ? e.mutant_of : e.name);
        json_member(json, "mutant", e.is_mutant() ? e.name : std::string{});
        json_member(json, "about", e.about);
        json_member(json, "reach", to_string(e.how_far));
        json_member(json, "actors", static_cast<std::uint64_t>(e.functions.actors));
        json.key("sites");
        json.begin_array();
        for (auto const& s : sites_of(e, {})) {
            json.begin_object();
            json_member(json, "site", s.name);
            json_member(json, "kind", mmhold::to_string(s.kind));
            json_member(json, "order", order_name(s.order));
            json.end_object();
        }
        json.end_array();
        json.end_object();
    }

    void print(run_record const& r) const {
        auto const& v = r.outcome;
        std::fprintf(out_,
                     "%-52s %-5s %-6s %9llu executions %5llu redundant %4d events %8.3f s  %s%s\n",
                     r.name().c_str(), std::string{mmhold::to_string(r.how.memory)}.c_str(),
                     std::string{mmhold::to_string(r.how.search)}.c_str(),
                     static_cast<unsigned long long>(v.executions),
                     static_cast<unsigned long long>(v.redundant), v.longest, v.seconds,
                     v.found()     ? std::string{mmhold::to_string(v.first.kind)}.c_str()
                     : v.exhausted ? "none wrong, all searched"
                                   : "none wrong in those",
                     r.as_expected ? "" : "   <== NOT AS EXPECTED");
        std::fflush(out_);
    }
    /// The command line of an entry, for reports.
    [[nodiscard]] static std::string command_of(scenario_entry const& e) {
        auto text = "mmhold_explore --scenario " + shell_word(e.is_mutant() ? e.mutant_of : e.name);
        return e.is_mutant() ? text + " --mutant " + shell_word(e.name) : text;
    }
    [[nodiscard]] run_record searched_entry(scenario_entry const& e, plan p) const {
        p.command = command_of(e);
        return {e.is_mutant() ? e.mutant_of : e.name, e.is_mutant() ? e.name : std::string{}, p,
                explore(e, p), true};
    }
    /// The execution of a finding, or – without one – the one that was replayed or comes first.
    [[nodiscard]] static told_run told(scenario_entry const& e, run_record const& r) {
        auto const& token = r.outcome.found() ? r.outcome.first.token : r.how.replay;
        return {r, execution_of(e.functions, r.how, token_parts(token)).lines};
    }

    [[nodiscard]] int one() const {
        auto const* const e = entry();
        if (e == nullptr || (!o_.how.sites.empty() && !sites_known(*e))) return usage;
        auto const r = searched_entry(*e, o_.how);
        print(r);
        std::fprintf(out_, "%s\n", r.coverage().c_str());
        if (r.outcome.found()) std::fprintf(out_, "\n%s", r.outcome.first.story.c_str());
        if (!o_.json.empty() && !wrote(o_.json, json_of(r))) return usage;
        if (!o_.trace.empty() || !o_.html.empty()) {
            auto const it = told(*e, r);
            auto const trace = trace_of(r.name(), it.lines, e->functions.actors);
            std::vector<told_run> found;
            if (r.outcome.found()) found.push_back(it);
            if (!wrote(o_.trace, trace)) return usage;
            if (!wrote(o_.html, page_writer{}.page(r.name(), {r}, found))) return usage;
        }
        return r.outcome.found() ? not_as_expected : as_expected;
    }

    /// How --all searches an entry in a model: completely where that ends, else by PCT.
    [[nodiscard]] plan plan_for(scenario_entry const& e, memory_model model) const {
        plan p = o_.how;
        p.memory = model;
        p.story = o_.html.empty() ? story_kind::omitted : story_kind::told;
        bool const whole = e.how_far == reach::complete ||
                           (e.how_far == reach::tso_only && model != memory_model::stale);
        p.search = whole ? search_kind::all : search_kind::pct;
        if (!o_.budget_given) p.executions = whole ? 3'000'000 : 20'000;
        return p;
    }
    [[nodiscard]] int all() const {
        std::vector<run_record> records;
        std::vector<told_run> found;
        for (auto const& e : book_.entries()) search_everywhere(e, records, found);
        std::size_t unexpected = 0;
        for (auto const& r : records) unexpected += !r.as_expected;
        std::fprintf(out_, "%zu not as expected\n", unexpected);
        bool const written = wrote(o_.json, json_of(records)) &&
                             wrote(o_.html, page_writer{}.page("Explored", records, found));
        if (!written) return usage;
        return unexpected == 0 ? as_expected : not_as_expected;
    }
    void search_everywhere(scenario_entry const& e, std::vector<run_record>& records,
                           std::vector<told_run>& found) const {
        bool seen = false;
        for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
            if (e.is_mutant() && (seen || model == memory_model::sc)) continue;
            auto r = searched_entry(e, plan_for(e, model));
            auto const& v = r.outcome;
            seen = seen || v.found();
            bool const last = model == memory_model::stale || seen;
            bool const whole = r.how.search == search_kind::all;
            r.as_expected = e.is_mutant() ? seen || !last : !v.found() && (v.exhausted || !whole);
            print(r);
            if (!r.as_expected && v.found())
                std::fprintf(out_, "    %s\n", v.first.headline.c_str());
            if (v.found() && !o_.html.empty()) found.push_back(told(e, r));
            records.push_back(std::move(r));
        }
    }

    /// Why nobody needs that weakening; empty: somebody does, or no reason is known.
    [[nodiscard]] std::string excuse_of(site_need const& n) const {
        return std::string{n.scenario.empty() ? book_.excuse_of(n.where.name, n.how) : ""};
    }
    [[nodiscard]] int sites() const {
        auto const table = necessity(book_);
        bool open = false;
        for (auto const& n : table) {
            bool const needed = !n.scenario.empty();
            auto const excuse = excuse_of(n);
            open = open || (!needed && excuse.empty());
            auto const who = needed ? n.scenario : excuse.empty() ? "nobody" : "excused: " + excuse;
            std::fprintf(out_, "%-28s %-11s %-8s %-42s %-6s %s\n", n.where.name.c_str(),
                         std::string{mmhold::to_string(n.where.kind)}.c_str(),
                         std::string{mmhold::to_string(n.how)}.c_str(), who.c_str(),
                         needed ? std::string{mmhold::to_string(n.model)}.c_str() : "",
                         needed ? std::string{mmhold::to_string(n.finding)}.c_str() : "");
        }
        auto const text = json_list([&](auto& json) {
            for (auto const& n : table) write_need(json, n);
        });
        if (!wrote(o_.json, text)) return usage;
        return open ? not_as_expected : as_expected;
    }
    void write_need(auto& json, site_need const& n) const {
        json.new_line();
        json.begin_object();
        json_member(json, "site", n.where.name);
        json_member(json, "kind", mmhold::to_string(n.where.kind));
        json_member(json, "weakened", mmhold::to_string(n.how));
        json_member(json, "needed_by", n.scenario);
        json_member(json, "excuse", excuse_of(n));
        json_member(json, "model",
                    n.scenario.empty() ? std::string_view{} : mmhold::to_string(n.model));
        json_member(json, "finding", mmhold::to_string(n.finding));
        json_member(json, "executions", n.executions);
        json.end_object();
    }

    /// Which scenario, and which mutant of it, shows which race. Nothing is searched.
    [[nodiscard]] int races() const {
        int open = 0;
        for (auto const& r : book_.races()) {
            std::fprintf(out_, "%2d  %s\n", r.number, r.about.c_str());
            for (auto const& name : r.scenarios) {
                auto const mutants = book_.mutants_of(name);
                bool const shown = book_.find(name) != nullptr && !mutants.empty();
                open += !shown;
                std::fprintf(out_, "      %-40s%s\n", name.c_str(),
                             shown ? "" : "   <== NO SUCH SCENARIO OR NO MUTANT");
                for (auto const& m : mutants) std::fprintf(out_, "          %s\n", m.c_str());
            }
        }
        std::fprintf(out_, "%zu races, %d scenarios missing\n", book_.races().size(), open);
        auto const text = json_list([&](auto& json) {
            for (auto const& r : book_.races()) {
                for (auto const& name : r.scenarios) write_race(json, r, name);
            }
        });
        if (!wrote(o_.json, text)) return usage;
        return open == 0 ? as_expected : not_as_expected;
    }
    void write_race(auto& json, known_race const& r, std::string const& scenario) const {
        json.new_line();
        json.begin_object();
        json_member(json, "race", static_cast<std::uint64_t>(r.number));
        json_member(json, "about", r.about);
        json_member(json, "scenario", scenario);
        json.key("mutants");
        json.begin_array();
        for (auto const& m : book_.mutants_of(scenario)) json.text(m);
        json.end_array();
        json.end_object();
    }

    scenario_book const& book_;
    runner_options o_;
    std::FILE* out_;
};

}  // namespace detail

/// Does what the arguments say. Status: 0 as it should be, 1 something was found (--all: something
/// is not as expected), 2 the arguments were not understood or a file could not be written.
[[nodiscard]] inline int run_explorer(scenario_book const& book, int count, char** arguments) {
    std::vector<std::string> words;
    for (int i = 1; i < count; ++i) words.emplace_back(arguments[i]);
    return detail::runner{book, detail::read_options(std::move(words))}.run();
}

}  // namespace mmhold
