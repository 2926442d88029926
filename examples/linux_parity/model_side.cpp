// SPDX-License-Identifier: BSL-1.0
#include "model_side.hpp"

#include <mmhold/callers/direct_io.hpp>
#include <mmhold/callers/fixup_user_fault.hpp>
#include <mmhold/callers/futex_key.hpp>
#include <mmhold/callers/mlock.hpp>
#include <mmhold/callers/populate.hpp>
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/remote_access.hpp>
#include <mmhold/callers/single_read.hpp>
#include <mmhold/callers/uring_buffers.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/callers/vmsplice.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/gup/unpin.hpp>
#include <mmhold/machine/host_machine.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <thread>

using namespace mmhold;

namespace parity {

namespace {

using machine = host_machine;
using config = default_config<machine>;
using space_type = address_space<config>;
using cpu_type = space_type::cpu_type;
using faults_type = userfault<space_type>;

/// A pager of the model: fills whatever is asked for with 'u'.
class model_pager {
public:
    explicit model_pager(space_type& mm, faults_type& faults)
        : faults_{faults}, me_{mm.domain()}, thread_{[this] { serve(); }} {}
    ~model_pager() { thread_.join(); }
    std::uint32_t events() const { return events_.load(); }

private:
    void serve() {
        std::array<std::byte, page_bytes> page{};
        page.fill(std::byte{'u'});
        for (;;) {
            auto const event = faults_.wait_event(me_.current(), wait_mode::killable);
            if (!event) return;
            ++events_;
            auto const span = page_span::from(event->address.page_start(), page_count{1});
            (void)faults_.copy(me_, *span, page);
        }
    }

    faults_type& faults_;
    cpu_type me_;
    std::atomic<std::uint32_t> events_{0};
    std::thread thread_;
};

/// A userfaultfd of the model and, for the plain one, its pager.
struct fault_server {
    std::unique_ptr<faults_type> faults;
    std::unique_ptr<model_pager> pager;
};

class model_side {
public:
    explicit model_side(surroundings const& where) : where_{where}, buffer_(most_bytes) {}
    ~model_side() {
        for (auto& server : servers_) close(server);
        for (auto& server : closed_) server.pager.reset();
        mm_.exit(me_);
    }

    answer run(step const& one) {
        ++seed_;
        answer out;
        out.ran = true;
        auto const faults = me_.stats().faults;
        auto const events = events_so_far();
        digest_ = 0;
        if (one.what < op::map) {
            call(one, out);
        } else {
            out.value = layout(one);
        }
        out.faults = static_cast<std::uint32_t>(me_.stats().faults - faults);
        out.events = events_so_far() - events;
        out.bytes = digest_;
        look_around(out);
        return out;
    }

private:
    template<class T>
    static std::int64_t linux_value(result<T> const& got) {
        if (!got) return -to_errno(got.error());
        if constexpr (std::is_integral_v<T>) return static_cast<std::int64_t>(*got);
        return 0;
    }
    std::span<std::byte> room(step const& one) {
        return std::span{buffer_}.first(std::min<std::uint64_t>(one.bytes, most_bytes));
    }
    /// The bytes that a writing step writes.
    std::span<std::byte const> pattern(step const& one) {
        fill_pattern(room(one), seed_);
        return room(one);
    }
    std::span<std::byte> cleared(step const& one) {
        std::ranges::fill(room(one), std::byte{0});
        return room(one);
    }
    std::int64_t tell(std::int64_t value, std::span<std::byte const> read) {
        if (value < 0) return value;
        digest_ = digest(read.first(std::min(static_cast<std::size_t>(value), read.size())));
        return value;
    }

    void call(step const& one, answer& out) {
        virt_addr const at{one.at};
        user_range const range{at, one.bytes};
        std::array const ranges{range};
        switch (one.what) {
            case op::load: return touch(read_user(mm_, me_, at, cleared(one)), out, true);
            case op::store: return touch(write_user(mm_, me_, at, pattern(one)), out, false);
            case op::vm_read: {
                auto const to = cleared(one);
                out.value = tell(linux_value(process_vm_read(mm_, me_, ranges, to)), to);
                return;
            }
            case op::vm_write:
                out.value = linux_value(process_vm_write(mm_, me_, ranges, pattern(one)));
                return;
            case op::mem_read: {
                auto const to = cleared(one);
                out.value = tell(linux_value(proc_mem_read(mm_, me_, at, to)), to);
                return;
            }
            case op::mem_write:
                out.value = linux_value(proc_mem_write(mm_, me_, at, pattern(one)));
                return;
            case op::peek: out.value = peek(at); return;
            case op::poke: out.value = poke(at); return;
            default: out.value = more_calls(one, range); return;
        }
    }

    std::int64_t more_calls(step const& one, user_range range) {
        auto const at = range.start;
        switch (one.what) {
            case op::splice: return splice(one, range);
            case op::direct_read: return linux_value(direct_io_read(mm_, me_, at, pattern(one)));
            case op::direct_write: {
                auto const file = cleared(one);
                auto const value = linux_value(direct_io_write(mm_, me_, at, file));
                digest_ = digest(file);  // whatever the call says: the file may have been written
                return value;
            }
            case op::uring: return uring(range);
            case op::populate_read:
                return linux_value(madvise_populate(mm_, me_, range, mmhold::access::read));
            case op::populate_write:
                return linux_value(madvise_populate(mm_, me_, range, mmhold::access::write));
            case op::lock: return lock(range);
            case op::wake: return futex(at, mmhold::access::read);
            case op::wake_op: return wake_op(at);
            case op::wake_private: return wake_private(at);
            case op::policy: return policy(at);
            case op::copy_to: return copy_to(one);
            default: return copy_from(one);
        }
    }

    void touch(access_result const& got, answer& out, bool reads) {
        out.value = static_cast<std::int64_t>(got.bytes);
        if (reads) digest_ = digest(std::span{buffer_}.first(got.bytes));
        switch (got.why) {
            case trap::none: return;
            case trap::map_error: out.signal = SIGSEGV, out.code = 1; return;
            case trap::access_error: out.signal = SIGSEGV, out.code = 2; return;
            case trap::key_error: out.signal = SIGSEGV, out.code = 4; return;
            case trap::not_canonical: out.signal = SIGSEGV, out.code = 128; return;
            case trap::bus_error: out.signal = SIGBUS, out.code = 2; return;
            case trap::no_memory:
            case trap::interrupted: out.signal = SIGKILL; return;
        }
    }

    std::int64_t peek(virt_addr at) {
        std::array<std::byte, 8> word{};
        auto const got = ptrace_peek(mm_, me_, at, word);
        if (got) digest_ = digest(word);
        return linux_value(got);
    }
    std::int64_t poke(virt_addr at) {
        std::array<std::byte, 8> word{};
        fill_pattern(word, seed_);
        return linux_value(ptrace_poke(mm_, me_, at, word));
    }
    std::int64_t splice(step const& one, user_range range) {
        std::array<pfn, 16> slots{};
        auto const got = vmsplice(mm_, me_, range, slots);
        auto const pages = got ? detail::pages_touched(range.start, *got) : 0;
        auto const held = std::span{slots}.first(pages);
        auto const to = cleared(one);
        if (got) copy_from_pages(frames_, held, range.start.offset(), to.first(*got));
        put_pages(frames_, held);
        return tell(linux_value(got), to);
    }
    std::int64_t uring(user_range range) {
        std::vector<pfn> out(most_bytes / page_bytes + 1);
        auto const got = uring_register(mm_, me_, range, out);
        if (got) unpin(frames_, std::span<pfn const>{out}.first(*got));
        return got ? 0 : linux_value(got);
    }
    /// mlock rounds to whole pages, and its length may wrap to nothing.
    std::int64_t lock(user_range range) {
        auto const length = range.bytes + range.start.offset();
        auto const pages = (length + page_bytes - 1) / page_bytes;
        if (length + page_bytes - 1 < length || pages == 0) return 0;
        auto const span = page_span::from(range.start.page_start(), page_count{pages});
        if (!span) return -to_errno(errc::invalid_argument);
        auto const locked = linux_value(mlock_pages(mm_, me_, *span));
        for (std::uint64_t page = 0; page < arena_pages; ++page) {
            auto const one = *page_span::from(virt_addr{arena_page(page)}, page_count{1});
            if (span->overlaps(one)) (void)munlock_pages(mm_, me_, one);
        }
        return locked;
    }
    std::int64_t futex(virt_addr at, mmhold::access how) {
        return linux_value(result<void>{get_futex_key(mm_, me_, at, how).error()});
    }
    std::int64_t wake_op(virt_addr at) {
        if (auto const first = futex(at, mmhold::access::read); first != 0) return first;
        if (auto const second = futex(at, mmhold::access::write); second != 0) return second;
        return change_word(at);
    }
    std::int64_t wake_private(virt_addr at) {
        if (at.value % 4 != 0) return -to_errno(errc::invalid_argument);
        if (!in_user_space({at, 4}, mm_.limits().end)) return -to_errno(errc::bad_address);
        return change_word(at);
    }
    /// Sets the word to what it is: with page faults off first, then with a fault fixed up.
    std::int64_t change_word(virt_addr at) {
        for (;;) {
            auto const held = held_shared<config::lock>::acquire(mm_.lock());
            auto entry = mm_.table().lock_leaf(me_, at, 0, if_absent::fail);
            if (entry && entry->read().permits(mmhold::access::write, me_.key_rights())) {
                return entry->touch(mmhold::access::write), 0;
            }
            entry = errc::again;  // unlocks
            auto const fixed = fixup_user_fault(mm_, me_, held, at, mmhold::access::write);
            if (!fixed) return linux_value(fixed);
        }
    }
    std::int64_t policy(virt_addr at) {
        {
            auto const held = held_shared<config::lock>::acquire(mm_.lock());
            if (!mm_.find(at, held)) return -to_errno(errc::bad_address);
        }
        auto const page = look_at_page(mm_, me_, at);
        if (page) frames_.put(*page);
        return linux_value(result<void>{page.error()});
    }
    /// A pipe moves page after page; one that cannot be moved whole does not count.
    std::int64_t copy_to(step const& one) {
        if (!in_user_space({virt_addr{one.at}, one.bytes}, mm_.limits().end)) return -14;
        auto const got = write_user(mm_, me_, virt_addr{one.at}, pattern(one), access_by::kernel);
        return whole_buffers(got, one.bytes);
    }
    std::int64_t copy_from(step const& one) {
        if (!in_user_space({virt_addr{one.at}, one.bytes}, mm_.limits().end)) return -14;
        auto const to = cleared(one);
        auto const got = read_user(mm_, me_, virt_addr{one.at}, to, access_by::kernel);
        return tell(whole_buffers(got, one.bytes), to);
    }
    static std::int64_t whole_buffers(access_result const& got, std::uint64_t wanted) {
        if (got.bytes == wanted) return static_cast<std::int64_t>(wanted);
        auto const whole = got.bytes / page_bytes * page_bytes;
        return whole != 0 ? static_cast<std::int64_t>(whole) : -14;
    }

    std::int64_t layout(step const& one) {
        if (one.what == op::map) return map(one);
        if (one.what == op::close_faults) {
            close(server_of(one.of));
            return 0;
        }
        if (one.at % page_bytes != 0) return -22;
        if (one.bytes == 0) return one.what == op::unmap ? -22 : 0;
        auto const pages = one.bytes / page_bytes + (one.bytes % page_bytes != 0 ? 1 : 0);
        auto const span = page_span::from(virt_addr{one.at}, page_count{pages});
        if (!span) return one.what == op::protect ? -12 : -22;
        switch (one.what) {
            case op::unmap: return linux_value(mm_.munmap(me_, *span));
            case op::discard: return linux_value(mm_.dontneed(me_, *span));
            default: break;
        }
        auto const done = mm_.mprotect(me_, *span, rights(one.prot));
        return done.error() == errc::not_supported ? -EACCES : linux_value(done);
    }
    static protection rights(unsigned prot) {
        return protection::from_bits(static_cast<std::uint8_t>(prot & 7U));
    }
    std::int64_t map(step const& one) {
        mmap_request request{.hint = virt_addr{one.at},
                             .pages = page_count{one.bytes / page_bytes},
                             .prot = rights(one.prot),
                             .flags = mmap_flag::fixed};
        if (one.of == memory::shared || one.of == memory::secret) {
            request.flags = request.flags.with(mmap_flag::shared);
        }
        if (one.of == memory::secret) {
            // A file that nobody may execute.
            if (request.prot.has(protection_bit::execute)) return -EPERM;
            request.may = prot::rw;
            request.properties = {vma_flag::secret, vma_flag::locked, vma_flag::dont_expand};
        }
        if (one.of == memory::device) return map_device();
        auto const got = mm_.mmap(me_, request);
        if (!got) return linux_value(got);
        if (one.of == memory::faults || one.of == memory::faults_bus ||
            one.of == memory::faults_user) {
            auto const span = page_span::from(*got, request.pages);
            return linux_value(opened(one.of).register_range(me_, *span));
        }
        return 0;
    }
    /// Frame numbers without frames behind them; the first page is mapped from the start.
    std::int64_t map_device() {
        auto const pages = std::max<std::uint64_t>(where_.device_pages, 1);
        mmap_request const request{.hint = virt_addr{where_.device_at},
                                   .pages = page_count{pages},
                                   .prot = prot::r,
                                   .flags = mmap_flag::fixed,
                                   .kind = vma_kind::vvar,
                                   .may = prot::r,
                                   .properties = {vma_flag::io, vma_flag::pfnmap}};
        auto const got = mm_.mmap(me_, request);
        if (!got) return linux_value(got);
        auto leaf = page_entry::leaf_to(pfn{7}, prot::r);
        leaf.special = true;
        return linux_value(mm_.table().map(me_, *got, leaf, 0));
    }

    fault_server& server_of(memory of) {
        return servers_[static_cast<std::size_t>(of) - static_cast<std::size_t>(memory::faults)];
    }
    faults_type& opened(memory of) {
        auto& server = server_of(of);
        if (!server.faults) {
            userfault_features features{};
            features = features.with_if(of == memory::faults_bus, userfault_feature::sigbus);
            features =
                features.with_if(of == memory::faults_user, userfault_feature::user_mode_only);
            server.faults = std::make_unique<faults_type>(mm_, features);
            if (of != memory::faults_bus)
                server.pager = std::make_unique<model_pager>(mm_, *server.faults);
        }
        return *server.faults;
    }
    void close(fault_server& server) {
        if (!server.faults) return;
        (void)server.faults->close(me_);
        if (server.pager) events_ += server.pager->events();
        closed_.push_back(std::move(server));
        closed_.back().pager.reset();
        server = {};
    }
    std::uint32_t events_so_far() const {
        auto sum = events_;
        for (auto const& server : servers_) {
            if (server.pager) sum += server.pager->events();
        }
        return sum;
    }

    void look_around(answer& out) {
        auto sum = digest({});
        for (std::uint64_t i = 0; i < arena_pages; ++i) {
            auto const entry =
                mm_.table().lock_leaf(me_, virt_addr{arena_page(i)}, 0, if_absent::fail);
            if (!entry) continue;
            auto const leaf = entry->read();
            if (!leaf.is_leaf()) continue;
            out.present |= std::uint64_t{1} << i;
            auto const secret = frames_.contains(leaf.target) &&
                                frames_.attributes(leaf.target).has(frame_attribute::secret);
            if (!secret) sum = digest(frames_.bytes(leaf.target), sum);
        }
        out.contents = sum;
    }

    surroundings where_;
    frame_pool<machine> frames_{page_count{256}, frame_bytes::owned};
    config::tables tables_{page_count{64}};
    config::reclaimer domain_{};
    space_type mm_{frames_, tables_, domain_};
    cpu_type me_{domain_};
    std::array<fault_server, 3> servers_{};
    std::vector<fault_server> closed_{};
    std::vector<std::byte> buffer_;
    std::uint64_t seed_{0};
    std::uint64_t digest_{0};
    std::uint32_t events_{0};
};

}  // namespace

std::vector<answer> run_on_model(script const& steps, surroundings const& where) {
    model_side side{where};
    std::vector<answer> out;
    for (auto const& one : steps) out.push_back(side.run(one));
    return out;
}

}  // namespace parity
