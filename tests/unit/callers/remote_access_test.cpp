// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/remote_access.hpp>
#include <mmhold/callers/user_access.hpp>
#include <mmhold/fault/special.hpp>
#include <mmhold/gup/faultin.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("proc_mem: FORCE reads what has no rights and writes private read-only memory",
          "[callers]") {
    world host;
    std::array<std::byte, 8> to{};
    CHECK(proc_mem_read(host.mm, host.me, world::page(4), to).value_or(0) == 8);
    CHECK(proc_mem_write(host.mm, host.me, world::page(3), filled<8>('x')).value_or(0) == 8);
    CHECK(host.first_byte(3) == 'x');
    CHECK_FALSE(host.entry(3).writable);  // later stores of the owner still fault
    CHECK(proc_mem_write(host.mm, host.me, world::page(4), filled<8>('y')).value_or(0) == 8);
    CHECK(proc_mem_write(host.mm, host.me, world::page(6), filled<8>('y')).error() == errc::io);
    CHECK(host.nothing_held());
}

TEST_CASE("proc_mem: short counts, io when there is nothing, overflow when the range wraps",
          "[callers]") {
    world host;
    std::vector<std::byte> to(3 * page_size);
    CHECK(proc_mem_read(host.mm, host.me, world::page(0).plus(50), to).value_or(0) ==
          2 * page_size - 50);
    CHECK(count_of(to, 'a') == page_size - 50);
    CHECK(proc_mem_read(host.mm, host.me, world::page(2), to).error() == errc::io);
    CHECK(proc_mem_read(host.mm, host.me, world::page(2), std::span<std::byte>{}).value_or(1) == 0);
    CHECK(proc_mem_read(host.mm, host.me, {~std::uint64_t{0} - 10}, to).error() == errc::overflow);
}

TEST_CASE("ptrace: a word or io, a poke into a bad page leaves the part before it", "[callers]") {
    world host;
    std::array<std::byte, 8> word{};
    CHECK(ptrace_peek(host.mm, host.me, world::page(0).plus(page_size - 4), word));
    CHECK(count_of(word, 'a') == 4);
    CHECK(count_of(word, 'b') == 4);
    CHECK(ptrace_peek(host.mm, host.me, world::page(1).plus(page_size - 4), word).error() ==
          errc::io);
    CHECK(ptrace_poke(host.mm, host.me, world::page(3), filled<8>('p')));
    CHECK(host.first_byte(3) == 'p');
    auto const end = world::page(1).plus(page_size - 4);
    CHECK(ptrace_poke(host.mm, host.me, end, filled<8>('q')).error() == errc::io);
    auto const page = host.frames.bytes(host.entry(1).target);
    CHECK(count_of(page, 'q') == 4);
    CHECK(host.nothing_held());
}

TEST_CASE("remote_access: neither keys of the caller matter, nor may a userfault make it wait",
          "[callers]") {
    world host;
    REQUIRE(host.mm.mprotect(host.me, world::span(0, 2), prot::rw, std::uint8_t{3}));
    host.me.set_key_rights(protection_key_rights{}.with(3, 1));
    std::array<std::byte, 8> word{};
    CHECK(ptrace_peek(host.mm, host.me, world::page(0), word));
    userfault faults{host.mm};
    REQUIRE(faults.register_range(host.me, world::span(5, 1)));
    CHECK(proc_mem_read(host.mm, host.me, world::page(5), word).error() == errc::io);
    CHECK(faults.counts().tickets == 0);
    REQUIRE(faults.close(host.me));
}

namespace {

/// Eight bytes of registers at the start of a page, which gup cannot get at.
struct toy_registers final : special_source<world::space_type> {
    std::array<std::byte, 8> values{};
    explicit toy_registers(world::space_type& in)
        : special_source{in, special_numbers<world::space_type>::device_traits} {}
    result<special_page> page_behind(std::uint64_t) override { return errc::bad_address; }
    std::uint64_t read_remotely(vma const&, virt_addr at, std::span<std::byte> to) override {
        if (at.offset() >= values.size()) return 0;
        auto const left = std::span{values}.subspan(at.offset());
        std::ranges::copy(left.first(std::min(left.size(), to.size())), to.begin());
        return left.size();
    }
    std::uint64_t write_remotely(vma const&, virt_addr at,
                                 std::span<std::byte const> from) override {
        if (at.offset() + from.size() > values.size()) return 0;
        std::ranges::copy(from, values.begin() + at.offset());
        return from.size();
    }
};

std::array<user_range, 1> one(virt_addr at, std::uint64_t bytes) { return {{{at, bytes}}}; }

}  // namespace

TEST_CASE("a driver's own access method is asked where gup gets no page", "[callers][special]") {
    world host;
    toy_registers registers{host.mm};
    auto request = registers.request(0, page_count{1}, prot::rw, mmap_flag::shared);
    request.hint = world::page(10);
    REQUIRE(host.map(request));
    auto const at = world::page(10);
    CHECK(ptrace_poke(host.mm, host.me, at, filled<8>('r')).has_value());
    std::array<std::byte, 8> to{};
    CHECK(ptrace_peek(host.mm, host.me, at, to).has_value());
    CHECK(count_of(to, 'r') == 8);
    std::array<std::byte, 20> more{};
    CHECK(proc_mem_read(host.mm, host.me, at.plus(4), more).value_or(0) == 4);
    CHECK(proc_mem_write(host.mm, host.me, at.plus(4), filled<8>('s')).error() == errc::io);
    CHECK(process_vm_read(host.mm, host.me, one(at, 8), to).error() == errc::bad_address);
}

TEST_CASE("4.6: the gate page of vsyscall=emulate is read by gup, but never written",
          "[callers][special]") {
    world host;
    auto const gate = virt_addr{0xffffffffff600000};
    std::array<std::byte, 4> to{};
    CHECK(read_user(host.mm, host.me, gate, to).why == trap::map_error);
    CHECK(process_vm_read(host.mm, host.me, one(gate, 4), to).error() == errc::bad_address);
    auto const page = *host.frames.allocate(frame_kind::other);
    std::ranges::fill(host.frames.bytes(page), std::byte{'g'});
    host.mm.use_gate_page(gate, page);
    CHECK(read_user(host.mm, host.me, gate, to).bytes == 4);
    CHECK(count_of(to, 'g') == 4);
    CHECK(read_user(host.mm, host.me, gate, to, access_by::kernel).why == trap::map_error);
    CHECK(write_user(host.mm, host.me, gate, to).why == trap::map_error);
    CHECK(process_vm_read(host.mm, host.me, one(gate, 4), to).value_or(0) == 4);
    CHECK(process_vm_write(host.mm, host.me, one(gate, 4), to).error() == errc::bad_address);
    CHECK(proc_mem_read(host.mm, host.me, gate, to).error() == errc::io);
    auto const span = *page_span::from(gate, page_count{1});
    CHECK(gup_faultin(host.mm, host.me, span, access::read).error == errc::no_memory);
    CHECK(host.frames.ref_count(page) == 1);
    host.frames.put(page);
}
