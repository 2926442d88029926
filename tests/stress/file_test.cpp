// SPDX-License-Identifier: BSL-1.0
// Two processes store to one file and pin its pages, while it is truncated, punched, written back, read in and
// unmapped. A page that is held and nevertheless freed has a new generation; TSan and ASan watch the rest. Frames
// have no bytes here: programs that store while others copy are a race of theirs.
#include "support/catch.hpp"
#include "support/stress.hpp"
#include <mmhold/callers/user_access.hpp>
#include <mmhold/fault/file_object.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/object_bytes.hpp>
#include <mmhold/space/pinned.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <thread>
#include <vector>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using config = default_config<machine>;
using space_type = address_space<config>;

constexpr std::uint64_t file_pages = 24;
constexpr virt_addr base{std::uint64_t{1} << 33U};

struct arena {
    frame_pool<machine> frames{page_count{256}};
    config::tables tables{page_count{64}};
    config::reclaimer domain{};
    space_type one{frames, tables, domain};
    space_type two{frames, tables, domain};
    file_object<space_type> file{frames, file_pages* page_size};
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> stored{0};
    std::atomic<std::uint64_t> pinned_pages{0};
    std::atomic<std::uint64_t> written_back{0};
    std::atomic<std::uint64_t> freed{0};

    arena() {
        cpu<config::reclaimer> me{domain};
        map(one, me, mmap_flag::shared);
        map(two, me, {});
    }
    void map(space_type& space, cpu<config::reclaimer>& me, mmap_flags how) {
        auto request = file.request(0, page_count{file_pages}, prot::rw, how);
        request.hint = base;
        request.flags = request.flags.with(mmap_flag::fixed);
        (void)space.mmap(me, request);
    }
};

struct actor {
    arena& in;
    space_type& space;
    cpu<config::reclaimer> me{in.domain};
    std::minstd_rand dice;

    actor(arena& where, space_type& of, unsigned seed) : in{where}, space{of}, dice{seed} {}
    std::uint64_t roll(std::uint64_t below) { return dice() % below; }
    page_span somewhere(std::uint64_t most) {
        auto const first = roll(file_pages);
        return *page_span::from(base.plus_pages(first), page_count{1 + roll(std::min(most, file_pages - first))});
    }

    /// Stores, loads, pins: what a program does.
    void use() {
        while (!in.stop) {
            auto const byte = std::array{std::byte(1 + roll(100))};
            auto const at = somewhere(1).start().plus(roll(page_size));
            if (roll(3) != 0) {
                in.stored += write_user(space, me, at, byte).bytes;
            } else {
                pin(somewhere(4));
            }
            if (roll(50) == 0) (void)space.dontneed(me, somewhere(4));
        }
    }
    void pin(page_span span) {
        std::array<pfn, 4> out{};
        auto const got = pin_fast(space, me, span, roll(2) == 0 ? gup_flags{gup_flag::write} : gup_flags{}, out);
        pinned const held{in.frames, std::span{out}.first(got.pages), holding::pin};
        std::array<std::uint32_t, 4> lives{};
        for (std::size_t n = 0; n < got.pages; ++n) lives[n] = in.frames.generation(out[n]);
        std::this_thread::yield();
        for (std::size_t n = 0; n < got.pages; ++n) {
            if (in.frames.generation(out[n]) != lives[n]) ++in.freed;
        }
        in.pinned_pages += got.pages;
    }
    /// Truncates, punches, writes back, writes, unmaps: what others do to the file.
    void meddle() {
        std::vector<std::byte> const bytes(2 * page_size, std::byte{77});
        while (!in.stop) {
            switch (roll(6)) {
                case 0: (void)in.file.resize(me, roll(file_pages + 1) * page_size + roll(2) * 100); break;
                case 1: (void)in.file.punch(me, {roll(file_pages), file_pages}); break;
                case 2:
                    in.written_back +=
                        in.file.write_back(me, [](std::uint64_t, std::span<std::byte const>) {}).value_or(0);
                    break;
                case 3: (void)write_object(in.file, roll(file_pages - 2) * page_size, bytes); break;
                case 4: (void)in.file.resize(me, file_pages * page_size); break;
                default:
                    (void)space.munmap(me, somewhere(3));
                    in.map(space, me, mmap_flag::shared);
            }
            std::this_thread::yield();
        }
    }
    void serve() {
        while (!in.stop) {
            if (auto const read = in.file.try_next_read()) {
                (void)in.file.complete(*read, [](std::uint64_t, auto) {});
            } else {
                std::this_thread::yield();
            }
        }
        in.file.close();
    }
};

}  // namespace

TEST_CASE("a file under everything at once: nothing that is held is freed, nothing is lost") {
    arena where;
    {
        actor program{where, where.one, 1}, child{where, where.two, 2}, meddler{where, where.one, 3},
            disk{where, where.one, 4};
        std::thread first{[&] { program.use(); }};
        std::thread second{[&] { child.use(); }};
        std::thread third{[&] { meddler.meddle(); }};
        std::thread fourth{[&] { disk.serve(); }};
        std::this_thread::sleep_for(mmhold_test::stress_time());
        where.stop = true;
        for (auto* thread : {&first, &second, &third, &fourth}) thread->join();
    }
    cpu<config::reclaimer> me{where.domain};
    CHECK(where.stored > 0);
    CHECK(where.pinned_pages > 0);
    CHECK(where.freed == 0);
    where.one.exit(me);
    where.two.exit(me);
    CHECK(where.file.unmapped());
    REQUIRE(where.file.resize(me, 0));
    CHECK(where.frames.statistics().free == 256);
}
