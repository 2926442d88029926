// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "step.hpp"
#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <sys/mman.h>
#include <thread>

namespace parity {

/// Are minor faults of interest? Then the process first makes all memory of its own present, which
/// takes longer than most scripts.
/// With pins: how many pages the whole machine pins during a step is asked as well, which takes a
/// round through all cpus; nobody else may pin anything meanwhile.
enum class fault_counts : std::uint8_t { ignored, exact, exact_with_pins };

inline void* address(std::uint64_t at) { return reinterpret_cast<void*>(at); }
/// What a system call answered, with errno in it.
inline std::int64_t outcome(long answer) { return answer >= 0 ? answer : -std::int64_t{errno}; }
inline int to_prot(unsigned prot) {
    return ((prot & 1U) != 0 ? PROT_READ : 0) | ((prot & 2U) != 0 ? PROT_WRITE : 0) |
           ((prot & 4U) != 0 ? PROT_EXEC : 0);
}

/// The calling process as the place where a script runs. It is changed beyond repair: make it in a
/// child, and leave the child when done.
class linux_process {
public:
    /// Opens what the callers need. `folder`: for the file of O_DIRECT.
    linux_process(std::string const& folder, fault_counts faults);

    /// Runs one step, then looks at the memory; writes the answer as the last thing it does.
    void run(step const& one, answer& out);
    /// Runs one step only. A look reads every page that is there; one that another thread takes
    /// away meanwhile would be put back by it.
    answer run_without_a_look(step const& one);
    /// From now on nobody serves the userfaultfds that are opened but take_event().
    void serve_by_hand() { by_hand_ = true; }
    /// Waits up to so many milliseconds for an event that nobody has read; where it is.
    bool take_event(memory of, int milliseconds, std::uint64_t& at);
    /// Waits up to so many milliseconds for a message of a userfaultfd that is told of changes.
    bool has_message(int milliseconds);
    /// How many wait for a page of one of the userfaultfds.
    int waiting() const;
    /// Whom end_call ends.
    void note_caller(int who) { caller_.store(who); }
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
    // linux_layout.cpp, and one file for each other area
    std::int64_t layout(step const& one);
    std::int64_t core_step(step const& one);
    std::int64_t advice_step(step const& one);
    std::int64_t remap_step(step const& one);
    std::int64_t uffd_step(step const& one);
    std::int64_t large_step(step const& one);
    std::int64_t told_step(step const& one);
    std::int64_t hear(memory of);
    std::int64_t start_reader(step const& one);
    std::int64_t ask_child();
    std::int64_t map(step const& one);
    std::int64_t map_core(step const& one);
    std::int64_t map_advice(step const& one);
    std::int64_t map_uffd(step const& one);
    std::int64_t map_large(step const& one);
    std::int64_t map_special(step const& one);
    void note_secrecy(step const& one);
    std::int64_t map_ring(step const& one);
    std::int64_t map_perf(step const& one);
    std::int64_t fill_driver(int device, std::uint64_t bytes, std::uint64_t filled);
    std::int64_t map_read_only(step const& one);
    std::int64_t map_at(step const& one, int more_flags, int descriptor);
    std::int64_t register_faults(step const& one, std::uint64_t mode);
    std::int64_t register_buffers(step const& one);
    std::int64_t let_go();
    std::int64_t truncate(step const& one);
    std::int64_t punch(step const& one);
    int open_object(step const& one);
    static std::uint64_t features_for(memory of);
    static bool serve_other(int descriptor, std::uint64_t flags, std::uint64_t at);
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
    std::int64_t keep(step const& one);
    std::int64_t drain();
    std::int64_t start_child(unsigned how);
    std::int64_t reap();
    int open_faults(memory of);
    void close_faults(memory of);
    void serve(int descriptor, int stop);
    void look_around(answer& out);
    void look_at_large(answer& out);

    std::string folder_;
    fault_counts faults_;
    std::byte* buffer_ = nullptr;  ///< shared memory: no faults of its own
    /// What fork's child has read, and one more; 0: nothing yet. All processes see it.
    static inline std::atomic<int>* says_ = nullptr;
    std::atomic<int> caller_{0};
    std::uint64_t seed_ = 0;
    std::uint64_t digest_ = 0;
    std::uint32_t buffer_pins_ = 0;  ///< O_DIRECT's of our own buffer
    int mem_ = -1;
    int pagemap_ = -1;
    int file_ = -1;
    int ring_ = -1;
    std::array<int, 2> to_tracer_{-1, -1};
    std::array<int, 2> from_tracer_{-1, -1};
    int tracer_ = -1;
    std::array<fault_server, fault_servers> servers_{};
    std::atomic<std::uint32_t> events_{0};
    std::array<int, 2> kept_{-1, -1};
    std::array<int, 8> children_{};
    std::size_t child_count_ = 0;
    struct known_object {
        std::uint64_t at = 0;
        std::uint64_t bytes = 0;
        int descriptor = -1;
        memory of = memory::memfd;
        std::uint64_t size = 0;
    };
    std::array<known_object, 64> objects_{};  ///< in the order in which they were mapped
    std::size_t object_count_ = 0;
    int kept_ring_ = -1;  ///< whose buffers stay registered
    bool large_in_use_ = false;
    bool by_hand_ = false;
    std::uint64_t secret_pages_ = 0;  ///< bit n: page n of the arena cannot be read from outside
};

}  // namespace parity
