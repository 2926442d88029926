// SPDX-License-Identifier: BSL-1.0
// Programs use hugetlb – two share a file, a parent and its child private pages from a pool that is too small – while
// the file is truncated, grown and punched. Behind the end nothing may be mapped, who holds a page keeps it, and the
// owner of a promise always gets his page. Frames have no bytes here: programs that store while others copy are a race
// of theirs.
#include "support/catch.hpp"
#include "support/stress.hpp"
#include <mmhold/callers/user_access.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/fork.hpp>
#include <mmhold/space/hugetlb_object.hpp>
#include <mmhold/space/pinned.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <thread>

using namespace mmhold;

namespace {

using machine = checked_host_machine;
using config = default_config<machine>;
using space_type = address_space<config>;
using object_type = hugetlb_object<space_type>;

constexpr std::uint64_t leaves = 3;
constexpr virt_addr base{std::uint64_t{1} << 33U};

struct arena {
    frame_pool<machine> frames;
    config::tables tables{page_count{64}};
    config::reclaimer domain{};
    hugetlb_pool<machine> pool;
    object_type file;
    space_type one{frames, tables, domain};
    space_type two{frames, tables, domain};
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> stored{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> freed{0};

    arena(std::uint64_t folios, hugetlb_reserve how)
        : frames{page_count{folios * hugetlb_pages}}, pool{frames, folios}, file{pool, leaves, how} {}
    ~arena() {
        cpu<config::reclaimer> me{domain};
        one.exit(me);
        two.exit(me);
        CHECK(file.unmapped());
        CHECK(file.resize(me, 0).has_value());
        CHECK(pool.statistics().free == pool.statistics().total);
    }
    bool map(space_type& space, mmap_flags how) {
        cpu<config::reclaimer> me{domain};
        mmap_request request{.hint = base, .pages = page_count{leaves * hugetlb_pages}};
        request.flags = how.with(mmap_flag::fixed);
        return map_hugetlb(me, space, file, request).has_value();
    }
};

struct actor {
    arena& in;
    space_type& space;
    cpu<config::reclaimer> me{in.domain};
    std::minstd_rand dice;

    actor(arena& where, space_type& of, unsigned seed) : in{where}, space{of}, dice{seed} {}
    std::uint64_t roll(std::uint64_t below) { return dice() % below; }
    virt_addr somewhere() { return base.plus_pages(roll(leaves * hugetlb_pages)); }

    bool store(virt_addr at) {
        std::array const byte{std::byte{1}};
        auto const done = write_user(space, me, at, byte).why == trap::none;
        ++(done ? in.stored : in.refused);
        return done;
    }
    void discard() {
        auto const leaf = base.plus_pages(roll(leaves) * hugetlb_pages);
        (void)space.dontneed(me, *page_span::from(leaf, page_count{hugetlb_pages}));
    }
    void pin() {
        std::array<pfn, 1> out{};
        auto const span = *page_span::from(somewhere(), page_count{1});
        auto const got = pin_fast(space, me, span, gup_flag::write, out);
        pinned const held{in.frames, std::span{out}.first(got.pages), holding::pin};
        if (got.pages == 0) return;
        auto const life = in.frames.generation(out[0]);
        std::this_thread::yield();
        if (in.frames.generation(out[0]) != life) ++in.freed;
    }
    void use() {
        while (!in.stop) {
            (void)store(somewhere());
            if (roll(4) == 0) pin();
            if (roll(8) == 0) discard();
        }
    }
    /// Changes the size, punches; answers how often something was mapped behind the end.
    std::uint64_t meddle() {
        std::uint64_t wrong = 0;
        while (!in.stop) {
            auto const size = roll(leaves + 1);
            (void)in.file.resize(me, size * hugetlb_bytes);
            for (auto* of : {&in.one, &in.two}) wrong += mapped_behind(*of, size);
            (void)in.file.resize(me, leaves * hugetlb_bytes);
            (void)in.file.punch(me, roll(leaves) * hugetlb_bytes, hugetlb_bytes);
            std::this_thread::yield();
        }
        return wrong;
    }
    std::uint64_t mapped_behind(space_type& of, std::uint64_t size) {
        std::uint64_t found = 0;
        auto const behind = *page_span::from(base.plus_pages(size * hugetlb_pages),
                                             page_count{(leaves - size) * hugetlb_pages});
        (void)of.table().visit(me, behind, [&](virt_addr, page_entry const&, unsigned) { ++found; });
        return found;
    }
};

}  // namespace

TEST_CASE("a file of hugetlb under everything at once: nothing behind its end, nothing lost") {
    arena where{2 * leaves, hugetlb_reserve::all};
    REQUIRE(where.map(where.one, mmap_flag::shared));
    REQUIRE(where.map(where.two, {}));
    actor shares{where, where.one, 1}, has_its_own{where, where.two, 2}, meddler{where, where.one, 3};
    std::uint64_t wrong = 0;
    std::thread first{[&] { shares.use(); }};
    std::thread second{[&] { has_its_own.use(); }};
    std::thread third{[&] { wrong = meddler.meddle(); }};
    std::this_thread::sleep_for(mmhold_test::stress_time());
    where.stop = true;
    for (auto* thread : {&first, &second, &third}) thread->join();
    CHECK(where.stored > 0);
    CHECK(where.freed == 0);
    CHECK(wrong == 0);
}

TEST_CASE("the owner of hugetlb always gets its page, whatever its child does meanwhile") {
    arena where{leaves, hugetlb_reserve::all};
    REQUIRE(where.map(where.one, {}));
    actor owner{where, where.one, 1};
    std::uint64_t failures = 0;
    std::uint64_t rounds = 0;
    auto const stop_at = std::chrono::steady_clock::now() + mmhold_test::stress_time();
    while (std::chrono::steady_clock::now() < stop_at) {
        for (std::uint64_t leaf = 0; leaf < leaves; ++leaf) {
            failures += owner.store(base.plus_pages(leaf * hugetlb_pages)) ? 0 : 1;
        }
        REQUIRE(fork(owner.me, where.one, where.two).has_value());
        where.stop = false;
        std::thread child{[&] {
            actor heir{where, where.two, static_cast<unsigned>(rounds) + 1};
            while (!where.stop) {
                (void)heir.store(heir.somewhere());
                heir.discard();
            }
        }};
        for (std::uint64_t leaf = leaves; leaf-- > 0;) {
            failures += owner.store(base.plus_pages(leaf * hugetlb_pages)) ? 0 : 1;
        }
        where.stop = true;
        child.join();
        auto const held = held_exclusive<config::lock>::acquire(where.two.lock());
        where.two.unmap_all_locked(held, owner.me);
        ++rounds;
    }
    CHECK(rounds > 0);
    CHECK(failures == 0);
}
