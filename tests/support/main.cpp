// SPDX-License-Identifier: BSL-1.0
// Catch's main, and the listener that prints the reasons of skipped test cases.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_case_info.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
using listener_base = Catch::EventListenerBase;
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
using listener_base = Catch::TestEventListenerBase;
#endif

#include "support/skip.hpp"

#include <iostream>
#include <string>

namespace {

std::string skip_reason;  // of the test case that runs now; empty: it judged something

struct skip_printer : listener_base {
    using listener_base::listener_base;

    void testCaseStarting(Catch::TestCaseInfo const&) override { skip_reason.clear(); }

    void testCaseEnded(Catch::TestCaseStats const& stats) override {
        if (!skip_reason.empty() && stats.totals.assertions.failed == 0) {
            std::cout << "SKIPPED: " << skip_reason << std::endl;
        }
    }
};

CATCH_REGISTER_LISTENER(skip_printer)

}  // namespace

void mmhold_test::skip(std::string_view reason) { skip_reason = reason; }

int main(int argc, char* argv[]) { return Catch::Session().run(argc, argv); }
