// SPDX-License-Identifier: BSL-1.0
// What a userfaultfd is told of beside faults: fork, mremap, munmap, madvise.
#include "linux_process.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace parity {

namespace {

constexpr std::uint64_t pages_into_arena(std::uint64_t at) {
    return (at - arena_start) / page_bytes;
}

std::int64_t heard(uffd_msg const& message) {
    auto const& what = message.arg;
    auto const range = [&](unsigned kind) {
        return heard_value(kind, pages_into_arena(what.remove.start),
                           pages_into_arena(what.remove.end), 0);
    };
    switch (message.event) {
        case UFFD_EVENT_PAGEFAULT:
            return heard_value(1, pages_into_arena(what.pagefault.address), what.pagefault.flags,
                               0);
        case UFFD_EVENT_FORK: return heard_value(2, 0, 0, 0);
        case UFFD_EVENT_REMAP:
            return heard_value(3, pages_into_arena(what.remap.from),
                               pages_into_arena(what.remap.to), what.remap.len / page_bytes);
        case UFFD_EVENT_REMOVE: return range(4);
        default: return range(5);
    }
}

/// How many wait for a page of a userfaultfd, whether their message has been read or not.
int waiting_at(int descriptor) {
    auto const name = "/proc/self/fdinfo/" + std::to_string(descriptor);
    auto* const file = std::fopen(name.c_str(), "re");
    if (file == nullptr) return 0;
    std::array<char, 128> line{};
    int total = 0;
    while (std::fgets(line.data(), line.size(), file) != nullptr) {
        if (std::sscanf(line.data(), "total: %d", &total) == 1) break;
    }
    std::fclose(file);
    return total;
}

}  // namespace

std::int64_t linux_process::told_step(step const& one) {
    switch (one.what) {
        case op::hear: return hear(one.of);
        case op::child: return ask_child();
        default: break;
    }
    auto const victim = caller_.load();
    return victim > 0 ? outcome(kill(victim, SIGKILL)) : -ESRCH;
}

std::int64_t linux_process::hear(memory of) {
    auto const descriptor = servers_[fault_server_of(of)].descriptor;
    if (descriptor < 0) return -EBADF;
    uffd_msg message{};
    if (read(descriptor, &message, sizeof message) != sizeof message) return outcome(-1);
    if (message.event == UFFD_EVENT_FORK) {
        auto& twin = servers_[fault_server_of(memory::faults_twin)];
        if (twin.descriptor >= 0) close(twin.descriptor);
        twin.descriptor = static_cast<int>(message.arg.fork.ufd);
    }
    return heard(message);
}

bool linux_process::has_message(int milliseconds) {
    std::array<pollfd, fault_servers> ready{};
    for (std::size_t i = 0; i < fault_servers; ++i) {
        auto const of = static_cast<memory>(static_cast<std::size_t>(memory::faults) + i);
        ready[i] = {is_told(of) ? servers_[i].descriptor : -1, POLLIN, 0};
    }
    return poll(ready.data(), ready.size(), milliseconds) > 0;
}

int linux_process::waiting() const {
    int sum = 0;
    for (auto const& server : servers_) {
        if (server.descriptor >= 0) sum += waiting_at(server.descriptor);
    }
    return sum;
}

/// A child that reads one byte of its memory, and says so in a place that all see.
std::int64_t linux_process::start_reader(step const& one) {
    if (child_count_ + 1 > children_.size()) return -EAGAIN;
    says_->store(0);
    // Not by the library's fork, which holds locks that all need as long as it waits. Descriptors are
    // shared: a fork that waits has copied them already, so that nobody could close the userfaultfd.
    auto const child =
        static_cast<int>(syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, 0UL));
    if (child < 0) return outcome(-1);
    if (child == 0) {
        auto const byte = *static_cast<unsigned char volatile*>(address(one.at));
        says_->store(1 + byte);
        for (;;) pause();
    }
    children_[child_count_++] = child;
    return 0;
}

std::int64_t linux_process::ask_child() {
    auto const twin = servers_[fault_server_of(memory::faults_twin)].descriptor;
    for (int waited = 0; waited < 5000; ++waited) {
        if (auto const said = says_->load(); said != 0) return said - 1;
        if (twin >= 0 && waiting_at(twin) > 0) return -EAGAIN;
        poll(nullptr, 0, 1);
    }
    return -ETIMEDOUT;
}

}  // namespace parity
