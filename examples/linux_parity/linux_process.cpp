// SPDX-License-Identifier: BSL-1.0
#include "linux_process.hpp"

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <new>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace parity {

namespace {

// Numbers that older headers do not have.
constexpr int madv_populate_read = 22;
constexpr int madv_populate_write = 23;

sigjmp_buf back_from_signal;
volatile sig_atomic_t last_code;
void on_signal(int number, siginfo_t* info, void*) {
    last_code = info->si_code;
    siglongjmp(back_from_signal, number);
}

/// Minor ones, and those that had to read: whether a swapped page is still in the swap cache is a
/// matter of time.
std::uint32_t faults_so_far() {
    rusage now{};
    getrusage(RUSAGE_THREAD, &now);
    return static_cast<std::uint32_t>(now.ru_minflt + now.ru_majflt);
}

/// nr_foll_pin_acquired and nr_foll_pin_released of /proc/vmstat.
struct pins_so_far {
    std::uint64_t acquired = 0;
    std::uint64_t released = 0;
};

/// The cpus keep what they have counted to themselves until they are asked for it.
pins_so_far pin_counts() {
    static std::array<char, 1U << 14U> text;
    auto const refresh = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
    if (refresh >= 0) (void)!write(refresh, "1", 1);
    close(refresh);
    auto const stat = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    std::size_t size = 0;
    for (ssize_t got = 0; (got = read(stat, text.data() + size, text.size() - 1 - size)) > 0;) {
        size += static_cast<std::size_t>(got);
    }
    close(stat);
    text[size] = '\0';
    auto const number_behind = [](char const* word) -> std::uint64_t {
        auto const* const found = std::strstr(text.data(), word);
        return found == nullptr ? 0 : std::strtoull(found + std::strlen(word), nullptr, 10);
    };
    return {number_behind("nr_foll_pin_acquired "), number_behind("nr_foll_pin_released ")};
}

/// What the tracer is asked, and what it answers.
struct trace_message {
    std::uint64_t at = 0;
    std::uint64_t word = 0;
    std::int64_t value = 0;
    bool poke = false;
};

/// The tracer: attaches, peeks or pokes one word, detaches. Ends with its pipe.
[[noreturn]] void trace(pid_t who, int questions, int answers) {
    trace_message message;
    while (read(questions, &message, sizeof message) == sizeof message) {
        auto value = outcome(ptrace(PTRACE_SEIZE, who, nullptr, nullptr));
        if (value == 0) {
            ptrace(PTRACE_INTERRUPT, who, nullptr, nullptr);
            int status = 0;
            waitpid(who, &status, __WALL);
            value =
                message.poke
                    ? outcome(syscall(SYS_ptrace, PTRACE_POKEDATA, who, message.at, message.word))
                    : outcome(syscall(SYS_ptrace, PTRACE_PEEKDATA, who, message.at, &message.word));
            ptrace(PTRACE_DETACH, who, nullptr, nullptr);
        }
        message.value = value;
        if (write(answers, &message, sizeof message) != sizeof message) break;
    }
    _exit(0);
}

int open_direct_file(std::string const& folder) {
    auto name = folder + "/mmhold-parity-XXXXXX";
    auto const plain = mkstemp(name.data());
    if (plain < 0) return -1;
    close(plain);
    auto const direct = open(name.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    unlink(name.c_str());
    struct statfs where {};
    // A file system in memory takes the flag and copies all the same: no gup.
    if (direct >= 0 && fstatfs(direct, &where) == 0 && where.f_type == TMPFS_MAGIC) {
        close(direct);
        errno = EOPNOTSUPP;
        return -1;
    }
    return direct;
}

}  // namespace

linux_process::linux_process(std::string const& folder, fault_counts faults)
    : folder_{folder}, faults_{faults} {
    start_tracer();
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    prctl(PR_SET_PTRACER, -1, 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    auto* const shared = mmap(nullptr, most_bytes + page_bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    buffer_ = static_cast<std::byte*>(shared);
    if (says_ == nullptr) says_ = new (buffer_ + most_bytes) std::atomic<int>{0};
    mem_ = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    pagemap_ = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
    // From now on the process's own memory causes no faults that could be counted.
    if (faults_ != fault_counts::ignored) mlockall(MCL_CURRENT);
}

void linux_process::start_tracer() {
    if (pipe(to_tracer_.data()) != 0 || pipe(from_tracer_.data()) != 0) return;
    auto const who = getpid();
    tracer_ = ::fork();
    if (tracer_ != 0) return;
    close(to_tracer_[1]);
    close(from_tracer_[0]);
    trace(who, to_tracer_[0], from_tracer_[1]);
}

void linux_process::end() {
    for (auto i = static_cast<std::size_t>(memory::faults); has_faults(static_cast<memory>(i)); ++i)
        close_faults(static_cast<memory>(i));
    reap();
    close(to_tracer_[1]);
    if (tracer_ <= 0) return;
    // A later tracer has a copy of the pipe's end, so that closing it need not be noticed.
    kill(tracer_, SIGKILL);
    waitpid(tracer_, nullptr, 0);
}

void linux_process::run(step const& one, answer& out) {
    auto got = run_without_a_look(one);
    look_around(got);
    out = got;
}

answer linux_process::run_without_a_look(step const& one) {
    ++seed_;
    digest_ = 0;
    get_ready(one.what);
    answer got;
    auto const events = events_.load();
    buffer_pins_ = 0;
    auto const with_pins = faults_ == fault_counts::exact_with_pins;
    auto const pins = with_pins ? pin_counts() : pins_so_far{};
    auto const before = faults_so_far();
    got.value = one.what < op::map ? call(one, got) : layout(one);
    got.faults = faults_so_far() - before;
    if (with_pins) {
        auto const after = pin_counts();
        got.pinned = static_cast<std::uint32_t>(after.acquired - pins.acquired) - buffer_pins_;
        got.unpinned = static_cast<std::uint32_t>(after.released - pins.released) - buffer_pins_;
        got.counts_pins = true;
    }
    got.events = events_.load() - events;
    got.bytes = digest_;
    got.ran = true;
    return got;
}

/// What is opened at the first use, so that it is not opened in every child.
void linux_process::get_ready(op what) {
    auto const direct = what == op::direct_read || what == op::direct_write;
    if (direct && file_ < 0) file_ = open_direct_file(folder_);
    io_uring_params parameters{};
    if (what == op::uring && ring_ < 0) {
        ring_ = static_cast<int>(syscall(SYS_io_uring_setup, 1, &parameters));
    }
}

std::int64_t linux_process::call(step const& one, answer& out) {
    auto const bytes = std::span{buffer_, std::min<std::uint64_t>(one.bytes, most_bytes)};
    auto const writes = one.what == op::store || one.what == op::vm_write ||
                        one.what == op::mem_write || one.what == op::copy_to ||
                        one.what == op::direct_read;
    if (writes) {
        fill_pattern(bytes, seed_);
    } else {
        std::ranges::fill(bytes, std::byte{0});
    }
    switch (one.what) {
        case op::load:
        case op::store: return touch(one, out);
        case op::vm_read:
        case op::vm_write: return vm(one);
        case op::mem_read:
        case op::mem_write: return mem(one);
        case op::peek:
        case op::poke: return ask_tracer(one);
        case op::splice: return splice(one);
        case op::direct_read:
        case op::direct_write: return direct(one);
        default: return more_calls(one);
    }
}

std::int64_t linux_process::more_calls(step const& one) {
    auto* const at = address(one.at);
    switch (one.what) {
        case op::uring: return uring(one);
        case op::populate_read: return outcome(madvise(at, one.bytes, madv_populate_read));
        case op::populate_write: return outcome(madvise(at, one.bytes, madv_populate_write));
        case op::lock: {
            auto const locked = outcome(mlock(at, one.bytes));
            unlock(one);
            return locked;
        }
        case op::policy: {
            int node = -1;
            auto const got = outcome(syscall(SYS_get_mempolicy, &node, nullptr, 0, at, 3));
            return got;
        }
        case op::copy_to:
        case op::copy_from: return pipe_copy(one);
        default: return futex(one);
    }
}

/// Takes the mark off again, except where it belongs: secret memory is always locked.
void linux_process::unlock(step const& one) {
    for (std::uint64_t page = 0; page < arena_pages; ++page) {
        auto const at = arena_page(page);
        auto const meant = at + page_bytes > one.at && at < one.at + one.bytes;
        if (meant && (secret_pages_ >> page & 1U) == 0) munlock(address(at), page_bytes);
    }
    for (auto at = std::max(one.at / page_bytes * page_bytes, large_arena_start);
         at < std::min(one.at + one.bytes, large_arena_end); at += page_bytes) {
        munlock(address(at), page_bytes);
    }
}

std::int64_t linux_process::touch(step const& one, answer& out) {
    volatile std::uint64_t done = 0;
    auto const number = sigsetjmp(back_from_signal, 1);
    while (number == 0 && done < one.bytes) {
        auto const here = one.at + done;
        auto const part = std::min(page_bytes - here % page_bytes, one.bytes - done);
        if (one.what == op::load) {
            std::memcpy(buffer_ + done, address(here), part);
        } else {
            std::memcpy(address(here), buffer_ + done, part);
        }
        done = done + part;
    }
    if (number != 0) out.signal = number, out.code = last_code;
    if (one.what == op::load) digest_ = digest(std::span{buffer_, done});
    return static_cast<std::int64_t>(done);
}

std::int64_t linux_process::vm(step const& one) {
    iovec const local{buffer_, one.bytes};
    iovec const remote{address(one.at), one.bytes};
    auto const reads = one.what == op::vm_read;
    auto const got = outcome(syscall(reads ? SYS_process_vm_readv : SYS_process_vm_writev, getpid(),
                                     &local, 1, &remote, 1, 0));
    if (reads && got >= 0) digest_ = digest(std::span{buffer_, static_cast<std::size_t>(got)});
    return got;
}

std::int64_t linux_process::mem(step const& one) {
    // pread refuses offsets with the top bit set before the file is asked; lseek and read do not.
    syscall(SYS_lseek, mem_, one.at, SEEK_SET);
    if (one.what == op::mem_write) return outcome(syscall(SYS_write, mem_, buffer_, one.bytes));
    auto const got = outcome(syscall(SYS_read, mem_, buffer_, one.bytes));
    if (got >= 0) digest_ = digest(std::span{buffer_, static_cast<std::size_t>(got)});
    return got;
}

std::int64_t linux_process::ask_tracer(step const& one) {
    trace_message message;
    message.at = one.at;
    message.poke = one.what == op::poke;
    auto const word = std::as_writable_bytes(std::span{&message.word, 1});
    if (message.poke) fill_pattern(word, seed_);
    if (write(to_tracer_[1], &message, sizeof message) != sizeof message) return -EPIPE;
    if (read(from_tracer_[0], &message, sizeof message) != sizeof message) return -EPIPE;
    if (!message.poke && message.value == 0) digest_ = digest(word);
    return message.value;
}

std::int64_t linux_process::splice(step const& one) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return outcome(-1);
    iovec const from{address(one.at), one.bytes};
    auto const got = outcome(syscall(SYS_vmsplice, ends[1], &from, 1, SPLICE_F_NONBLOCK));
    if (got > 0) {
        auto const read_back = read(ends[0], buffer_, static_cast<std::size_t>(got));
        digest_ =
            digest(std::span{buffer_, static_cast<std::size_t>(std::max<ssize_t>(read_back, 0))});
    } else if (got == 0) {
        digest_ = digest({});
    }
    close(ends[0]);
    close(ends[1]);
    return got;
}

/// The file is what the memory is written from, or what it is written to.
std::int64_t linux_process::direct(step const& one) {
    if (file_ < 0) return -EOPNOTSUPP;
    auto const whole = (std::min<std::uint64_t>(one.bytes, most_bytes) + 511) / 512 * 512;
    auto const buffer_pages = static_cast<std::uint32_t>((whole + page_bytes - 1) / page_bytes);
    buffer_pins_ = buffer_pages;
    if (pwrite(file_, buffer_, whole, 0) != static_cast<ssize_t>(whole)) return outcome(-1);
    if (one.what == op::direct_read) {
        return outcome(syscall(SYS_pread64, file_, one.at, one.bytes, 0));
    }
    auto const got = outcome(syscall(SYS_pwrite64, file_, one.at, one.bytes, 0));
    buffer_pins_ += buffer_pages;
    if (pread(file_, buffer_, whole, 0) != static_cast<ssize_t>(whole)) return outcome(-1);
    digest_ = digest(std::span{buffer_, std::min<std::uint64_t>(one.bytes, most_bytes)});
    return got;
}

std::int64_t linux_process::uring(step const& one) {
    if (ring_ < 0) return -ENOSYS;
    iovec const buffer{address(one.at), one.bytes};
    auto const got =
        outcome(syscall(SYS_io_uring_register, ring_, IORING_REGISTER_BUFFERS, &buffer, 1));
    if (got == 0) syscall(SYS_io_uring_register, ring_, IORING_UNREGISTER_BUFFERS, nullptr, 0);
    return got;
}

std::int64_t linux_process::futex(step const& one) {
    constexpr int change_nothing = FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0);
    if (one.what == op::wake) {
        return outcome(syscall(SYS_futex, one.at, FUTEX_WAKE, 1, nullptr, nullptr, 0));
    }
    auto const own = one.what == op::wake_private ? FUTEX_PRIVATE_FLAG : 0;
    return outcome(syscall(SYS_futex, one.at, FUTEX_WAKE_OP | own, 1, 1, one.at, change_nothing));
}

std::int64_t linux_process::pipe_copy(step const& one) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return outcome(-1);
    std::int64_t got = 0;
    auto const bytes = std::min<std::uint64_t>(one.bytes, most_bytes);
    if (one.what == op::copy_to) {
        auto const ready = write(ends[1], buffer_, bytes) == static_cast<ssize_t>(bytes);
        got = ready ? outcome(syscall(SYS_read, ends[0], one.at, one.bytes)) : -EPIPE;
    } else {
        got = outcome(syscall(SYS_write, ends[1], one.at, one.bytes));
        if (got > 0 && read(ends[0], buffer_, static_cast<std::size_t>(got)) != got) got = -EPIPE;
        if (got >= 0) digest_ = digest(std::span{buffer_, static_cast<std::size_t>(got)});
    }
    close(ends[0]);
    close(ends[1]);
    return got;
}

void linux_process::look_around(answer& out) {
    std::array<std::uint64_t, arena_pages> entries{};
    auto const offset = static_cast<off_t>(arena_start / page_bytes * sizeof(std::uint64_t));
    if (pread(pagemap_, entries.data(), sizeof entries, offset) != sizeof entries) return;
    auto sum = digest({});
    for (std::uint64_t i = 0; i < arena_pages; ++i) {
        if ((entries[i] >> 63U) == 0) continue;
        out.present |= std::uint64_t{1} << i;
        if ((secret_pages_ >> i & 1U) != 0) continue;
        std::array<std::byte, page_bytes> page{};
        auto const got = pread(mem_, page.data(), page.size(), static_cast<off_t>(arena_page(i)));
        if (got == static_cast<ssize_t>(page.size())) sum = digest(page, sum);
    }
    out.contents = sum;
    if (large_in_use_) look_at_large(out);
}

/// Only the pages that are there are read: a hole would be filled by looking at it.
void linux_process::look_at_large(answer& out) {
    static std::array<std::uint64_t, large_arena_pages> entries;
    auto const offset = static_cast<off_t>(large_arena_start / page_bytes * sizeof(std::uint64_t));
    if (pread(pagemap_, entries.data(), sizeof entries, offset) != sizeof entries) return;
    auto sum = digest({});
    for (std::uint64_t i = 0; i < large_arena_pages; ++i) {
        if ((entries[i] >> 63U) == 0) continue;
        ++out.large;
        std::array<std::byte, page_bytes> page{};
        auto const got = pread(mem_, page.data(), page.size(), static_cast<off_t>(large_page(i)));
        if (got == static_cast<ssize_t>(page.size())) sum = digest_of_page(page, i, sum);
    }
    out.large_contents = sum;
}

}  // namespace parity
