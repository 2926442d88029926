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
#include <mmhold/callers/vmsplice.hpp>
#include <mmhold/gup/unpin.hpp>

#include "model_process.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>

namespace parity {

answer model_process::run(step const& one) {
    auto out = run_without_a_look(one);
    look_around(out);
    return out;
}

answer model_process::run_without_a_look(step const& one) {
    ++seed_;
    answer out;
    out.ran = true;
    auto const faults = me_.stats().faults;
    auto const events = events_so_far();
    auto const pins = frames_.statistics();
    digest_ = 0;
    if (one.what < op::map) {
        call(one, out);
    } else {
        out.value = layout(one);
    }
    out.faults = static_cast<std::uint32_t>(me_.stats().faults - faults);
    out.events = events_so_far() - events;
    auto const after = frames_.statistics();
    out.pinned = static_cast<std::uint32_t>(after.pins_acquired - pins.pins_acquired);
    out.unpinned = static_cast<std::uint32_t>(after.pins_released - pins.pins_released);
    out.bytes = digest_;
    return out;
}

std::span<std::byte> model_process::room(step const& one) {
    return std::span{buffer_}.first(std::min<std::uint64_t>(one.bytes, most_bytes));
}
/// The bytes that a writing step writes.
std::span<std::byte const> model_process::pattern(step const& one) {
    fill_pattern(room(one), seed_);
    return room(one);
}
std::span<std::byte> model_process::cleared(step const& one) {
    std::ranges::fill(room(one), std::byte{0});
    return room(one);
}
std::int64_t model_process::tell(std::int64_t value, std::span<std::byte const> read) {
    if (value < 0) return value;
    digest_ = digest(read.first(std::min(static_cast<std::size_t>(value), read.size())));
    return value;
}

void model_process::call(step const& one, answer& out) {
    virt_addr const at{one.at};
    user_range const range{at, one.bytes};
    std::array const ranges{range};
    switch (one.what) {
        case op::load: return touch(read_user(mm_, me_, at, cleared(one)), out, true);
        case op::store: return touch(write_user(mm_, me_, at, pattern(one)), out, false);
        case op::vm_read: {
            auto to = cleared(one);
            auto from = range;
            if (where_.bug == planted_bug::short_read && one.bytes > page_bytes) {
                from.bytes -= page_bytes;
                to = to.first(to.size() - std::min<std::size_t>(page_bytes, to.size()));
            }
            std::array const whole{from};
            out.value = tell(linux_value(process_vm_read(mm_, me_, whole, to)), to);
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

std::int64_t model_process::more_calls(step const& one, user_range range) {
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
            return linux_value(madvise_populate(mm_, me_, range,
                                                where_.bug == planted_bug::weak_populate
                                                    ? mmhold::access::read
                                                    : mmhold::access::write));
        case op::lock: return lock(range);
        case op::wake: return futex(at, mmhold::access::read);
        case op::wake_op: return wake_op(at);
        case op::wake_private: return wake_private(at);
        case op::policy: return policy(at);
        case op::copy_to: return copy_to(one);
        default: return copy_from(one);
    }
}

void model_process::touch(access_result const& got, answer& out, bool reads) {
    out.value = static_cast<std::int64_t>(got.bytes);
    if (reads) digest_ = digest(std::span{buffer_}.first(got.bytes));
    switch (got.why) {
        case trap::none: return;
        case trap::map_error: out.signal = SIGSEGV, out.code = 1; return;
        case trap::access_error: out.signal = SIGSEGV, out.code = 2; return;
        case trap::key_error: out.signal = SIGSEGV, out.code = 4; return;
        case trap::not_canonical: out.signal = SIGSEGV, out.code = 128; return;
        case trap::memory_error:  // as a kernel without MEMORY_FAILURE
        case trap::bus_error: out.signal = SIGBUS, out.code = 2; return;
        case trap::no_memory:
        case trap::interrupted: out.signal = SIGKILL; return;
    }
}

std::int64_t model_process::peek(virt_addr at) {
    std::array<std::byte, 8> word{};
    auto const got = ptrace_peek(mm_, me_, at, word);
    if (got) digest_ = digest(word);
    return linux_value(got);
}
std::int64_t model_process::poke(virt_addr at) {
    std::array<std::byte, 8> word{};
    fill_pattern(word, seed_);
    return linux_value(ptrace_poke(mm_, me_, at, word));
}
std::int64_t model_process::splice(step const& one, user_range range) {
    std::array<pfn, 16> slots{};
    auto const got = vmsplice(mm_, me_, range, slots);
    auto const pages = got ? detail::pages_touched(range.start, *got) : 0;
    auto const held = std::span{slots}.first(pages);
    auto const to = cleared(one);
    if (got) copy_from_pages(frames_, held, range.start.offset(), to.first(*got));
    put_pages(frames_, held);
    return tell(linux_value(got), to);
}
std::int64_t model_process::uring(user_range range) {
    std::vector<pfn> out(most_bytes / page_bytes + 1);
    auto const got = uring_register(mm_, me_, range, out);
    if (got) unpin(frames_, std::span<pfn const>{out}.first(*got));
    return got ? 0 : linux_value(got);
}
/// mlock rounds to whole pages, and its length may wrap to nothing.
std::int64_t model_process::lock(user_range range) {
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
    for (auto at = std::max(span->start().value, large_arena_start);
         at < std::min(span->end().value, large_arena_end); at += page_bytes) {
        (void)munlock_pages(mm_, me_, *page_span::from(virt_addr{at}, page_count{1}));
    }
    return locked;
}
std::int64_t model_process::futex(virt_addr at, mmhold::access how) {
    return linux_value(result<void>{get_futex_key(mm_, me_, at, how).error()});
}
std::int64_t model_process::wake_op(virt_addr at) {
    if (auto const first = futex(at, mmhold::access::read); first != 0) return first;
    if (auto const second = futex(at, mmhold::access::write); second != 0) return second;
    return change_word(at);
}
std::int64_t model_process::wake_private(virt_addr at) {
    if (at.value % 4 != 0) return -to_errno(errc::invalid_argument);
    if (!in_user_space({at, 4}, mm_.limits().end)) return -to_errno(errc::bad_address);
    return change_word(at);
}
/// Sets the word to what it is: with page faults off first, then with a fault fixed up.
std::int64_t model_process::change_word(virt_addr at) {
    for (;;) {
        auto const held = held_shared<config::lock>::acquire(mm_.lock());
        auto entry = mm_.table().lock_leaf(me_, at, 0, if_absent::fail);
        if (!entry && entry.error() == errc::exists) {
            entry = mm_.table().lock_leaf(me_, at, 1, if_absent::fail);
        }
        if (entry && entry->read().permits(mmhold::access::write, me_.key_rights())) {
            return entry->touch(mmhold::access::write), 0;
        }
        entry = errc::again;  // unlocks
        auto const fixed = fixup_user_fault(mm_, me_, held, at, mmhold::access::write);
        if (!fixed) return linux_value(fixed);
    }
}
std::int64_t model_process::policy(virt_addr at) {
    {
        auto const held = held_shared<config::lock>::acquire(mm_.lock());
        if (!mm_.find(at, held)) return -to_errno(errc::bad_address);
    }
    auto const page = look_at_page(mm_, me_, at);
    if (page) frames_.put(*page);
    return linux_value(result<void>{page.error()});
}
/// A pipe moves page after page; one that cannot be moved whole does not count.
std::int64_t model_process::copy_to(step const& one) {
    if (!in_user_space({virt_addr{one.at}, one.bytes}, mm_.limits().end)) return -14;
    auto const got = write_user(mm_, me_, virt_addr{one.at}, pattern(one), access_by::kernel);
    return whole_buffers(got, one.bytes);
}
std::int64_t model_process::copy_from(step const& one) {
    if (!in_user_space({virt_addr{one.at}, one.bytes}, mm_.limits().end)) return -14;
    auto const to = cleared(one);
    auto const got = read_user(mm_, me_, virt_addr{one.at}, to, access_by::kernel);
    return tell(whole_buffers(got, one.bytes), to);
}
std::int64_t model_process::whole_buffers(access_result const& got, std::uint64_t wanted) {
    if (got.bytes == wanted) return static_cast<std::int64_t>(wanted);
    auto const whole = got.bytes / page_bytes * page_bytes;
    return whole != 0 ? static_cast<std::int64_t>(whole) : -14;
}

void model_process::look_around(answer& out) {
    auto sum = digest({});
    for (std::uint64_t i = 0; i < arena_pages; ++i) {
        virt_addr const at{arena_page(i)};
        auto entry = mm_.table().lock_leaf(me_, at, 0, if_absent::fail);
        auto const large = !entry && entry.error() == errc::exists;
        if (large) entry = mm_.table().lock_leaf(me_, at, 1, if_absent::fail);  // it has moved here
        if (!entry) continue;
        auto leaf = entry->read();
        if (large) leaf.target = leaf.target.plus(at.value / page_bytes % 512);
        // Of device memory pagemap does not speak.
        if (!leaf.is_leaf() || (leaf.special && !frames_.is_zero(leaf.target))) continue;
        out.present |= std::uint64_t{1} << i;
        auto const secret = frames_.contains(leaf.target) &&
                            frames_.attributes(leaf.target).has(frame_attribute::secret);
        if (!secret) sum = digest(frames_.bytes(leaf.target), sum);
    }
    out.contents = sum;
    if (large_in_use_) look_at_large(out);
}

/// Every small page that is mapped, be it by a leaf of its own or as a part of a large one.
void model_process::look_at_large(answer& out) {
    using format = config::format;
    auto sum = digest({});
    auto const all = *page_span::from(virt_addr{large_arena_start}, page_count{large_arena_pages});
    (void)mm_.table().visit(me_, all, [&](virt_addr at, page_entry const& entry, unsigned level) {
        if (!entry.is_leaf()) return;
        auto const first = (at.value - large_arena_start) / page_bytes;
        for (std::uint64_t i = 0; i < format::leaf_pages(level); ++i) {
            ++out.large;
            auto const page = entry.target.plus(i);
            sum = digest_of_page(frames_.bytes(page), first + i, sum);
        }
    });
    out.large_contents = sum;
}

std::vector<answer> run_on_model(script const& steps, surroundings const& where) {
    model_world world{where, steps};
    std::vector<answer> out;
    {
        model_process process{world, where};
        for (auto const& one : steps) out.push_back(process.run(one));
    }
    if (!out.empty()) out.back().lost = world.lost();
    return out;
}

}  // namespace parity
