// SPDX-License-Identifier: BSL-1.0

// explore_your_lock – a lock of your own, with a bug that testing does not find.
//
// roster_lock.hpp is the lock, in the words of the Machine; scenarios.hpp is who meets whom at it.
// This program searches every execution of them, tells the story of the one that goes wrong, and
// asks of the repaired lock what each of its orders is for.

#include <mmhold/explore/scenario_book.hpp>

#include "roster_lock.hpp"
#include "scenarios.hpp"
#include "stress.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

namespace roster {

using mmhold::memory_model;
using mmhold::plan;
using mmhold::verdict;

constexpr std::string_view help_text =
    R"(explore_your_lock - a reader-writer lock with a bug that testing does not find

usage: explore_your_lock [--stress]

  --stress   also run both versions of the lock on real threads, for a third of a second each
  --help     this text

exit status: 0 all came out as the text says, 1 something did not, 2 a wrong argument
)";

/// Does what came out agree with what this example says? Counts where not.
class expectations {
public:
    void must(bool holds, char const* what) {
        if (holds) return;
        std::printf("   NOT AS EXPECTED: %s\n", what);
        ++failures_;
    }
    [[nodiscard]] int failures() const { return failures_; }

private:
    int failures_{0};
};

/// Searches every execution of S under one memory model.
template<mmhold::Scenario S>
verdict search(memory_model model) {
    return mmhold::explore<S>({.memory = model});
}

/// "all 7 executions, none wrong", "wrong: the 4th execution".
std::string outcome(verdict const& v) {
    auto const count = std::to_string(v.executions);
    if (v.complete()) return "all " + count + " executions, none wrong";
    if (v.found()) return "execution " + std::to_string(v.first.at_execution) + " is wrong";
    return count + " executions and not all, none wrong";
}

void the_draft(expectations& check) {
    using meeting = readers_and_writers<drafted, 1, 1>;
    std::printf("1. As drafted: whoever speaks releases, whoever looks acquires\n\n");
    auto const sc = search<meeting>(memory_model::sc);
    std::printf("   one step after the other   %s\n", outcome(sc).c_str());
    check.must(sc.complete(), "sequential consistency does not show the bug");

    auto const tso = search<meeting>(memory_model::tso);
    std::printf("   x86, with store buffers    %s:\n\n%s\n", outcome(tso).c_str(),
                tso.first.story.c_str());
    check.must(tso.found(), "x86 shows the bug");
}

/// One row: the same scenario in all three memory models.
template<mmhold::Scenario S>
void row(char const* what, expectations& check) {
    std::printf("   %-28s", what);
    for (auto const model : {memory_model::sc, memory_model::tso, memory_model::stale}) {
        auto const v = search<S>(model);
        std::printf("%9llu%s", static_cast<unsigned long long>(v.executions),
                    v.complete() ? "" : "!");
        check.must(v.complete(), v.found() ? v.first.headline.c_str() : "not searched to the end");
    }
    std::printf("\n");
}

void the_repair(expectations& check) {
    std::printf(
        "2. As repaired: a light fence for readers, a heavy one for writers\n\n"
        "   executions, all of them      one step   x86 store    C++ stale\n"
        "   searched, none wrong          a time     buffers       reads\n");
    row<readers_and_writers<repaired, 1, 1>>("a reader, a writer", check);
    row<readers_and_writers<repaired, 2, 1>>("two readers, a writer", check);
    row<readers_and_writers<repaired, 0, 2>>("two writers", check);
    row<impatient<repaired>>("both only try", check);
}

/// Switches every order and fence off in turn.
void the_need(expectations& check) {
    mmhold::scenario_book book;
    book.add<readers_and_writers<repaired, 1, 1>>("a reader, a writer", "");
    book.add<readers_and_writers<repaired, 0, 2>>("two writers", "");
    book.add<impatient<repaired>>("both only try", "");
    std::printf("\n3. What each of its orders is for: switched off, who breaks?\n\n");
    for (auto const& need : mmhold::necessity(book)) {
        auto const kind = std::string{to_string(need.where.kind)};
        auto const found = std::string{to_string(need.finding)};
        std::printf("   %-18s %-12s %-20s %-6s %s\n", need.where.name.c_str(), kind.c_str(),
                    need.scenario.empty() ? "nobody" : need.scenario.c_str(),
                    std::string{to_string(need.model)}.c_str(), found.c_str());
        check.must(!need.scenario.empty(), "an order that nobody needs");
    }
}

void the_circle(expectations& check) {
    std::printf("\n4. As the mm lock of an address space: gup_unlocked against munmap\n\n");
    auto const draft = search<gup_and_munmap<drafted>>(memory_model::tso);
    std::printf("   drafted    x86      %s: %s\n", outcome(draft).c_str(),
                draft.first.headline.c_str());
    check.must(draft.found(), "the draft is wrong here, too");
    for (auto const model : {memory_model::tso, memory_model::stale}) {
        auto const v = search<gup_and_munmap<repaired>>(model);
        std::printf("   repaired   %-8s %s\n", model == memory_model::tso ? "x86" : "C++",
                    outcome(v).c_str());
        check.must(v.complete(), "the repaired lock guards an address space");
    }
}

void the_laws(expectations& check) {
    constexpr unsigned rounds = 300;
    host_lock<repaired> lock;
    std::printf("\n5. On this computer\n\n");
    auto const alone = mmhold::mm_lock_laws(lock);
    auto const together =
        mmhold::mm_lock_concurrent_laws<mmhold::host_machine>(lock, in_threads, rounds);
    auto const say = [](mmhold::law_report report) { return report ? "all hold" : report.failure; };
    std::printf("   the laws of an mm lock, one caller        %s\n", say(alone));
    std::printf("   the laws of an mm lock, several threads   %s\n", say(together));
    check.must(alone && together, "the repaired lock keeps the laws");
}

template<class Speech>
stress_result stress_row(char const* name) {
    using namespace std::chrono_literals;
    auto const seen = stress<Speech>(300ms);
    std::printf("   %-9s  %9llu rounds against %9llu writes in %.2f s: %llu times both inside\n",
                name, static_cast<unsigned long long>(seen.rounds),
                static_cast<unsigned long long>(seen.writes), seen.seconds,
                static_cast<unsigned long long>(seen.clashes));
    return seen;
}

void the_stress(expectations& check) {
    std::printf("\n6. A stress run, for comparison\n\n");
    (void)stress_row<drafted>("drafted");
    auto const seen = stress_row<repaired>("repaired");
    check.must(seen.clashes == 0, "the repaired lock excludes");
    std::printf(
        "   (None seen proves nothing, and how many are seen changes with the computer, its load\n"
        "   and the compiler. The search above needed a handful of executions, and ended.)\n");
}

int run(bool with_stress) {
    expectations check;
    the_draft(check);
    the_repair(check);
    the_need(check);
    the_circle(check);
    the_laws(check);
    if (with_stress) the_stress(check);
    return check.failures() == 0 ? 0 : 1;
}

}  // namespace roster

int main(int argc, char** argv) {
    bool with_stress = false;
    for (int i = 1; i < argc; ++i) {
        std::string_view const argument = argv[i];
        if (argument == "--stress") {
            with_stress = true;
        } else if (argument == "--help") {
            std::fputs(roster::help_text.data(), stdout);
            return 0;
        } else {
            std::fprintf(stderr, "explore_your_lock: unknown argument '%s' (--help lists them)\n",
                         argv[i]);
            return 2;
        }
    }
    return roster::run(with_stress);
}
