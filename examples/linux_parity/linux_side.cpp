// SPDX-License-Identifier: BSL-1.0
#include "linux_side.hpp"

#include "free_hugetlb.hpp"
#include "linux_process.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <poll.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

namespace parity {

namespace {

/// Where the kernel's own data and code are mapped in this process, and whether it swaps.
surroundings find_kernels_own() {
    surroundings out;
    std::ifstream maps{"/proc/self/maps"};
    for (std::string line; std::getline(maps, line);) {
        auto const data = line.ends_with("[vvar]");
        if (!data && !line.ends_with("[vdso]")) continue;
        std::uint64_t start = 0;
        std::uint64_t end = 0;
        char dash = 0;
        std::istringstream{line} >> std::hex >> start >> dash >> end;
        (data ? out.device_at : out.vdso_at) = start;
        (data ? out.device_pages : out.vdso_pages) = (end - start) / page_bytes;
    }
    std::ifstream devices{"/proc/swaps"};
    std::string line;
    std::getline(devices, line);  // the headline
    out.has_swap = static_cast<bool>(std::getline(devices, line));
    return out;
}

/// A script whose last step must work wherever the step is known at all.
script probe_of(op what) {
    auto const bytes = what == op::peek || what == op::poke ? 8U : page_bytes;
    auto of = memory::own;
    if (area_of(what) == area::uffd) of = memory::faults_wp;
    if (what == op::close_faults) of = memory::faults;
    if (what == op::go_on) of = memory::faults_minor;
    if (what == op::truncate || what == op::remove) of = memory::memfd;
    if (what == op::punch) of = memory::memfd;
    if (what == op::collapse) of = memory::large;
    auto const start = is_large(of) ? large_page(0) : arena_page(1);
    auto const length = is_large(of) ? large_bytes : 2 * page_bytes;
    step last{what, of, 3, start, is_large(of) ? length : bytes};
    last.to = what == op::move ? arena_page(2) : arena_page(8);
    last.to_bytes = bytes;
    if (what == op::remap) last.how = MREMAP_MAYMOVE | MREMAP_FIXED;
    script steps{{op::map, of, 3, start, length}};
    // What puts pages in place wants to find none there.
    auto const filled = what == op::fill || what == op::zero || what == op::poison;
    if (!filled && what != op::go_on) steps.push_back({op::store, of, 3, start, bytes});
    if (what == op::let_go) steps.push_back({op::register_buffers, of, 3, start, bytes});
    steps.push_back(last);
    return steps;
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

bool maps_hugetlb(script const& steps) {
    return std::ranges::any_of(
        steps, [](step const& one) { return one.what == op::map && is_hugetlb(one.of); });
}

}  // namespace

std::vector<answer> run_on_linux(script const& steps, std::string const& folder,
                                 fault_counts faults) {
    std::vector<answer> out(steps.size());
    auto const bytes = (steps.size() + 1) * sizeof(answer);
    auto* const place =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return out;
    auto* const answers = static_cast<answer*>(place);
    std::optional<free_hugetlb> meanwhile;
    if (maps_hugetlb(steps)) meanwhile.emplace(hugetlb_pages_reserved);
    std::fflush(nullptr);
    auto const child = fork();
    if (child == 0) {
        linux_process process{folder, faults};
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
    out.where = find_kernels_own();
    auto const note = [](std::string& why, answer const& got) {
        if (!got.ran) why = "the kernel ended the process";
        if (got.value < 0) why = std::strerror(static_cast<int>(-got.value));
    };
    for (auto i = static_cast<std::size_t>(memory::faults); i < memories; ++i) {
        auto const of = static_cast<memory>(i);
        auto const at = is_large(of) ? large_page(0) : arena_page(1);
        auto const bytes = is_large(of) ? large_bytes : page_bytes;
        auto const prot = of == memory::file_ro ? 1U : 3U;
        note(out.without_memory[i], run_on_linux({{op::map, of, prot, at, bytes}}, folder).back());
    }
    auto const kind = [&](memory of) -> auto& {
        return out.without_memory[static_cast<std::size_t>(of)];
    };
    if (out.where.device_at == 0) kind(memory::device) = "no [vvar] in /proc/self/maps";
    if (out.where.vdso_at == 0) kind(memory::vdso) = "no [vdso] in /proc/self/maps";
    for (std::size_t i = 0; i < ops; ++i) {
        if (area_of(static_cast<op>(i)) == area::told)
            continue;  // wants somebody who says something
        auto const steps = probe_of(static_cast<op>(i));
        auto const& why = kind(steps.front().of);
        if (!why.empty()) out.without_op[i] = why;
        if (why.empty()) note(out.without_op[i], run_on_linux(steps, folder).back());
    }
    return out;
}

}  // namespace parity
