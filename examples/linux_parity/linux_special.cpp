// SPDX-License-Identifier: BSL-1.0
// What drivers and the kernel map: rings, /dev/zero, files that are open for reading only. The
// [vdso] is there already.
#include "linux_process.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace parity {

namespace {

/// The pages of a submission ring, beside the ones in front of its array: 36 bytes for each entry.
int open_ring(std::uint64_t bytes) {
    io_uring_params parameters{};
    auto const entries = std::bit_ceil(static_cast<std::uint32_t>(bytes / 36 + 1));
    return static_cast<int>(syscall(SYS_io_uring_setup, entries, &parameters));
}

/// Whoever maps a ring cannot say where (6.18: EINVAL), and gets the highest place that is free. So
/// nothing is left free above the place that is wanted, for a moment.
class no_place_above {
public:
    explicit no_place_above(std::uint64_t end) {
        read_maps();
        auto free_from = end;
        for (char const* line = text().data(); *line != '\0';) {
            unsigned long start = 0;
            unsigned long stop = 0;
            if (std::sscanf(line, "%lx-%lx", &start, &stop) != 2) return;
            auto const* const next = std::strchr(line, '\n');
            if (next == nullptr || std::string_view{line, next}.ends_with("[stack]")) return;
            if (start > free_from) fill(free_from, start - free_from);
            free_from = std::max<std::uint64_t>(free_from, stop);
            line = next + 1;
        }
    }
    no_place_above(no_place_above const&) = delete;
    ~no_place_above() {
        for (std::size_t i = 0; i < count_; ++i) munmap(filled_[i].iov_base, filled_[i].iov_len);
    }

private:
    static std::array<char, 1U << 16U>& text() {
        static std::array<char, 1U << 16U> of_maps;
        return of_maps;
    }
    static void read_maps() {
        auto const maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
        std::size_t size = 0;
        for (ssize_t got = 0;
             (got = read(maps, text().data() + size, text().size() - 1 - size)) > 0;) {
            size += static_cast<std::size_t>(got);
        }
        close(maps);
        text()[size] = '\0';
    }
    void fill(std::uint64_t at, std::uint64_t bytes) {
        constexpr int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
        if (count_ == filled_.size()) return;
        auto* const got = mmap(address(at), bytes, PROT_NONE, how, -1, 0);
        if (got != MAP_FAILED) filled_[count_++] = {got, bytes};
    }

    std::array<iovec, 64> filled_{};
    std::size_t count_ = 0;
};

/// A software event that never counts.
int open_event() {
    perf_event_attr event{};
    event.type = PERF_TYPE_SOFTWARE;
    event.size = sizeof event;
    event.config = PERF_COUNT_SW_CPU_CLOCK;
    event.disabled = 1;
    return static_cast<int>(syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

std::int64_t linux_process::map_special(step const& one) {
    switch (one.of) {
        case memory::file_ro: return map_read_only(one);
        case memory::dev_zero: return map_at(one, 0, open("/dev/zero", O_RDWR | O_CLOEXEC));
        case memory::ring: return map_ring(one);
        case memory::perf: return map_perf(one);
        default: return 0;
    }
}

std::int64_t linux_process::map_ring(step const& one) {
    auto const ring = open_ring(one.bytes);
    if (ring < 0) return outcome(-1);
    // What is mapped there goes even if the ring is refused then; ask first.
    auto* const first = mmap(nullptr, one.bytes, to_prot(one.prot), MAP_SHARED, ring, 0);
    auto answer = outcome(first == MAP_FAILED ? -1 : 0);
    if (first != MAP_FAILED) {
        munmap(first, one.bytes);
        auto* const place = address(one.at);
        if (munmap(place, one.bytes) != 0) answer = outcome(-1);
        no_place_above const elsewhere{one.at + one.bytes};
        auto* const got = mmap(nullptr, one.bytes, to_prot(one.prot), MAP_SHARED, ring, 0);
        if (answer == 0 && got != place) answer = -EXDEV;
        if (got != MAP_FAILED && got != place) munmap(got, one.bytes);
    }
    if (answer == 0) {
        note_secrecy(one);
        answer = fill_driver(ring, one.bytes, one.bytes);
    }
    close(ring);
    return answer;
}

/// The first `filled` bytes of the driver's memory, of which `bytes` are mapped, have the step's
/// pattern in them from now on: what the driver would write there the model cannot know.
std::int64_t linux_process::fill_driver(int device, std::uint64_t bytes, std::uint64_t filled) {
    auto* const first = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
    if (first == MAP_FAILED) return outcome(-1);
    fill_pattern({static_cast<std::byte*>(first), filled}, seed_);
    munmap(first, bytes);
    return 0;
}

std::int64_t linux_process::map_perf(step const& one) {
    auto const event = open_event();
    if (event < 0) return outcome(-1);
    auto const second = dup(event);  // map_at() closes the other
    auto answer = map_at(one, 0, event);
    if (answer == 0) answer = fill_driver(second, one.bytes, page_bytes);
    close(second);
    return answer;
}

std::int64_t linux_process::map_read_only(step const& one) {
    auto const writable = open_object(one);
    if (writable < 0) return outcome(-1);
    auto const name = "/proc/self/fd/" + std::to_string(writable);
    auto const before = object_count_;
    auto const mapped = map_at(one, 0, open(name.c_str(), O_RDONLY | O_CLOEXEC));
    if (object_count_ == before) {
        close(writable);
        return mapped;
    }
    // Who truncates it needs the other descriptor.
    close(objects_[before].descriptor);
    objects_[before].descriptor = writable;
    return mapped;
}

}  // namespace parity
