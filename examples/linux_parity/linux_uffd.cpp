// SPDX-License-Identifier: BSL-1.0
// userfaultfd beyond missing private pages.
#include "linux_process.hpp"
#include <cerrno>
#include <cstring>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

namespace parity {

namespace {

// What older headers do not have.
constexpr std::uint64_t feature_wp_unpopulated = 1U << 13U;
constexpr std::uint64_t copy_protected = 2;  // UFFDIO_COPY_MODE_WP, UFFDIO_CONTINUE_MODE_WP
constexpr std::uint64_t move_holes = 2;      // UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES
struct poison_request {
    uffdio_range range;
    std::uint64_t mode;
    std::int64_t done;
};
struct move_request {
    std::uint64_t to;
    std::uint64_t from;
    std::uint64_t bytes;
    std::uint64_t mode;
    std::int64_t done;
};
constexpr unsigned long poison_call = _IOWR(UFFDIO, 8, poison_request);
constexpr unsigned long move_call = _IOWR(UFFDIO, 5, move_request);

/// What was done before it failed, or why nothing was.
std::int64_t came_to(int failed, std::int64_t done) {
    if (failed == 0 || done > 0) return done;
    return -errno;
}

std::int64_t write_protect(int descriptor, uffdio_range const& range, std::uint64_t mode) {
    uffdio_writeprotect request{range, mode};
    return outcome(ioctl(descriptor, UFFDIO_WRITEPROTECT, &request));
}

std::int64_t go_on(int descriptor, uffdio_range const& range, std::uint64_t mode) {
    uffdio_continue request{range, mode, 0};
    auto const failed = ioctl(descriptor, UFFDIO_CONTINUE, &request);
    return came_to(failed, request.mapped);
}

}  // namespace

/// `how`: fill and go_on write-protect the pages; move allows holes.
std::int64_t linux_process::uffd_step(step const& one) {
    auto const descriptor = servers_[fault_server_of(one.of)].descriptor;
    if (descriptor < 0) return -EBADF;
    uffdio_range range{one.at, one.bytes};
    auto const protects = one.how != 0 ? copy_protected : 0;
    switch (one.what) {
        case op::wp_on: return write_protect(descriptor, range, UFFDIO_WRITEPROTECT_MODE_WP);
        case op::wp_off: return write_protect(descriptor, range, 0);
        case op::go_on: return go_on(descriptor, range, protects);
        case op::awaken: return outcome(ioctl(descriptor, UFFDIO_WAKE, &range));
        case op::fill: {
            if (one.bytes > most_bytes) return -EINVAL;
            std::memset(buffer_, 'f', one.bytes);
            uffdio_copy request{one.at, reinterpret_cast<std::uint64_t>(buffer_), one.bytes,
                                protects, 0};
            auto const failed = ioctl(descriptor, UFFDIO_COPY, &request);
            return came_to(failed, request.copy);
        }
        case op::zero: {
            uffdio_zeropage request{range, 0, 0};
            auto const failed = ioctl(descriptor, UFFDIO_ZEROPAGE, &request);
            return came_to(failed, request.zeropage);
        }
        case op::poison: {
            poison_request request{range, 0, 0};
            auto const failed = ioctl(descriptor, poison_call, &request);
            return came_to(failed, request.done);
        }
        case op::move: {
            move_request request{one.to, one.at, one.bytes, one.how != 0 ? move_holes : 0, 0};
            auto const failed = ioctl(descriptor, move_call, &request);
            return came_to(failed, request.done);
        }
        default: return outcome(ioctl(descriptor, UFFDIO_UNREGISTER, &range));
    }
}

std::int64_t linux_process::map_uffd(step const& one) {
    auto const minor = one.of == memory::faults_minor;
    auto const descriptor = minor ? open_object(one) : -1;
    if (minor && descriptor < 0) return outcome(-1);
    if (auto const mapped = map_at(one, 0, descriptor); mapped != 0) return mapped;
    if (minor) return register_faults(one, UFFDIO_REGISTER_MODE_MINOR);
    auto const writes = one.of == memory::faults_wp ? UFFDIO_REGISTER_MODE_WP : 0;
    return register_faults(one, UFFDIO_REGISTER_MODE_MISSING | writes);
}

/// UFFD_FEATURE_* to ask for.
std::uint64_t linux_process::features_for(memory of) {
    constexpr std::uint64_t everything = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
                                         UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP;
    if (of == memory::faults_removed) return UFFD_FEATURE_EVENT_REMOVE;
    if (is_told(of)) return everything;
    return of == memory::faults_wp ? feature_wp_unpopulated : 0;
}

/// Answers what is not a missing page. False: it is one.
bool linux_process::serve_other(int descriptor, std::uint64_t flags, std::uint64_t at) {
    uffdio_range page{at, page_bytes};
    if ((flags & UFFD_PAGEFAULT_FLAG_WP) != 0) return write_protect(descriptor, page, 0), true;
    if ((flags & UFFD_PAGEFAULT_FLAG_MINOR) == 0) return false;
    if (go_on(descriptor, page, 0) < 0) ioctl(descriptor, UFFDIO_WAKE, &page);
    return true;
}

}  // namespace parity
