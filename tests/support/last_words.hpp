// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace mmhold_test {

/// How a child process ended, and what it had to say about it.
struct ending {
    bool died{false};   ///< by a signal: a trap, an abort, a bad access
    std::string words;  ///< its standard error
};

/// Runs `act` in a child process, to see a program stop where it must: a false M::expect() on a
/// checked machine, above all. Call it while the test has one thread.
template<class Act>
[[nodiscard]] ending last_words(Act act) {
    int ends[2];
    if (pipe(ends) != 0) return {};
    std::fflush(nullptr);
    auto const child = fork();
    if (child < 0) return {};
    if (child == 0) {
        // Neither the test framework nor a sanitizer is to report this death.
        for (int const fatal : {SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS}) {
            std::signal(fatal, SIG_DFL);
        }
        dup2(ends[1], STDERR_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        act();
        _exit(0);
    }
    close(ends[1]);
    ending end;
    char part[256];
    for (ssize_t length = 0; (length = read(ends[0], part, sizeof part)) > 0;) {
        end.words.append(part, static_cast<std::size_t>(length));
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    end.died = WIFSIGNALED(status);
    return end;
}

}  // namespace mmhold_test
