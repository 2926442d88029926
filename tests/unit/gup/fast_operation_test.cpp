// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"

#include <mmhold/gup/fast_operation.hpp>
#include <mmhold/walk/lockless_walker.hpp>

#include <array>

using namespace mmhold;
using small = mmhold_test::small_space<>;
using stepper = lockless_walker<small::space_type>;

namespace {

gup_call call(std::uint64_t pages, std::span<pfn> out, holding how = holding::pin) {
    return {small::span(0, pages), gup_flag::write, how, out, lock_entry::own};
}

}  // namespace

TEST_CASE("the lockless half, driven by an event loop: one entry per tick", "[gup][fast]") {
    small host;
    REQUIRE(host.map(4));
    for (std::uint64_t page = 0; page < 3; ++page) host.fill(page);
    std::array<pfn, 4> out{};
    stepper w{host.mm};
    fast_operation op{w, call(4, out)};
    int ticks = 0;
    {
        irq_section inside{host.me};
        op.start(inside);
        while (op.need().what == gup_need::kind::read_entry) {
            ++ticks;
            op.deliver(w.read(op.need().entry), inside);
        }
    }
    CHECK(op.finish() == 3);
    // Down to the first table: 3 entries, each read again; then leaf, parent, leaf for each page; the hole once.
    CHECK(ticks == 6 + 3 * 3 + 1);
    for (std::uint64_t page = 0; page < 3; ++page) {
        CHECK(out[page] == host.entry(page).target);
        host.frames.unpin(out[page]);
    }
}

TEST_CASE("5.1 item 11: a fork that begins during the walk undoes all pins", "[gup][fast]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0);
    host.fill(1);
    std::array<pfn, 2> out{};
    stepper w{host.mm};
    fast_operation op{w, call(2, out)};
    {
        irq_section inside{host.me};
        op.start(inside);
        for (int ticks = 0; op.need().what == gup_need::kind::read_entry; ++ticks) {
            if (ticks == 10) host.mm.write_protect_seq().begin_write();
            op.deliver(w.read(op.need().entry), inside);
        }
    }
    CHECK(host.frames.pin_count(frame) == 1);
    CHECK(op.finish() == 0);
    CHECK(host.frames.pin_count(frame) == 0);
    host.mm.write_protect_seq().end_write();
}

TEST_CASE("check_fast_call: what is refused before anything is walked", "[gup][fast][bad-input]") {
    std::array<pfn, 2> out{};
    auto const end = task_size_max(48);
    CHECK(check_fast_call(call(2, out), end) == errc::ok);
    CHECK(check_fast_call(call(0, out), end) == errc::invalid_argument);
    CHECK(check_fast_call(call(3, out), end) == errc::invalid_argument);
    CHECK(check_fast_call(call(1, out, holding::none), end) == errc::invalid_argument);
    CHECK(check_fast_call(call(2, out), small::page(1)) == errc::bad_address);
}

TEST_CASE("5.1 item 13: the two halves together", "[gup][fast]") {
    auto const sum = [](std::uint64_t fast, gup_result slow) { return combine_fast_and_slow(fast, slow); };
    gup_result const failed{0, gup_stop::error, errc::bad_address, lock_fate::never_held};
    CHECK(to_linux(sum(2, failed)) == 2);
    CHECK(sum(2, failed).error == errc::bad_address);
    CHECK(to_linux(sum(0, failed)) == -14);
    CHECK(to_linux(sum(2, {3, gup_stop::complete, errc::ok, lock_fate::never_held})) == 5);
}
