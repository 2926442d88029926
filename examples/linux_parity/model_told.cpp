// SPDX-License-Identifier: BSL-1.0
// What a userfaultfd is told of beside faults: fork, mremap, munmap, madvise.
#include <mmhold/callers/madvise.hpp>
#include <mmhold/fault/userfault_notices.hpp>

#include "model_process.hpp"
#include <cerrno>
#include <chrono>

namespace parity {

namespace {

constexpr std::uint64_t pages_into_arena(virt_addr at) {
    return (at.value - arena_start) / page_bytes;
}

std::int64_t heard(userfault_event const& event) {
    auto const start = pages_into_arena(event.range.start());
    auto const end = pages_into_arena(event.range.end());
    switch (event.kind) {
        case userfault_event_kind::fault:
            return heard_value(1, pages_into_arena(event.address), event.flags.bits(), 0);
        case userfault_event_kind::fork: return heard_value(2, 0, 0, 0);
        case userfault_event_kind::remap:
            return heard_value(3, start, pages_into_arena(event.address), event.range.pages());
        case userfault_event_kind::remove: return heard_value(4, start, end, 0);
        case userfault_event_kind::unmap: break;
    }
    return heard_value(5, start, end, 0);
}

}  // namespace

forked_child::~forked_child() {
    if (reader.joinable()) reader.join();
}

std::int64_t model_process::told_step(step const& one) {
    switch (one.what) {
        case op::hear: return hear(one.of);
        case op::child: return ask_child();
        default: break;
    }
    return -ESRCH;  // who has several threads knows whom to end
}

std::int64_t model_process::hear(memory of) {
    auto const& server = servers_[fault_server_of(of)];
    if (!server.faults) return -EBADF;
    auto const event = server.faults->read_event();
    if (!event) return -EAGAIN;
    if (event->kind == userfault_event_kind::fork) {
        auto& twin = servers_[fault_server_of(memory::faults_twin)];
        close(twin);
        for (auto& one : world_.child.faults) {
            if (one.get() == event->child) twin.faults = std::move(one);
        }
        twin.mm = world_.child.mm.get();
    }
    return heard(*event);
}

bool model_process::has_message() {
    for (auto const& server : servers_) {
        if (!server.faults) continue;
        auto const counts = server.faults->counts();
        if (counts.unread + counts.unheard != 0) return true;
    }
    return false;
}

std::uint32_t model_process::waiting() {
    std::uint32_t sum = 0;
    for (auto const& server : servers_) {
        if (server.faults) sum += server.faults->counts().waiting;
    }
    return sum;
}

/// munmap and mmap return when all have heard of it.
std::int64_t model_process::unmap(page_span span) {
    auto told = munmap_telling(me_, mm_, span);
    if (told) told->wait(wait_mode::killable);
    return linux_value(told);
}
result<virt_addr> model_process::mapped(mmap_request const& request) {
    auto done = mmap_telling(me_, mm_, request);
    if (!done) return done.error();
    done->tickets.wait(wait_mode::killable);
    return done->answer;
}

/// A child that reads one byte of its memory, and says so.
std::int64_t model_process::start_reader(step const& one) {
    auto& child = world_.child;
    child.mm = std::make_unique<space_type>(frames_, tables_, domain_);
    if (where_.has_swap) child.mm->use_swap(world_.swap);
    auto told = fork_telling(me_, mm_, *child.mm, [&](faults_type& parents) {
        child.faults.push_back(std::make_unique<faults_type>(*child.mm, parents.features()));
        return child.faults.back().get();
    });
    if (!told) return linux_value(told);
    told->wait(wait_mode::killable);
    told->for_each_unheard_child(
        [&](fault_source& one_of) { (void)static_cast<faults_type&>(one_of).close(me_); });
    *told = {};
    if (me_.current().fatal_signal_pending()) return -EINTR;  // there is no child after all
    child.reader = std::thread{[&child, at = virt_addr{one.at}, &domain = domain_] {
        cpu_type reader{domain};
        std::array<std::byte, 1> byte{};
        auto const got = read_user(*child.mm, reader, at, byte);
        child.says.store(got.bytes == 1 ? 1 + std::to_integer<int>(byte[0]) : 1000);
    }};
    return 0;
}

std::int64_t model_process::ask_child() {
    using namespace std::chrono;
    auto const& twin = servers_[fault_server_of(memory::faults_twin)];
    auto const patience = steady_clock::now() + seconds{5};
    while (steady_clock::now() < patience) {
        if (auto const said = world_.child.says.load(); said != 0) return said - 1;
        if (twin.faults && twin.faults->counts().waiting != 0) return -EAGAIN;
        std::this_thread::sleep_for(microseconds{20});
    }
    return -ETIMEDOUT;
}

/// The child's end, when nobody serves its memory any more.
void model_process::end_child() {
    auto& child = world_.child;
    if (child.reader.joinable()) child.reader.join();
    for (auto& one : child.faults) {
        if (one) (void)one->close(me_);
    }
    if (child.mm) child.mm->exit(me_);
    child.mm.reset();
}

}  // namespace parity
