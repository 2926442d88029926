// SPDX-License-Identifier: BSL-1.0
#pragma once

// A real process and its child, for tests whose scripts also run on a model: the process is made for
// the script alone, the child does what it is asked to over a socket.

#include <array>
#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mmhold_test {

/// Which of the two acts.
enum class actor : std::uint8_t { parent, child };
constexpr int failed = -1;  ///< the system call was refused

/// What a script saw, in words that can be compared.
class seen {
public:
    seen& operator<<(int value) {
        text_ += (text_.empty() ? "" : " ") + std::to_string(value);
        return *this;
    }
    operator std::string() const { return text_; }

private:
    std::string text_{};
};

/// fork's child, as long as it lives.
template<class Request>
class asked_child {
public:
    asked_child() = default;
    asked_child(asked_child const&) = delete;
    asked_child& operator=(asked_child const&) = delete;
    ~asked_child() { end(); }

    [[nodiscard]] bool lives() const { return child_ > 0; }
    /// Forks a child that answers each request with perform(request) -> int. False: there is none.
    template<class Perform>
    [[nodiscard]] bool start(Perform perform) {
        std::array<int, 2> ends{};
        if (child_ != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) != 0) return false;
        child_ = ::fork();
        if (child_ == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(ends[0]);
            serve(ends[1], perform);
        }
        close(ends[1]);
        socket_ = ends[0];
        return child_ > 0;
    }
    /// What it answers; `otherwise`, if it has died.
    [[nodiscard]] int ask(Request const& what, int otherwise) {
        int answer = otherwise;
        auto const sent = send(socket_, &what, sizeof what, MSG_NOSIGNAL) == sizeof what;
        auto const heard = sent && recv(socket_, &answer, sizeof answer, 0) == sizeof answer;
        return heard ? answer : otherwise;
    }
    /// Waits for its end, if there is one.
    void end() {
        if (child_ <= 0) return;
        close(socket_);
        (void)waitpid(child_, nullptr, 0);
        child_ = 0;
    }

private:
    template<class Perform>
    [[noreturn]] static void serve(int socket, Perform perform) {
        Request what{};
        while (recv(socket, &what, sizeof what, 0) == sizeof what) {
            int const answer = perform(what);
            (void)send(socket, &answer, sizeof answer, MSG_NOSIGNAL);
        }
        _exit(0);
    }

    pid_t child_{0};
    int socket_{-1};
};

/// What script(family) says, with `make_family()` made in a process of its own; with "died" behind
/// it, if that was killed.
template<class Make, class Script>
std::string in_a_process_of(Make make_family, Script const& script) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
    auto const runner = ::fork();
    if (runner == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)alarm(20);
        std::string trace;
        {
            auto family = make_family();
            trace = script(family);
        }
        auto const written = write(ends[1], trace.data(), trace.size());
        _exit(written == static_cast<ssize_t>(trace.size()) ? 0 : 1);
    }
    close(ends[1]);
    std::string trace;
    std::array<char, 4096> part{};
    for (ssize_t got = 0; (got = read(ends[0], part.data(), part.size())) > 0;) {
        trace.append(part.data(), static_cast<std::size_t>(got));
    }
    close(ends[0]);
    int status = 0;
    (void)waitpid(runner, &status, 0);
    return status == 0 ? trace : trace + " died";
}

}  // namespace mmhold_test
