// SPDX-License-Identifier: BSL-1.0
#pragma once

// runner_options: the command line of the runner, read strictly. What is not understood is a
// complaint with the word in it; nothing is guessed and nothing is ignored.

#include <mmhold/explore/near_names.hpp>
#include <mmhold/explore/plan.hpp>
#include <mmhold/explore/report.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// What the command line asks for.
struct runner_options {
    enum class deed : std::uint8_t { nothing, help, list, one, all, necessity, races };
    deed what{deed::nothing};
    std::string scenario{};
    std::string mutant{};
    std::string json{};  // files; "-": standard output
    std::string trace{};
    std::string html{};
    plan how{};
    bool budget_given{false};
    std::string complaint{};  // empty: understood
};

inline constexpr std::string_view runner_help =
    R"(what to do (one of):
  --list                  scenarios, and below each its mutants
  --scenario NAME         search that one
  --all                   every scenario in every model, and every mutant until a model shows it
  --necessity             switch every named site off (and weaken it): who breaks?
  --races                 which scenario and mutant shows which race
  --help                  this text
how to search:
  --mutant NAME           the mutant of --scenario of that name
  --model MODEL           sc, tso (default) or stale
  --search KIND           all (default: every execution), random or pct
  --without SITE          that fence or order is not there; may be repeated
  --weaken SITE=ORDER     what is left of it: acquire, release or acq_rel; may be repeated
  --budget N              executions at most (random and pct: exactly; default 100000)
  --seconds S             seconds at most
  --seed N                of random and pct
  --retries N             M::relax() per actor before an execution is cut (default 3)
  --reuse                 memory given back is handed out again at once
  --jobs N                threads that share one search, 1 to 64
  --replay TOKEN          the one execution of a report
what to write ("-": standard output; tables then go to standard error):
  --json FILE             verdicts; with --list scenarios, mutants and sites
  --trace FILE            the finding's execution, or one, for ui.perfetto.dev
  --html FILE             a page with the table and the stories of findings
status: 0 as it should be; 1 something was found (--all: not as expected, --necessity: nobody
needs a site and no reason is known, --races: one is not shown); 2 not understood
)";

/// Strictly a number of at most `most`.
[[nodiscard]] inline bool read_number(std::string_view text, std::uint64_t least,
                                      std::uint64_t most, std::uint64_t& value) noexcept {
    auto const end = text.data() + text.size();
    auto const read = std::from_chars(text.data(), end, value);
    return read.ec == std::errc{} && read.ptr == end && value >= least && value <= most;
}

/// What is wrong with a token; empty: nothing.
[[nodiscard]] inline std::string token_complaint(std::string_view token) {
    if (token.empty()) return "an empty token";
    for (std::size_t i = 0; i < token.size(); ++i) {
        char const c = token[i];
        bool const who = (c >= '0' && c <= '7') || (c >= 'a' && c <= 'h');
        bool const between = c == '+' && i != 0 && i + 1 != token.size();
        if (c == '\'' && i != 0 && i + 1 < token.size()) {
            char const back = token[++i];
            if ((back >= '0' && back <= '9') || (back >= 'A' && back <= 'V')) continue;
        } else if (who || between) {
            continue;
        }
        return "'" + std::string(1, token[i]) + "' at place " + std::to_string(i + 1) +
               " is no choice";
    }
    return {};
}

/// Reads arguments one after the other into runner_options.
class option_reader {
public:
    explicit option_reader(std::vector<std::string> words) : words_{std::move(words)} {}

    [[nodiscard]] runner_options read() {
        while (o_.complaint.empty() && at_ < words_.size()) read_one(words_[at_++]);
        if (o_.complaint.empty()) check_together();
        return std::move(o_);
    }

private:
    using deed = runner_options::deed;

    void read_one(std::string const& name) {
        if (name == "--help" || name == "-h") return do_it(deed::help);
        if (name == "--list") return do_it(deed::list);
        if (name == "--all") return do_it(deed::all);
        if (name == "--necessity") return do_it(deed::necessity);
        if (name == "--races") return do_it(deed::races);
        if (name == "--reuse") {
            o_.how.reuse = heap_reuse::always;
            return;
        }
        static std::vector<std::string> const with_value{
            "--scenario", "--mutant", "--model",   "--search", "--without",
            "--weaken",   "--budget", "--seconds", "--seed",   "--retries",
            "--jobs",     "--replay", "--json",    "--trace",  "--html"};
        if (std::find(with_value.begin(), with_value.end(), name) == with_value.end()) {
            auto all = with_value;
            all.insert(all.end(),
                       {"--help", "--list", "--all", "--necessity", "--races", "--reuse"});
            return complain("unknown option " + name + did_you_mean(name, all));
        }
        if (at_ == words_.size()) return complain(name + " wants a value");
        auto const& value = words_[at_++];
        set_search(name, value) || set_number(name, value) || set_name(name, value);
    }
    void do_it(deed what) {
        if (o_.what != deed::nothing && o_.what != what)
            return complain(
                "only one of --list, --scenario, --all, --necessity, --races and --help");
        o_.what = what;
    }
    void complain(std::string text) {
        if (o_.complaint.empty()) o_.complaint = std::move(text);
    }
    void unknown(std::string_view what, std::string const& value,
                 std::vector<std::string> const& known) {
        std::string list;
        for (auto const& k : known) list += (list.empty() ? "" : ", ") + k;
        complain("unknown " + std::string{what} + " '" + value + "': one of " + list);
    }

    bool set_search(std::string_view name, std::string const& value) {
        if (name == "--model") {
            for (auto const m : {memory_model::sc, memory_model::tso, memory_model::stale}) {
                if (value == to_string(m)) return o_.how.memory = m, true;
            }
            unknown("model", value, {"sc", "tso", "stale"});
        } else if (name == "--search") {
            if (value == "all") return o_.how.search = search_kind::all, true;
            if (value == "random") return o_.how.search = search_kind::random, true;
            if (value == "pct") return o_.how.search = search_kind::pct, true;
            unknown("search", value, {"all", "random", "pct"});
        } else if (name == "--without") {
            o_.how.sites.push_back({value, weakening::off});
        } else if (name == "--weaken") {
            weaken(value);
        } else if (name == "--replay") {
            if (auto const wrong = token_complaint(value); !wrong.empty())
                complain("--replay " + value + ": " + wrong);
            o_.how.replay = value;
        } else {
            return false;
        }
        return true;
    }
    void weaken(std::string const& text) {
        auto const equals = text.find('=');
        if (equals == std::string::npos || equals == 0)
            return complain("--weaken wants SITE=ORDER, not '" + text + "'");
        auto const order = text.substr(equals + 1);
        for (auto const how :
             {weakening::to_acquire, weakening::to_release, weakening::to_acq_rel}) {
            if (order == to_string(how)) {
                o_.how.sites.push_back({text.substr(0, equals), how});
                return;
            }
        }
        unknown("order", order, {"acquire", "release", "acq_rel"});
    }
    bool set_number(std::string const& name, std::string const& value) {
        constexpr auto any = ~std::uint64_t{0};
        std::uint64_t n = 0;
        auto const number = [&](std::uint64_t least, std::uint64_t most) {
            if (read_number(value, least, most, n)) return true;
            auto text = name + " wants a number";
            if (most != any)
                text += " from " + std::to_string(least) + " to " + std::to_string(most);
            complain(text + ", not '" + value + "'");
            return false;
        };
        if (name == "--budget") {
            o_.budget_given = number(1, any);
            o_.how.executions = n;
        } else if (name == "--seed") {
            if (number(0, any)) o_.how.seed = n;
        } else if (name == "--retries") {
            if (number(0, 1'000'000)) o_.how.retries = static_cast<int>(n);
        } else if (name == "--jobs") {
            if (number(1, 64)) o_.how.workers = static_cast<int>(n);
        } else if (name == "--seconds") {
            char* end = nullptr;
            o_.how.seconds = std::strtod(value.c_str(), &end);
            bool const all = end != value.c_str() && *end == '\0';
            if (!all || !std::isfinite(o_.how.seconds) || o_.how.seconds <= 0)
                complain("--seconds wants a number above 0, not '" + value + "'");
        } else {
            return false;
        }
        return true;
    }
    bool set_name(std::string_view name, std::string const& value) {
        if (value.empty()) complain(std::string{name} + " wants a name, not an empty word");
        if (name == "--scenario") {
            if (!o_.scenario.empty()) complain("one --scenario at a time");
            o_.scenario = value;
            do_it(deed::one);
        } else {
            (name == "--mutant"  ? o_.mutant
             : name == "--json"  ? o_.json
             : name == "--trace" ? o_.trace
                                 : o_.html) = value;
        }
        return true;
    }

    void check_together() {
        bool const one = o_.what == deed::one;
        if (!o_.mutant.empty() && !one) complain("--mutant needs --scenario");
        if (!o_.trace.empty() && !one) complain("--trace needs --scenario");
        if (!o_.how.replay.empty() && !one) complain("--replay needs --scenario");
        if (!o_.how.sites.empty() && !one) complain("--without and --weaken need --scenario");
        if (!o_.html.empty() && !one && o_.what != deed::all)
            complain("--html needs --scenario or --all");
        if (!o_.how.replay.empty() && o_.how.search != search_kind::all)
            complain("--replay is a search of its own: leave --search out");
        bool const sampled =
            o_.how.search == search_kind::random || o_.how.search == search_kind::pct;
        if (sampled && !o_.budget_given) o_.how.executions = 100'000;
        if (!o_.how.replay.empty()) o_.how.search = search_kind::replay;
        if ((o_.json == "-") + (o_.trace == "-") + (o_.html == "-") > 1)
            complain("only one of --json, --trace and --html can go to standard output");
    }

    std::vector<std::string> words_;
    std::size_t at_{0};
    runner_options o_{};
};

/// `arguments` without the program's name.
[[nodiscard]] inline runner_options read_options(std::vector<std::string> arguments) {
    return option_reader{std::move(arguments)}.read();
}

}  // namespace detail

}  // namespace mmhold
