// SPDX-License-Identifier: BSL-1.0

// explore_gup_fast_vs_unmap – the race that gup_fast exists in spite of, in every execution there
// is.
//
// scenario.hpp is who does what; forgetful.hpp is the same with a defence taken away. This program
// searches the first to the end, shows what becomes of the second, and plays that again from its
// token.

#include <mmhold/explore/explore.hpp>

#include "forgetful.hpp"
#include "options.hpp"
#include "scenario.hpp"
#include "words.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace unmap {

enum exit_status : int { as_expected = 0, not_as_expected = 1, could_not_run = 2 };

/// The walk that does not look twice. Small tables make a short story.
using forgetful = gup_fast_against_munmap<small_tables, taken::one_of_two, forgetful_kernel>;

/// What all searches have in common.
mmhold::plan plan_for(options const& wanted) {
    mmhold::plan p{.memory = wanted.model, .longest = 30'000};  // munmap reads whole tables
    p.command = "explore_gup_fast_vs_unmap";                    // shows a finding again
    return p;
}

template<mmhold::Scenario S>
searched search(std::string what, mmhold::plan const& p) {
    searched out{std::move(what), mmhold::explore<S>(p)};
    std::printf("%s\n  %s\n", coverage(out, p).c_str(), cost(out.outcome).c_str());
    std::fflush(stdout);
    return out;
}

std::vector<searched> search_all(mmhold::plan const& p) {
    std::vector<searched> all;
    all.push_back(search<gup_fast_against_munmap<small_tables, taken::the_only>>(
        "gup_fast against munmap of the only page, in small tables", p));
    if (p.memory == mmhold::memory_model::stale) {
        std::printf(
            "(stale reads keep track of 255 words, too few for tables of 512 entries: the rest is "
            "left out)\n");
        return all;
    }
    all.push_back(search<gup_fast_against_munmap<real_tables, taken::one_of_two>>(
        "gup_fast against munmap of one page of two, in 4-level tables", p));
    all.push_back(search<gup_fast_against_munmap<real_tables, taken::the_only>>(
        "gup_fast against munmap of the only page, in 4-level tables", p));
    return all;
}

void tell(mmhold::verdict const& v, options const& wanted) {
    auto const text = wanted.whole ? v.first.story : short_story(v.first.story);
    std::printf("\n%s\n", text.c_str());
}

/// One execution, and the same as last time?
mmhold::verdict replayed(std::string token, mmhold::plan p) {
    p.search = mmhold::search_kind::replay;
    p.replay = std::move(token);
    return mmhold::explore<forgetful>(p);
}

exit_status replay(options const& wanted) {
    auto const v = replayed(wanted.replay, plan_for(wanted));
    if (v.found(mmhold::finding_kind::hidden_state)) {
        std::fprintf(stderr,
                     "explore_gup_fast_vs_unmap: this token is of another program, or of another "
                     "--model: a choice in it cannot be made here\n");
        return could_not_run;
    }
    std::printf("%llu execution, %s\n", static_cast<unsigned long long>(v.executions),
                v.found() ? "and it is wrong:" : "and nothing is wrong in it");
    if (!v.found()) return not_as_expected;
    tell(v, wanted);
    return as_expected;
}

/// The mutant is found, and its token alone shows the same again.
bool show_the_forgetful(std::vector<searched>& all, options const& wanted) {
    auto const p = plan_for(wanted);
    std::printf("\nThe same with a walk that does not read the entry a second time:\n");
    all.push_back(search<forgetful>("gup_fast that looks once", p));
    auto const& first = all.back().outcome;
    if (!first.found()) return false;
    tell(first, wanted);
    auto const again = replayed(first.first.token, p);
    auto const same =
        again.first.kind == first.first.kind && again.first.headline == first.first.headline;
    std::printf("played again from its token: %llu execution, %s\n",
                static_cast<unsigned long long>(again.executions),
                same ? "the same finding" : "NOT the same finding");
    return same && again.executions == 1;
}

exit_status run(options const& wanted, std::FILE* json) {
    auto const p = plan_for(wanted);
    auto all = search_all(p);
    bool good = true;
    for (auto const& one : all) good = good && one.outcome.complete();
    good = show_the_forgetful(all, wanted) && good;
    if (json != nullptr) std::fputs(to_json(all, p).c_str(), json);
    return good ? as_expected : not_as_expected;
}

int complain(std::string const& what) {
    std::fprintf(stderr, "explore_gup_fast_vs_unmap: %s\n", what.c_str());
    return could_not_run;
}

/// The JSON file is opened before the work, so that a wrong name does not come out after it.
int run_with_file(options const& wanted) {
    if (wanted.json.empty() || wanted.json == "-")
        return run(wanted, wanted.json.empty() ? nullptr : stdout);
    std::FILE* const file = std::fopen(wanted.json.c_str(), "w");
    if (file == nullptr) return complain(wanted.json + ": " + std::strerror(errno));
    int const status = run(wanted, file);
    bool const written = std::ferror(file) == 0;
    if (std::fclose(file) != 0 || !written)
        return complain(wanted.json + ": could not be written to the end");
    return status;
}

}  // namespace unmap

int main(int argc, char** argv) {
    std::vector<char const*> const arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    auto const parsed = unmap::parse_options(arguments);
    if (!parsed.error.empty()) return unmap::complain(parsed.error + " (--help lists the options)");
    if (parsed.wanted.help) {
        std::printf("%.*s", static_cast<int>(unmap::help_text.size()), unmap::help_text.data());
        return unmap::as_expected;
    }
    if (!parsed.wanted.replay.empty()) return unmap::replay(parsed.wanted);
    return unmap::run_with_file(parsed.wanted);
}
