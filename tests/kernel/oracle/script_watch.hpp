// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "../../../examples/linux_parity/step.hpp"
#include <csignal>
#include <string>
#include <unistd.h>

namespace oracle {

/// A model that waits for ever, or that stops the program because somebody broke a rule, must not
/// take its script with it. One at a time.
class script_watch {
public:
    explicit script_watch(parity::script const& steps) {
        text() = "the model waits for ever, or has stopped, in\n";
        for (auto const& one : steps) text() += parity::to_text(one) + "\n";
        for (auto const sign : {SIGALRM, SIGILL, SIGABRT, SIGSEGV}) std::signal(sign, tell);
        alarm(patience_s);
    }
    script_watch(script_watch const&) = delete;
    script_watch& operator=(script_watch const&) = delete;
    ~script_watch() { alarm(0); }

private:
    static constexpr unsigned patience_s = 20;

    static std::string& text() {
        static std::string what;
        return what;
    }
    static void tell(int) {
        (void)!write(STDOUT_FILENO, text().data(), text().size());
        _exit(3);
    }
};

}  // namespace oracle
