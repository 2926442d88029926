// SPDX-License-Identifier: BSL-1.0

// proc_reader_stall – who waits for the mm lock while a page is slow to come?
//
// The story of the patch series that taught get_user_pages to give the mm lock up (linux-mm, 26 Sep
// 2014), on the layout of a process of yours. --help says how to use it; experiment.hpp is what
// happens.

#include "announce.hpp"
#include "experiment.hpp"
#include "host_probe.hpp"
#include "layout.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "self_check.hpp"
#include "timeline.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stall {

enum exit_status : int { check_passed = 0, check_failed = 1, could_not_run = 2 };

/// A file that is opened before the work, so that a wrong name does not come out after it.
class output_file {
public:
    output_file(std::string_view what, std::string path) : what_{what}, path_{std::move(path)} {
        if (path_.empty()) return;
        errno = 0;
        stream_.open(path_);
        if (!stream_) throw std::runtime_error{path_ + ": " + std::strerror(errno)};
    }
    [[nodiscard]] bool wanted() const { return !path_.empty(); }

    /// Lets `write(stream)` fill it.
    template<class Write>
    void fill(Write write) {
        if (!wanted()) return;
        write(stream_);
        stream_.close();
        if (!stream_) throw std::runtime_error{path_ + ": could not be written to the end"};
        std::cout << what_ << " written to " << path_ << "\n";
    }

private:
    std::string_view what_;
    std::string path_;
    std::ofstream stream_{};
};

/// The program cannot go on with an `error`.
void require(std::string const& error) {
    if (!error.empty()) throw std::runtime_error{error};
}

/// Measures one way. A row that fails its check while the computer itself was not on time is worth
/// nothing, and is measured again.
row measure(way const& how, plan const& of, host_probe& probe, progress& tell, timeline* to) {
    constexpr unsigned most_attempts = 5;
    for (unsigned attempt = 1;; ++attempt) {
        experiment one{of, how};
        require(one.error());
        (void)probe.worst_since_last_look();
        one.run(tell);
        auto out = one.result();
        out.host_stall = probe.worst_since_last_look();
        out.attempts = attempt;
        auto const good = failures_of(out, of.delay).empty();
        if (good || attempt == most_attempts || !host_stalled(out, of.delay)) {
            if (to != nullptr) to->add(how.name, one.events());
            return out;
        }
        tell.say(again(out));
    }
}

std::vector<row> measure_all(plan const& of, progress& tell, timeline* to) {
    std::vector<row> rows;
    host_probe probe;
    std::cout << "\n" << table_head() << std::flush;
    for (auto const& how : ways) {
        rows.push_back(measure(how, of, probe, tell, to));
        tell.clear();
        std::cout << table_line(rows.back()) << std::flush;
    }
    return rows;
}

std::vector<std::string> failures_of_all(std::span<row const> rows, duration delay) {
    std::vector<std::string> out;
    for (auto const& one : rows) {
        auto const failures = failures_of(one, delay);
        out.insert(out.end(), failures.begin(), failures.end());
        if (failures.empty() || !host_stalled(one, delay)) continue;
        out.push_back(std::string{one.name} + ": but the computer itself was up to " +
                      milliseconds(one.host_stall) + " ms late; try again when it has less to do");
    }
    return out;
}

/// Answers how many mappings there are.
std::size_t announce(std::string const& source, plan const& of, std::string_view priority) {
    site const survey{of};
    require(survey.error);
    std::cout << announcement(source, of, survey, priority);
    return survey.layout.built.mappings;
}

exit_status conclude(plan const& of, std::span<row const> rows,
                     std::span<std::string const> failures) {
    std::cout << "\n" << wrapped(conclusion(rows, of.delay), 100) << "\n\n" << host_text(rows);
    if (failures.empty()) {
        std::cout << passed_text(of.delay);
        return check_passed;
    }
    std::cout << "self-check: FAILED\n";
    for (auto const& failure : failures) std::cout << "  " << failure << "\n";
    return check_failed;
}

exit_status run(options const& wanted) {
    auto const found = wanted.pid            ? read_layout_of(*wanted.pid)
                       : wanted.maps.empty() ? read_layout("/proc/self/maps")
                                             : read_layout(wanted.maps);
    require(found.error);
    output_file trace{"timeline for https://ui.perfetto.dev", wanted.trace};
    output_file json{"table", wanted.json};

    plan const of{found.regions, wanted.delay, wanted.callers, wanted.rounds};
    auto const* const priority = ask_for_real_time()
                                     ? "scheduled before ordinary work (SCHED_RR)"
                                     : "scheduled like ordinary work (SCHED_RR was refused)";
    auto const mappings = announce(found.source, of, priority);

    progress tell;
    timeline all;
    auto const rows = measure_all(of, tell, trace.wanted() ? &all : nullptr);
    auto const failures = failures_of_all(rows, of.delay);
    auto const verdict = conclude(of, rows, failures);
    trace.fill([&](std::ostream& to) { all.write(to); });
    json.fill([&](std::ostream& to) {
        to << to_json({found.source, mappings, of.delay, of.callers, of.rounds, rows, failures});
    });
    return verdict;
}

}  // namespace stall

int main(int argc, char** argv) {
    auto const complain = [](std::string const& what) {
        std::cerr << "proc_reader_stall: " << what << "\n";
        return stall::could_not_run;
    };
    try {
        std::vector<char const*> const arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
        auto const parsed = stall::parse_options(arguments);
        if (!parsed.error.empty()) return complain(parsed.error + " (--help lists the options)");
        if (parsed.wanted.help) {
            std::cout << stall::help_text;
            return stall::check_passed;
        }
        return stall::run(parsed.wanted);
    } catch (std::bad_alloc const&) {
        return complain("not enough memory");
    } catch (std::exception const& error) {
        return complain(error.what());
    }
}
