// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/runner_options.hpp>

using namespace mmhold;
using namespace mmhold::detail;

namespace {

using words = std::vector<std::string>;
using deed = runner_options::deed;

bool complains(words arguments, std::string_view about) {
    auto const o = read_options(std::move(arguments));
    UNSCOPED_INFO("complaint: " << o.complaint);
    return !o.complaint.empty() && o.complaint.find(about) != std::string::npos;
}

}  // namespace

TEST_CASE("runner_options: everything that can be asked for", "[explore]") {
    auto const o =
        read_options({"--scenario", "a b",     "--mutant",  "m",      "--model",  "stale",
                      "--search",   "pct",     "--without", "s1",     "--weaken", "s2=release",
                      "--budget",   "7",       "--seconds", "1.5",    "--seed",   "9",
                      "--retries",  "0",       "--reuse",   "--jobs", "2",        "--json",
                      "j",          "--trace", "t",         "--html", "h"});
    CHECK(o.complaint.empty());
    CHECK(o.what == deed::one);
    CHECK(o.scenario == "a b");
    CHECK(o.mutant == "m");
    CHECK(o.how.memory == memory_model::stale);
    CHECK(o.how.search == search_kind::pct);
    REQUIRE(o.how.sites.size() == 2);
    CHECK(o.how.sites[0].how == weakening::off);
    CHECK(o.how.sites[1].name == "s2");
    CHECK(o.how.sites[1].how == weakening::to_release);
    CHECK(o.how.executions == 7);
    CHECK(o.how.seconds == 1.5);
    CHECK(o.how.seed == 9);
    CHECK(o.how.retries == 0);
    CHECK(o.how.workers == 2);
    CHECK(o.how.reuse == heap_reuse::always);
    CHECK(o.json + o.trace + o.html == "jth");
}

TEST_CASE("runner_options: deeds, and the budget of samples", "[explore]") {
    CHECK(read_options({}).what == deed::nothing);
    CHECK(read_options({"--help"}).what == deed::help);
    CHECK(read_options({"--list", "--json", "-"}).what == deed::list);
    CHECK(read_options({"--necessity"}).what == deed::necessity);
    CHECK(read_options({"--races"}).what == deed::races);
    CHECK(read_options({"--all", "--html", "x"}).what == deed::all);
    CHECK(read_options({"--scenario", "s", "--search", "random"}).how.executions == 100'000);
    CHECK(read_options({"--scenario", "s"}).how.executions == plan{}.executions);
    auto const replay = read_options({"--scenario", "s", "--replay", "00a'51+b"});
    CHECK(replay.how.search == search_kind::replay);
    CHECK(replay.how.replay == "00a'51+b");
}

TEST_CASE("runner_options: what is not understood is named", "[explore]") {
    CHECK(complains({"--modle", "tso"}, "did you mean --model?"));
    CHECK(complains({"scenario"}, "unknown option scenario (did you mean --scenario?)"));
    CHECK(complains({"--scenario", "s", "--model", "pso"}, "'pso': one of sc, tso, stale"));
    CHECK(complains({"--scenario", "s", "--model", "TSO"}, "'TSO'"));
    CHECK(complains({"--scenario", "s", "--search", "dfs"}, "one of all, random, pct"));
    CHECK(complains({"--scenario", "s", "--weaken", "x=relaxed"}, "unknown order 'relaxed'"));
    CHECK(complains({"--scenario", "s", "--weaken", "x"}, "SITE=ORDER"));
    CHECK(complains({"--scenario", "s", "--weaken", "=acquire"}, "SITE=ORDER"));
    CHECK(complains({"--scenario"}, "--scenario wants a value"));
    CHECK(complains({"--scenario", ""}, "empty word"));
    for (auto const* number : {"x", "", "-1", "1x", "1.5", " 1", "99999999999999999999"}) {
        CHECK(complains({"--scenario", "s", "--budget", number}, "--budget wants a number"));
        CHECK(complains({"--scenario", "s", "--seed", number}, "--seed wants a number"));
    }
    CHECK(complains({"--scenario", "s", "--budget", "0"}, "--budget"));
    CHECK(complains({"--scenario", "s", "--jobs", "0"}, "from 1 to 64"));
    CHECK(complains({"--scenario", "s", "--jobs", "65"}, "from 1 to 64"));
    CHECK(complains({"--scenario", "s", "--retries", "2000000"}, "from 0 to 1000000"));
    for (auto const* seconds : {"0", "-1", "nan", "inf", "1s", ""})
        CHECK(complains({"--scenario", "s", "--seconds", seconds}, "--seconds wants a number"));
}

TEST_CASE("runner_options: a token with junk says where", "[explore]") {
    CHECK(token_complaint("0123a'Vb+7").empty());
    CHECK(token_complaint("00x1") == "'x' at place 3 is no choice");
    CHECK(token_complaint("8") == "'8' at place 1 is no choice");
    CHECK(token_complaint("0'") == "''' at place 2 is no choice");
    CHECK(token_complaint("0'z").find("place 3") != std::string::npos);
    CHECK(!token_complaint("'1").empty());
    CHECK(!token_complaint("+0").empty());
    CHECK(!token_complaint("0+").empty());
    CHECK(!token_complaint("").empty());
    CHECK(complains({"--scenario", "s", "--replay", "0 1"}, "place 2"));
}

TEST_CASE("runner_options: what does not go together", "[explore]") {
    CHECK(complains({"--list", "--all"}, "only one of"));
    CHECK(complains({"--scenario", "a", "--scenario", "b"}, "one --scenario"));
    CHECK(complains({"--all", "--mutant", "m"}, "--mutant needs --scenario"));
    CHECK(complains({"--all", "--trace", "f"}, "--trace needs --scenario"));
    CHECK(complains({"--list", "--html", "f"}, "--html needs"));
    CHECK(complains({"--all", "--replay", "0"}, "--replay needs --scenario"));
    CHECK(complains({"--all", "--without", "x"}, "need --scenario"));
    CHECK(complains({"--scenario", "s", "--replay", "0", "--search", "pct"}, "leave --search"));
    CHECK(complains({"--scenario", "s", "--json", "-", "--html", "-"}, "standard output"));
}

TEST_CASE("runner_options: the help names every option", "[explore]") {
    for (auto const* name :
         {"--list",   "--scenario", "--all",    "--necessity", "--help",    "--mutant", "--model",
          "--search", "--without",  "--weaken", "--budget",    "--seconds", "--seed",   "--retries",
          "--reuse",  "--jobs",     "--replay", "--json",      "--trace",   "--html"}) {
        CHECK(runner_help.find(name) != std::string_view::npos);
    }
}
