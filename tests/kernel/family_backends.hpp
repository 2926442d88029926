// SPDX-License-Identifier: BSL-1.0
#pragma once

// A process and its child, twice: running on this Linux, and as two address spaces. Both are driven
// by the same scripts and answer with bytes, so that a test compares what they say.
//
// In place of system calls the model does what they do inside (gup-semantics §1.4): vmsplice is
// gup_fast for reading, a fixed buffer of io_uring is a long-term pin for writing.

#include <mmhold/fault/dispatch.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/migrate.hpp>
#include <mmhold/space/mremap.hpp>
#include <mmhold/space/swap_out.hpp>

#include "family_process.hpp"
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mmhold_test {

/// How the pages of a script are mapped.
enum class mapping : std::uint8_t {
    private_memory,
    moved_memory,    ///< private; written elsewhere, then half of it moved here by mremap
    swapped_memory,  ///< private; the parent's pages go to the swap whenever they may
    shared_memory,
    dont_fork,
    wipe_on_fork,
};

constexpr std::uint64_t script_pages = 4;
constexpr int died = -2;  ///< the access was answered by SIGSEGV

/// One io_uring with one page as its fixed buffer, and the pipe it reads from or writes to.
class fixed_buffer {
public:
    explicit fixed_buffer(char* page) : page_{page} {
        io_uring_params setup{};
        ring_ = static_cast<int>(syscall(SYS_io_uring_setup, 2, &setup));
        if (ring_ < 0 || pipe2(pipe_.data(), O_CLOEXEC) != 0) return;
        auto const sq_size = setup.sq_off.array + setup.sq_entries * sizeof(unsigned);
        auto const cq_size = setup.cq_off.cqes + setup.cq_entries * sizeof(io_uring_cqe);
        sq_ = ring_memory(sq_size, IORING_OFF_SQ_RING);
        cq_ = ring_memory(cq_size, IORING_OFF_CQ_RING);
        sqes_ = ring_memory(setup.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
        offsets_ = setup;
        iovec const whole{page, 4096};
        registered_ =
            sq_ != nullptr && cq_ != nullptr && sqes_ != nullptr &&
            syscall(SYS_io_uring_register, ring_, IORING_REGISTER_BUFFERS, &whole, 1) == 0;
    }
    fixed_buffer(fixed_buffer const&) = delete;
    fixed_buffer& operator=(fixed_buffer const&) = delete;
    ~fixed_buffer() {
        for (auto const fd : {ring_, pipe_[0], pipe_[1]}) {
            if (fd >= 0) close(fd);
        }
    }

    [[nodiscard]] bool registered() const { return registered_; }
    /// The first byte, as the device behind the buffer sees it.
    int read() {
        char byte = 0;
        if (!submit(IORING_OP_WRITE_FIXED, pipe_[1]) || ::read(pipe_[0], &byte, 1) != 1)
            return failed;
        return byte;
    }
    int write(int value) {
        auto const byte = static_cast<char>(value);
        if (::write(pipe_[1], &byte, 1) != 1) return failed;
        return submit(IORING_OP_READ_FIXED, pipe_[0]) ? 0 : failed;
    }

private:
    char* ring_memory(std::size_t size, unsigned long offset) const {
        auto* const got = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                               ring_, static_cast<off_t>(offset));
        return got == MAP_FAILED ? nullptr : static_cast<char*>(got);
    }
    static unsigned* at(char* ring, unsigned offset) {
        return reinterpret_cast<unsigned*>(ring + offset);
    }

    bool submit(unsigned char what, int fd) {
        auto* const sqe = reinterpret_cast<io_uring_sqe*>(sqes_);
        *sqe = {};
        sqe->opcode = what;
        sqe->fd = fd;
        sqe->addr = reinterpret_cast<std::uint64_t>(page_);
        sqe->len = 1;
        auto& tail = *at(sq_, offsets_.sq_off.tail);
        auto const mask = *at(sq_, offsets_.sq_off.ring_mask);
        at(sq_, offsets_.sq_off.array)[tail & mask] = 0;
        std::atomic_ref<unsigned>{tail}.store(tail + 1, std::memory_order_release);
        if (syscall(SYS_io_uring_enter, ring_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1)
            return false;
        auto& head = *at(cq_, offsets_.cq_off.head);
        auto const* const cqes = reinterpret_cast<io_uring_cqe*>(cq_ + offsets_.cq_off.cqes);
        auto const outcome = cqes[head & *at(cq_, offsets_.cq_off.ring_mask)].res;
        std::atomic_ref<unsigned>{head}.store(head + 1, std::memory_order_release);
        return outcome == 1;
    }

    char* page_;
    int ring_{-1};
    std::array<int, 2> pipe_{-1, -1};
    char* sq_{nullptr};
    char* cq_{nullptr};
    char* sqes_{nullptr};
    io_uring_params offsets_{};
    bool registered_{false};
};

/// The real thing. Lives in a process of its own, whose child answers over a socket.
class linux_family {
public:
    explicit linux_family(mapping how) : how_{how} {
        auto const shared = how == mapping::shared_memory ? MAP_SHARED : MAP_PRIVATE;
        auto* const got = mmap(nullptr, script_pages * 4096, PROT_READ | PROT_WRITE,
                               shared | MAP_ANONYMOUS, -1, 0);
        base_ = static_cast<char*>(got);
        if (how == mapping::moved_memory) move_here();
        (void)madvise(base_, script_pages * 4096, MADV_NOHUGEPAGE);
        if (how == mapping::dont_fork) (void)madvise(base_, script_pages * 4096, MADV_DONTFORK);
        if (how == mapping::wipe_on_fork)
            (void)madvise(base_, script_pages * 4096, MADV_WIPEONFORK);
        (void)pipe2(pipe_.data(), O_NONBLOCK);
    }
    linux_family(linux_family const&) = delete;
    linux_family& operator=(linux_family const&) = delete;

    int store(actor who, std::uint64_t page, int value) {
        auto const done = ask(who, {'s', page, value});
        auto const alone = who == actor::parent && !child_.lives() && !buffers_.contains(page);
        if (how_ == mapping::swapped_memory && alone) (void)page_out(who, page);
        return done;
    }
    int load(actor who, std::uint64_t page) { return ask(who, {'l', page, 0}); }
    int unmap(actor who, std::uint64_t page) { return ask(who, {'u', page, 0}); }
    int discard(actor who, std::uint64_t page) { return ask(who, {'d', page, 0}); }
    /// mprotect to read-only and back.
    int protect(actor who, std::uint64_t page) { return ask(who, {'p', page, 0}); }
    int page_out(actor who, std::uint64_t page) { return ask(who, {'o', page, 0}); }
    int splice(actor who, std::uint64_t page) { return ask(who, {'v', page, 0}); }
    /// The kernel moves pages when it likes; nobody can tell.
    int move(actor, std::uint64_t) { return 0; }

    /// The first byte of the oldest page in the pipe.
    int from_pipe() {
        std::array<char, 4096> bytes{};
        return read(pipe_[0], bytes.data(), bytes.size()) == 4096 ? bytes[0] : failed;
    }
    int fix(std::uint64_t page) {
        auto& buffer = buffers_[page];
        buffer = std::make_unique<fixed_buffer>(base_ + page * 4096);
        return buffer->registered() ? 0 : failed;
    }
    int device_reads(std::uint64_t page) { return buffers_.at(page)->read(); }
    int device_writes(std::uint64_t page, int value) { return buffers_.at(page)->write(value); }

    int fork() {
        return child_.start([this](request const& what) { return perform(what); }) ? 0 : failed;
    }
    int child_exits() {
        child_.end();
        return 0;
    }

private:
    struct request {
        char what;
        std::uint64_t page;
        int value;
    };

    /// The pages at base_ are the second half of a written mapping, whose first half stays elsewhere.
    void move_here() {
        constexpr auto bytes = script_pages * 4096;
        auto* const first = static_cast<char*>(
            mmap(nullptr, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        (void)madvise(first, 2 * bytes, MADV_NOHUGEPAGE);
        for (std::uint64_t at = 0; at < 2 * bytes; at += 4096) {
            *static_cast<char volatile*>(first + at) = 0;
        }
        (void)::mremap(first + bytes, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, base_);
    }
    int ask(actor who, request const& what) {
        return who == actor::parent ? perform(what) : child_.ask(what, died);
    }
    int perform(request const& what) {
        auto* const page = base_ + what.page * 4096;
        auto volatile* const byte = reinterpret_cast<char volatile*>(page);
        switch (what.what) {
            case 's': *byte = static_cast<char>(what.value); return 0;
            case 'l': return *byte;
            case 'u': return munmap(page, 4096) == 0 ? 0 : failed;
            case 'd': return madvise(page, 4096, MADV_DONTNEED) == 0 ? 0 : failed;
            case 'o': return madvise(page, 4096, MADV_PAGEOUT) == 0 ? 0 : failed;
            case 'p':
                if (mprotect(page, 4096, PROT_READ) != 0) return failed;
                return mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0 ? 0 : failed;
            case 'v': {
                iovec const whole{page, 4096};
                return vmsplice(pipe_[1], &whole, 1, 0) == 4096 ? 0 : failed;
            }
            default: return failed;
        }
    }

    mapping how_;
    char* base_{nullptr};
    std::array<int, 2> pipe_{-1, -1};
    std::map<std::uint64_t, std::unique_ptr<fixed_buffer>> buffers_{};
    asked_child<request> child_{};
};

/// The model.
class model_family {
public:
    using machine = mmhold::checked_host_machine;
    using config = mmhold::default_config<machine>;
    using space_type = mmhold::address_space<config>;
    using lock_type = config::lock;

    explicit model_family(mapping how) : how_{how} {
        parent_.use_swap(disk_);
        if (how == mapping::moved_memory) {
            move_here();
            return;
        }
        mmhold::mmap_request request{.hint = base, .pages = mmhold::page_count{script_pages}};
        request.flags = mmhold::mmap_flag::fixed;
        if (how == mapping::shared_memory)
            request.flags = request.flags.with(mmhold::mmap_flag::shared);
        if (how == mapping::dont_fork) request.properties = mmhold::vma_flag::dont_fork;
        if (how == mapping::wipe_on_fork) request.properties = mmhold::vma_flag::wipe_on_fork;
        (void)parent_.mmap(me_, request);
    }
    model_family(model_family const&) = delete;
    model_family& operator=(model_family const&) = delete;
    ~model_family() {
        child_exits();
        for (auto const page : pipe_) frames_.put(page);
        for (auto const& [page, frame] : buffers_) frames_.unpin(frame);
    }

    int store(actor who, std::uint64_t page, int value) {
        if (!touch(who, page, mmhold::access::write)) return died;
        *byte(who, page) = static_cast<std::byte>(value);
        // What the cpu's dirty bit would tell reclaim.
        auto const frame = entry(who, page).target;
        if (frames_.kind(frame) == mmhold::frame_kind::page_cache) frames_.mark_dirty(frame);
        auto const alone = who == actor::parent && !child_ && !buffers_.contains(page);
        if (how_ == mapping::swapped_memory && alone) (void)page_out(who, page);
        return 0;
    }
    int load(actor who, std::uint64_t page) {
        if (!touch(who, page, mmhold::access::read)) return died;
        return static_cast<int>(*byte(who, page));
    }
    int unmap(actor who, std::uint64_t page) { return said(space(who).munmap(me_, one(page))); }
    int discard(actor who, std::uint64_t page) { return said(space(who).dontneed(me_, one(page))); }
    int protect(actor who, std::uint64_t page) {
        auto const down = space(who).mprotect(me_, one(page), mmhold::prot::r);
        return down ? said(space(who).mprotect(me_, one(page), mmhold::prot::rw)) : failed;
    }
    int page_out(actor who, std::uint64_t page) {
        return mmhold::page_out(me_, space(who), one(page)).has_value() ? 0 : failed;
    }
    int move(actor who, std::uint64_t page) {
        auto const held = mmhold::held_shared<lock_type>::acquire(space(who).lock());
        (void)mmhold::migrate_page(held, me_, space(who), base.plus_pages(page));
        return 0;
    }
    int splice(actor who, std::uint64_t page) {
        std::array<mmhold::pfn, 1> out{};
        if (gup_fast(space(who), me_, one(page), {}, out).pages != 1) return failed;
        pipe_.push_back(out[0]);
        return 0;
    }
    int from_pipe() {
        if (pipe_.empty()) return failed;
        auto const page = pipe_.front();
        pipe_.pop_front();
        auto const value = static_cast<int>(frames_.bytes(page).front());
        frames_.put(page);
        return value;
    }
    int fix(std::uint64_t page) {
        return pin(page, {mmhold::gup_flag::write, mmhold::gup_flag::longterm}, walk::fast);
    }
    /// A long-term pin for reading only, which no system call takes: model only.
    enum class walk : std::uint8_t { fast, slow };
    int pin_to_read(std::uint64_t page, walk how) {
        return pin(page, mmhold::gup_flag::longterm, how);
    }
    int pin(std::uint64_t page, mmhold::gup_flags flags, walk how) {
        std::array<mmhold::pfn, 1> out{};
        auto const got = how == walk::fast ? pin_fast(parent_, me_, one(page), flags, out)
                                           : pin_unlocked(parent_, me_, one(page), flags, out);
        if (got.pages != 1) return failed;
        if (auto const old = buffers_.find(page); old != buffers_.end()) frames_.unpin(old->second);
        buffers_[page] = out[0];
        return 0;
    }
    int device_reads(std::uint64_t page) {
        return static_cast<int>(frames_.bytes(buffers_.at(page)).front());
    }
    int device_writes(std::uint64_t page, int value) {
        frames_.bytes(buffers_.at(page)).front() = static_cast<std::byte>(value);
        frames_.mark_dirty(buffers_.at(page));
        return 0;
    }
    int fork() {
        if (child_) return failed;
        child_.emplace(frames_, tables_, domain_);
        child_->use_swap(disk_);
        return said(mmhold::fork(me_, parent_, *child_));
    }
    int child_exits() {
        if (child_) child_->exit(me_);
        child_.reset();
        return 0;
    }

private:
    static constexpr mmhold::virt_addr base{std::uint64_t{16} << 30U};

    /// As in linux_family.
    void move_here() {
        using mmhold::mremap_flag;
        auto const count = mmhold::page_count{script_pages};
        auto const elsewhere = base.plus_pages(1000);
        (void)parent_.mmap(me_, {.hint = elsewhere,
                                 .pages = mmhold::page_count{2 * script_pages},
                                 .flags = mmhold::mmap_flag::fixed});
        for (std::uint64_t n = 0; n < 2 * script_pages; ++n) {
            (void)touch(actor::parent, 1000 + n, mmhold::access::write);
        }
        auto const half = *mmhold::page_span::from(elsewhere.plus_pages(script_pages), count);
        (void)mmhold::mremap(me_, parent_, half, count, {mremap_flag::may_move, mremap_flag::fixed},
                             base);
    }
    static int said(mmhold::result<void> const& outcome) { return outcome ? 0 : failed; }
    static mmhold::page_span one(std::uint64_t page) {
        return *mmhold::page_span::from(base.plus_pages(page), mmhold::page_count{1});
    }
    space_type& space(actor who) { return who == actor::parent ? parent_ : *child_; }

    mmhold::page_entry entry(actor who, std::uint64_t page) {
        mmhold::page_entry found{};
        (void)space(who).table().visit(
            me_, one(page),
            [&](mmhold::virt_addr, mmhold::page_entry const& e, unsigned) { found = e; });
        return found;
    }
    /// A user's access: faults until the entry permits it.
    bool touch(actor who, std::uint64_t page, mmhold::access how) {
        mmhold::dispatch<space_type> handler{space(who)};
        auto const flags = mmhold::fault_flags{mmhold::fault_flag::user}.with_if(
            how == mmhold::access::write, mmhold::fault_flag::write);
        while (!entry(who, page).permits(how, {})) {
            auto const held = mmhold::held_shared<lock_type>::acquire(space(who).lock());
            auto keep = mmhold::lock_authority<lock_type>::keep(held);
            auto const outcome = handler.handle({base.plus_pages(page), flags}, keep, me_);
            if (outcome.kind() != mmhold::fault_kind::installed) return false;
        }
        return true;
    }
    std::byte* byte(actor who, std::uint64_t page) {
        return frames_.bytes(entry(who, page).target).data();
    }

    mapping how_;
    mmhold::frame_pool<machine> frames_{mmhold::page_count{64}, mmhold::frame_bytes::owned};
    mmhold::memory_swap<machine> disk_{mmhold::page_count{16}, mmhold::frame_bytes::owned};
    config::tables tables_{mmhold::page_count{32}};
    config::reclaimer domain_{};
    mmhold::cpu<config::reclaimer> me_{domain_};
    space_type parent_{frames_, tables_, domain_};
    std::optional<space_type> child_{};
    std::deque<mmhold::pfn> pipe_{};
    std::map<std::uint64_t, mmhold::pfn> buffers_{};
};

/// What `script(family)` says when it runs in a process of its own; "died" if that is killed.
template<class Script>
std::string in_a_process(mapping how, Script const& script) {
    return in_a_process_of([how] { return linux_family{how}; }, script);
}

/// May this process use io_uring?
inline bool kernel_has_io_uring() {
    io_uring_params setup{};
    auto const ring = static_cast<int>(syscall(SYS_io_uring_setup, 1, &setup));
    if (ring >= 0) close(ring);
    return ring >= 0;
}

/// Is there somewhere to swap out to?
inline bool kernel_has_swap() {
    auto const file = open("/proc/swaps", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    std::array<char, 4096> text{};
    auto const got = read(file, text.data(), text.size());
    close(file);
    std::string const lines{text.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
    return lines.find('\n') + 1 < lines.size();
}

}  // namespace mmhold_test
