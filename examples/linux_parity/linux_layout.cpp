// SPDX-License-Identifier: BSL-1.0
// What prepares the ground: mmap and its kinds of memory, userfaultfd, fork, pipes that are kept.
#include "linux_process.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace parity {

namespace {

// Numbers that older headers do not have.
constexpr int madv_populate_write = 23;
constexpr int user_mode_only = 1;
constexpr long memfd_secret_call = 447;

/// After a fork the process's own memory is shared with the child; takes it back, so that no later
/// step is charged with a fault for it. The arena stays as it is.
void own_memory_again() {
    static std::array<char, 1U << 16U> text;
    auto const maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    std::size_t size = 0;
    for (ssize_t got = 0; (got = read(maps, text.data() + size, text.size() - 1 - size)) > 0;) {
        size += static_cast<std::size_t>(got);
    }
    close(maps);
    text[size] = '\0';
    for (char* line = text.data(); line != nullptr && *line != '\0';) {
        unsigned long start = 0;
        unsigned long end = 0;
        std::array<char, 5> rights{};
        auto const read_all = std::sscanf(line, "%lx-%lx %4s", &start, &end, rights.data()) == 3;
        auto const in_arena = (start >= arena_start && start < arena_page(arena_pages)) ||
                              (start >= large_arena_start && start < large_arena_end);
        if (read_all && rights[1] == 'w' && rights[3] == 'p' && !in_arena) {
            madvise(address(start), end - start, madv_populate_write);
        }
        line = std::strchr(line, '\n');
        if (line != nullptr) ++line;
    }
}

int open_disk_file(std::string const& folder) {
    auto name = folder + "/mmhold-parity-XXXXXX";
    auto const file = mkostemp(name.data(), O_CLOEXEC);
    if (file >= 0) unlink(name.c_str());
    return file;
}

}  // namespace

std::int64_t linux_process::layout(step const& one) {
    if (names_server(one.what) && !has_faults(one.of)) return -EINVAL;
    switch (area_of(one.what)) {
        case area::core: return core_step(one);
        case area::advice: return advice_step(one);
        case area::remap: return remap_step(one);
        case area::uffd: return uffd_step(one);
        case area::large: return large_step(one);
        case area::told: return told_step(one);
        case area::special: break;
    }
    return -ENOSYS;
}

std::int64_t linux_process::core_step(step const& one) {
    auto* const at = address(one.at);
    switch (one.what) {
        case op::map: return map(one);
        case op::unmap: return outcome(munmap(at, one.bytes));
        case op::protect: return outcome(mprotect(at, one.bytes, to_prot(one.prot)));
        case op::discard: return outcome(madvise(at, one.bytes, MADV_DONTNEED));
        case op::close_faults: close_faults(one.of); return 0;
        case op::fork: return one.how == fork_reader ? start_reader(one) : start_child(one.how);
        case op::reap: return reap();
        case op::keep: return keep(one);
        case op::drain: return drain();
        case op::register_buffers: return register_buffers(one);
        case op::let_go: return let_go();
        default: return truncate(one);
    }
}

/// One registration at a time, as io_uring has it.
std::int64_t linux_process::register_buffers(step const& one) {
    if (kept_ring_ < 0) {
        io_uring_params parameters{};
        kept_ring_ = static_cast<int>(syscall(SYS_io_uring_setup, 1, &parameters));
    }
    iovec const buffer{address(one.at), one.bytes};
    return outcome(syscall(SYS_io_uring_register, kept_ring_, IORING_REGISTER_BUFFERS, &buffer, 1));
}

std::int64_t linux_process::let_go() {
    if (kept_ring_ < 0) return -ENXIO;
    return outcome(
        syscall(SYS_io_uring_register, kept_ring_, IORING_UNREGISTER_BUFFERS, nullptr, 0));
}

/// What was mapped last at this place gets another length.
std::int64_t linux_process::truncate(step const& one) {
    for (auto i = object_count_; i-- > 0;) {
        auto& known = objects_[i];
        if (one.at < known.at || one.at >= known.at + known.bytes) continue;
        known.size = size_after(known.of, known.size, one.to_bytes);
        return outcome(ftruncate(known.descriptor, static_cast<off_t>(known.size)));
    }
    return -EBADF;
}

std::int64_t linux_process::keep(step const& one) {
    if (kept_[0] < 0 && pipe2(kept_.data(), O_NONBLOCK | O_CLOEXEC) != 0) return outcome(-1);
    iovec const from{address(one.at), one.bytes};
    return outcome(syscall(SYS_vmsplice, kept_[1], &from, 1, SPLICE_F_NONBLOCK));
}

std::int64_t linux_process::drain() {
    if (kept_[0] < 0) return 0;
    auto const got = outcome(read(kept_[0], buffer_, most_bytes));
    if (got > 0) digest_ = digest(std::span{buffer_, static_cast<std::size_t>(got)});
    return std::max<std::int64_t>(got, 0);
}

/// A child that sits there; with `how` 1 it has a child of its own, with 2 only that one stays.
std::int64_t linux_process::start_child(unsigned how) {
    if (child_count_ + 2 > children_.size()) return -EAGAIN;
    std::array<int, 2> ready{};
    if (pipe2(ready.data(), O_CLOEXEC) != 0) return outcome(-1);
    auto const child = ::fork();
    if (child < 0) return outcome(-1);
    if (child == 0) {
        auto const grandchild = how != 0 ? ::fork() : -1;
        if (grandchild > 0) (void)!write(ready[1], &grandchild, sizeof grandchild);
        if (grandchild > 0 && how == 2) _exit(0);
        prctl(PR_SET_PDEATHSIG, grandchild == 0 && how == 2 ? 0 : SIGKILL);
        // A userfaultfd would stay open with the child's copy of the descriptor.
        syscall(SYS_close_range, 0, ~0U, 0);
        for (;;) pause();
    }
    close(ready[1]);
    int grandchild = 0;
    // Until all have closed their ends.
    while (read(ready[0], &grandchild, sizeof grandchild) > 0) {}
    close(ready[0]);
    if (how == 2) {
        waitpid(child, nullptr, 0);
    } else {
        children_[child_count_++] = child;
    }
    if (grandchild > 0) children_[child_count_++] = grandchild;
    if (faults_ != fault_counts::ignored) own_memory_again();
    return 0;
}

std::int64_t linux_process::reap() {
    for (std::size_t i = 0; i < child_count_; ++i) {
        // A grandchild may be dead already: it ends with its parent, and is ours from then on.
        kill(children_[i], SIGKILL);
        waitpid(children_[i], nullptr, 0);
    }
    child_count_ = 0;
    return 0;
}

/// What is to be mapped, with its contents.
int linux_process::open_object(step const& one) {
    auto const size = object_bytes_of(one.of, one.bytes);
    if (one.of == memory::secret) {
        auto const secret = static_cast<int>(syscall(memfd_secret_call, O_CLOEXEC));
        return secret >= 0 && ftruncate(secret, static_cast<off_t>(size)) == 0 ? secret : -1;
    }
    auto const object =
        is_on_disk(one.of) ? open_disk_file(folder_) : memfd_create("parity", MFD_CLOEXEC);
    fill_pattern({buffer_, size}, seed_);
    // Page by page, so that a file system that likes large folios makes small ones.
    for (std::uint64_t done = 0; object >= 0 && done < size; done += page_bytes) {
        auto const at = static_cast<off_t>(done);
        if (pwrite(object, buffer_ + done, page_bytes, at) != page_bytes) return -1;
    }
    return object;
}

std::int64_t linux_process::map(step const& one) {
    if (lies_in_large_arena(one)) large_in_use_ = true;
    switch (area_of(one.of)) {
        case area::core: return map_core(one);
        case area::advice: return map_advice(one);
        case area::uffd: return map_uffd(one);
        case area::large: return map_large(one);
        case area::special: return map_special(one);
        case area::remap:
        case area::told: break;
    }
    return -ENOSYS;
}

std::int64_t linux_process::map_core(step const& one) {
    if (one.of == memory::device) return 0;
    auto const grows = one.of == memory::stack ? MAP_GROWSDOWN : 0;
    int descriptor = -1;
    if (one.of == memory::secret || has_object(one.of)) {
        descriptor = open_object(one);
        if (descriptor < 0) return outcome(-1);
    }
    auto const mapped = map_at(one, grows, descriptor);
    if (mapped != 0 || !has_faults(one.of)) return mapped;
    return register_faults(one, UFFDIO_REGISTER_MODE_MISSING);
}

/// Maps the descriptor, or anonymous memory if it is -1, where the step says; takes it over.
std::int64_t linux_process::map_at(step const& one, int more_flags, int descriptor) {
    auto const flags = MAP_FIXED | (is_shared(one.of) ? MAP_SHARED : MAP_PRIVATE) | more_flags |
                       (descriptor < 0 ? MAP_ANONYMOUS : 0);
    auto* const got = mmap(address(one.at), one.bytes, to_prot(one.prot), flags, descriptor, 0);
    if (descriptor >= 0) {
        auto const has_size = has_object(one.of) || is_hugetlbfs(one.of);
        auto const resizable = got != MAP_FAILED && has_size;
        if (!resizable || object_count_ == objects_.size()) {
            close(descriptor);
        } else {
            objects_[object_count_++] = {one.at, one.bytes, descriptor, one.of,
                                         object_bytes_of(one.of, one.bytes)};
        }
    }
    if (got == MAP_FAILED) return outcome(-1);
    note_secrecy(one);
    return 0;
}

/// What has just been mapped can be read from outside, or not.
void linux_process::note_secrecy(step const& one) {
    for (std::uint64_t page = 0; page < one.bytes / page_bytes; ++page) {
        auto const number = (one.at - arena_start) / page_bytes + page;
        if (number >= arena_pages) break;
        auto const bit = std::uint64_t{1} << number;
        secret_pages_ = one.of == memory::secret ? secret_pages_ | bit : secret_pages_ & ~bit;
    }
}

std::int64_t linux_process::register_faults(step const& one, std::uint64_t mode) {
    auto const server = open_faults(one.of);
    if (server < 0) return -ENOSYS;
    uffdio_register range{};
    range.range = {one.at, one.bytes};
    range.mode = mode;
    return outcome(ioctl(server, UFFDIO_REGISTER, &range));
}

bool linux_process::take_event(memory of, int milliseconds, std::uint64_t& at) {
    auto const descriptor = servers_[fault_server_of(of)].descriptor;
    pollfd ready{descriptor, POLLIN, 0};  // a closed one, -1, only takes its time
    if (poll(&ready, 1, milliseconds) <= 0) return false;
    uffd_msg message{};
    if (read(descriptor, &message, sizeof message) != sizeof message) return false;
    ++events_;
    at = message.arg.pagefault.address;
    return true;
}

int linux_process::open_faults(memory of) {
    auto& server = servers_[fault_server_of(of)];
    if (server.descriptor >= 0) return server.descriptor;
    auto const mode = of == memory::faults_user ? user_mode_only : 0;
    server.descriptor = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | mode));
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = of == memory::faults_bus ? UFFD_FEATURE_SIGBUS : features_for(of);
    if (server.descriptor < 0 || ioctl(server.descriptor, UFFDIO_API, &api) != 0) return -1;
    if (of == memory::faults_bus || by_hand_) return server.descriptor;
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) return -1;
    server.stop = ends[1];
    server.pager = std::thread{
        [this, descriptor = server.descriptor, stop = ends[0]] { serve(descriptor, stop); }};
    return server.descriptor;
}

void linux_process::close_faults(memory of) {
    auto& server = servers_[fault_server_of(of)];
    if (server.descriptor < 0) return;
    if (server.stop >= 0) {
        close(server.stop);
        server.pager.join();
    }
    close(server.descriptor);
    server = {};
}

void linux_process::serve(int descriptor, int stop) {
    alignas(page_bytes) static thread_local std::array<std::byte, page_bytes> page;
    page.fill(std::byte{'u'});
    for (;;) {
        std::array<pollfd, 2> ready{{{descriptor, POLLIN, 0}, {stop, POLLIN, 0}}};
        poll(ready.data(), ready.size(), -1);
        if (ready[1].revents != 0) break;
        uffd_msg message{};
        if (read(descriptor, &message, sizeof message) != sizeof message) continue;
        if (message.event != UFFD_EVENT_PAGEFAULT) continue;
        ++events_;
        auto const at = message.arg.pagefault.address & ~(page_bytes - 1);
        if (serve_other(descriptor, message.arg.pagefault.flags, at)) continue;
        uffdio_copy fill{};
        fill.dst = at;
        fill.src = reinterpret_cast<std::uint64_t>(page.data());
        fill.len = page_bytes;
        ioctl(descriptor, UFFDIO_COPY, &fill);
    }
    close(stop);
}

}  // namespace parity
