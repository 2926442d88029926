// SPDX-License-Identifier: BSL-1.0
#pragma once

// Did the rows show what they are there to show?

#include "report.hpp"
#include "row.hpp"

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace stall {

namespace detail {

/// Collects what is wrong with one row.
class row_check {
public:
    explicit row_check(row const& checked) : row_{checked} {}

    void require(std::same_as<bool> auto holds, std::string const& otherwise) {
        if (!holds) failures_.push_back(std::string{row_.name} + ": " + otherwise);
    }

    void waits_below(duration limit) {
        for_both([&](std::string_view who, wait_summary const& waits) {
            require(waits.max < limit, std::string{who} + " waited " + milliseconds(waits.max) +
                                           " ms, the limit is " + milliseconds(limit) + " ms");
        });
    }
    void waits_at_least(duration delay) {
        for_both([&](std::string_view who, wait_summary const& waits) {
            require(waits.max >= delay, std::string{who} + " never waited longer than " +
                                            milliseconds(waits.max) + " ms, less than the delay");
        });
    }
    void all_pages_held() {
        require(row_.error == mmhold::errc::ok && row_.pages_held == row_.pages_wanted,
                "held " + std::to_string(row_.pages_held) + " of " +
                    std::to_string(row_.pages_wanted) + " pages, error " +
                    std::string{mmhold::errno_name(row_.error)});
    }
    void refused_at_once(duration limit) {
        require(row_.error == mmhold::errc::bad_address && row_.pages_held == 0,
                "expected EFAULT and no page, got " + std::string{mmhold::errno_name(row_.error)} +
                    " and " + std::to_string(row_.pages_held));
        require(row_.longest_call < limit, "the refusal took " + milliseconds(row_.longest_call) +
                                               " ms, the limit is " + milliseconds(limit) + " ms");
    }
    /// The numbers are only worth something if there are any, none was lost, and the lock locks.
    void well_measured() {
        require(row_.lost_events == 0, std::to_string(row_.lost_events) + " events were lost");
        require(row_.torn_walks == 0,
                "the reader saw a half-made layout " + std::to_string(row_.torn_walks) + " times");
        require(row_.writer_error == mmhold::errc::ok,
                "the writer failed: " + std::string{mmhold::errno_name(row_.writer_error)});
        for_both([&](std::string_view who, wait_summary const& waits) {
            require(waits.count != 0, std::string{who} + " never asked for the lock");
        });
    }

    [[nodiscard]] std::vector<std::string> failures() const { return failures_; }

private:
    template<class F>
    void for_both(F check) {
        check("the reader", row_.reader);
        check("the writer", row_.writer);
    }

    row const& row_;
    std::vector<std::string> failures_{};
};

}  // namespace detail

/// Nobody may wait as long as this where the lesson is that nobody waits.
[[nodiscard]] constexpr duration wait_limit(duration delay) { return delay / 10; }

/// What is wrong with `checked`, in sentences; empty if it showed what it should.
[[nodiscard]] inline std::vector<std::string> failures_of(row const& checked, duration delay) {
    detail::row_check check{checked};
    check.well_measured();
    switch (checked.shows) {
        case lesson::stalls:
            check.all_pages_held();
            check.waits_at_least(delay);
            break;
        case lesson::refused: check.refused_at_once(wait_limit(delay)); break;
        case lesson::flows:
            check.all_pages_held();
            check.waits_below(wait_limit(delay));
            break;
    }
    return check.failures();
}

/// What it means that nothing is wrong.
[[nodiscard]] inline std::string passed_text(duration delay) {
    auto const limit = milliseconds(wait_limit(delay)) + " ms";
    return "self-check: passed (waits below " + limit + " where pages flow, of " +
           milliseconds(delay) + " ms or more where they stall;\n            refusals within " +
           limit + ")\n";
}

/// Was the computer itself so late that a failed check says nothing about the locks? An idle
/// thread that only sleeps was woken this late: half of what the rows allow themselves.
[[nodiscard]] inline bool host_stalled(row const& checked, duration delay) {
    return checked.host_stall >= wait_limit(delay) / 2;
}

}  // namespace stall
