// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "step.hpp"
#include <array>
#include <atomic>
#include <string>
#include <thread>

namespace parity {

/// The calling process as the place where a script runs. It is changed beyond repair: make it in a
/// child, and leave the child when done.
class linux_process {
public:
    /// Opens what the callers need. `folder`: for the file of O_DIRECT.
    explicit linux_process(std::string const& folder);

    /// Runs one step; writes the answer as the last thing it does.
    void run(step const& one, answer& out);
    /// Stops the helpers.
    void end();

private:
    struct fault_server {
        int descriptor = -1;
        int stop = -1;
        std::thread pager{};
    };
    enum class watched : bool { no, yes };

    void start_tracer();
    void get_ready(op what);
    std::int64_t call(step const& one, answer& out);
    std::int64_t more_calls(step const& one);
    std::int64_t layout(step const& one);
    std::int64_t map(step const& one);
    void unlock(step const& one);
    std::int64_t touch(step const& one, answer& out);
    std::int64_t ask_tracer(step const& one);
    std::int64_t vm(step const& one);
    std::int64_t mem(step const& one);
    std::int64_t splice(step const& one);
    std::int64_t direct(step const& one);
    std::int64_t uring(step const& one);
    std::int64_t futex(step const& one);
    std::int64_t pipe_copy(step const& one);
    int open_faults(memory of);
    void close_faults(memory of);
    void serve(int descriptor, int stop);
    void look_around(answer& out);

    std::string folder_;
    std::byte* buffer_ = nullptr;  ///< shared memory: no faults of its own
    std::uint64_t seed_ = 0;
    std::uint64_t digest_ = 0;
    int mem_ = -1;
    int pagemap_ = -1;
    int file_ = -1;
    int ring_ = -1;
    std::array<int, 2> to_tracer_{-1, -1};
    std::array<int, 2> from_tracer_{-1, -1};
    int tracer_ = -1;
    std::array<fault_server, 3> servers_{};
    std::atomic<std::uint32_t> events_{0};
    std::uint64_t secret_pages_ = 0;  ///< bit n: page n of the arena cannot be read from outside
};

}  // namespace parity
