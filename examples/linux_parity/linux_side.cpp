// SPDX-License-Identifier: BSL-1.0
#include "linux_side.hpp"

#include "linux_process.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

namespace parity {

namespace {

/// Where the kernel's own data is mapped in this process: /proc/self/maps, [vvar].
surroundings find_device() {
    surroundings out;
    std::ifstream maps{"/proc/self/maps"};
    for (std::string line; std::getline(maps, line);) {
        if (line.find("[vvar]") == line.npos) continue;
        std::uint64_t end = 0;
        char dash = 0;
        std::istringstream{line} >> std::hex >> out.device_at >> dash >> end;
        out.device_pages = (end - out.device_at) / page_bytes;
    }
    return out;
}

/// Waits for a child with a time limit.
void wait_for(pid_t child) {
    auto const watch = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
    if (watch >= 0) {
        pollfd ended{watch, POLLIN, 0};
        if (poll(&ended, 1, 10'000) == 0) kill(child, SIGKILL);
        close(watch);
    }
    int status = 0;
    waitpid(child, &status, 0);
}

}  // namespace

std::vector<answer> run_on_linux(script const& steps, std::string const& folder) {
    std::vector<answer> out(steps.size());
    auto const bytes = (steps.size() + 1) * sizeof(answer);
    auto* const place =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return out;
    auto* const answers = static_cast<answer*>(place);
    std::fflush(nullptr);
    auto const child = fork();
    if (child == 0) {
        linux_process process{folder};
        for (std::size_t i = 0; i < steps.size(); ++i) process.run(steps[i], answers[i]);
        process.end();
        _exit(0);
    }
    if (child > 0) wait_for(child);
    std::copy_n(answers, steps.size(), out.begin());
    munmap(place, bytes);
    return out;
}

offers probe_linux(std::string const& folder) {
    offers out;
    utsname name{};
    uname(&name);
    out.release = std::string{name.sysname} + " " + name.release + " " + name.machine;
    out.where = find_device();
    auto const caller = [&](op what, std::string why) {
        out.without_caller[static_cast<std::size_t>(what)] = std::move(why);
    };
    auto const kind = [&](memory what, std::string why) {
        out.without_memory[static_cast<std::size_t>(what)] = std::move(why);
    };
    if (out.where.device_at == 0) kind(memory::device, "no [vvar] in /proc/self/maps");
    // Each caller is tried on memory that is good: what fails there is not offered at all.
    for (std::size_t i = 0; i < callers; ++i) {
        auto const what = static_cast<op>(i);
        auto const bytes = what == op::peek || what == op::poke ? 8U : page_bytes;
        script const steps{{op::map, memory::own, 3, arena_page(1), 2 * page_bytes},
                           {op::store, memory::own, 3, arena_page(1), 2 * page_bytes},
                           {what, memory::own, 3, arena_page(1), bytes}};
        auto const got = run_on_linux(steps, folder).back();
        if (!got.ran) caller(what, "the kernel ended the process");
        if (got.value < 0) caller(what, std::strerror(static_cast<int>(-got.value)));
    }
    for (auto const what :
         {memory::faults, memory::faults_bus, memory::faults_user, memory::secret}) {
        auto const got =
            run_on_linux({{op::map, what, 3, arena_page(1), page_bytes}}, folder).back();
        if (got.value < 0) kind(what, std::strerror(static_cast<int>(-got.value)));
    }
    return out;
}

}  // namespace parity
