// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/dispatch.hpp>
#include <mmhold/laws/fault_handler.hpp>
#include <mmhold/lock/null_lock.hpp>

#include "unit/fault/file_world.hpp"
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

using namespace mmhold_test;
using mm::fault_kind;
using mm::fault_request;

namespace {

/// Looks at the world's page tables; what is queued is told by whoever knows.
struct world_probe {
    fault_world& world;
    std::function<std::uint64_t()> pending = [] { return std::uint64_t{0}; };

    mm::page_entry entry(fault_request const& request) {
        mm::page_entry found{};
        auto const one = mm::page_span::from(request.at.page_start(), mm::page_count{1});
        if (!one) return found;
        auto const see = [&](mm::virt_addr, mm::page_entry const& e, unsigned) { found = e; };
        (void)world.space.table().visit(world.me, *one, see);
        return found;
    }
    bool permitted(fault_request const& request) {
        auto const leaf = entry(request);
        auto const wanted = mm::wanted_access(request.flags);
        if (request.flags.has(mm::fault_flag::unshare)) {
            return leaf.is_leaf() && (leaf.writable || world.frames.exclusive(leaf.target));
        }
        return leaf.permits(wanted, world.me.key_rights());
    }
    std::uint64_t queued() { return pending(); }
};

std::vector<fault_request> requests_for(fault_world& world) {
    std::vector<fault_request> all;
    for (std::uint64_t n = 0; n < 6; ++n) {
        for (auto const how : {flags::read, flags::write, flags::unshare}) {
            all.push_back({world.page(n).plus(8 * n), how});
        }
    }
    all.push_back({mm::virt_addr{0}, flags::read});
    all.push_back({mm::virt_addr{~std::uint64_t{0}}, flags::write});
    all.push_back({world.page(0), flags::write | flags::unshare});
    return all;
}

void must_hold(mm::law_report verdict) {
    INFO(verdict.law << ": " << (verdict.failure == nullptr ? "holds" : verdict.failure));
    CHECK(verdict.holds());
}

}  // namespace

TEST_CASE("anonymous obeys the laws of FaultHandler", "[laws][fault]") {
    fault_world world;
    world.map(0, 2);
    world.map(2, 1, mm::prot::rw, mm::mmap_flag::shared);
    mm::anonymous<fault_space> memory{world.space};
    world_probe probe{world};
    must_hold(
        mm::fault_handler_laws(memory, world.space.lock(), world.me, requests_for(world), probe));
}

TEST_CASE("anonymous obeys the laws when memory is exhausted", "[laws][fault][no-memory]") {
    fault_world world{1, 4};
    world.map(0, 6);
    mm::anonymous<fault_space> memory{world.space};
    world_probe probe{world};
    must_hold(
        mm::fault_handler_laws(memory, world.space.lock(), world.me, requests_for(world), probe));
}

TEST_CASE("userfault obeys the laws of FaultHandler", "[laws][fault]") {
    for (auto const features :
         {mm::userfault_features{}, mm::userfault_features{mm::userfault_feature::sigbus},
          mm::userfault_features{mm::userfault_feature::exact_address}}) {
        fault_world world;
        world.map(0, 4);
        mm::userfault<fault_space> pager{world.space, features};
        REQUIRE(pager.register_range(world.me, world.span(0, 3)).has_value());
        REQUIRE(pager.zeropage(world.me, world.span(1, 1)).complete());
        world_probe probe{world, [&] { return pager.counts().raised; }};
        must_hold(mm::fault_handler_laws(pager, world.space.lock(), world.me, requests_for(world),
                                         probe));
        pager.stop();
        must_hold(mm::fault_handler_laws(pager, world.space.lock(), world.me, requests_for(world),
                                         probe));
        REQUIRE(pager.close(world.me).has_value());
    }
}

TEST_CASE("blocking obeys the laws of FaultHandler", "[laws][fault][threads]") {
    fault_world world;
    mm::page_source<fault_space> disk{world.space};
    world.map(0, 4, mm::prot::rw, {}, &disk);
    std::thread server{[&] {
        mm::task<counting_machine> me;
        while (auto const request = disk.next_request(me, mm::wait_mode::killable)) {
            (void)disk.complete(*request, [](std::uint64_t, std::span<std::byte>) {});
        }
    }};
    mm::blocking<fault_space> files{world.space};
    world_probe probe{world, [&] { return disk.waiting(); }};
    must_hold(
        mm::fault_handler_laws(files, world.space.lock(), world.me, requests_for(world), probe));
    disk.close();
    server.join();
}

TEST_CASE("file_backed obeys the laws of FaultHandler, over shared memory", "[laws][fault]") {
    for (auto const how : {mm::mmap_flags{}, mm::mmap_flags{mm::mmap_flag::shared}}) {
        shmem_world world;
        world.show(how, mm::prot::rw, 6);  // two of them behind the end
        mm::file_backed<fault_space> pages{world.space};
        world_probe probe{world};
        must_hold(mm::fault_handler_laws(pages, world.space.lock(), world.me, requests_for(world),
                                         probe));
    }
}

TEST_CASE("file_backed obeys the laws of FaultHandler, over a disk", "[laws][fault][threads]") {
    for (auto const how : {mm::mmap_flags{}, mm::mmap_flags{mm::mmap_flag::shared}}) {
        disk_file_world world;
        world.show(how, mm::prot::rw, 6);
        std::thread server{[&] {
            mm::task<counting_machine> me;
            while (auto const read = world.object.next_read(me, mm::wait_mode::killable)) {
                (void)world.object.complete(*read, [](std::uint64_t, std::span<std::byte>) {});
            }
        }};
        mm::file_backed<fault_space> pages{world.space};
        world_probe probe{world, [&] { return world.object.reads_outstanding(); }};
        must_hold(mm::fault_handler_laws(pages, world.space.lock(), world.me, requests_for(world),
                                         probe));
        world.object.close();
        server.join();
    }
}

TEST_CASE("dispatch obeys the laws of FaultHandler", "[laws][fault]") {
    fault_world world;
    world.map(0, 1);
    world.map(1, 1, mm::prot::rw, mm::mmap_flag::shared);
    mm::mmap_request file;
    file.hint = world.page(2);
    file.pages = {1};
    file.kind = mm::vma_kind::file;
    file.file = 3;
    world.map(file);
    world.map(3, 1);
    mm::userfault<fault_space> pager{world.space};
    REQUIRE(pager.register_range(world.me, world.span(3, 1)).has_value());
    mm::dispatch<fault_space> faults{world.space};
    world_probe probe{world, [&] { return pager.counts().raised; }};
    must_hold(
        mm::fault_handler_laws(faults, world.space.lock(), world.me, requests_for(world), probe));
    REQUIRE(pager.close(world.me).has_value());
}

// ---- handlers that break a law ------------------------------------------------------------------

namespace {

/// A handler over one word of "page table", whose answer each test chooses.
struct liar {
    using machine = mm::constexpr_machine;
    using lock_type = mm::null_lock<machine>;
    using cpu_type = int;
    using outcome = mm::fault_outcome<lock_type, machine>;
    enum class lie : std::uint8_t { none, drop_in_secret, steal, queue, idle, scribble, stir };

    lie how = lie::none;
    lock_type* lock = nullptr;
    int word = 0;
    std::uint64_t events = 0;

    constexpr outcome handle(fault_request const& request,
                             mm::lock_authority<lock_type>& authority_given, int&) {
        switch (how) {
            case lie::none: break;
            case lie::drop_in_secret:
                if (auto may = authority_given.permission()) (void)may->drop();
                return outcome::installed();
            case lie::steal: {
                // Without permission there is no honest way; a liar makes a witness of its own.
                auto stolen = mm::held_shared<lock_type>::adopt(*lock);
                lock->lock_shared();
                return outcome::retry(stolen.give_up(), {});
            }
            case lie::queue: ++events; return outcome::retry_kept();
            case lie::idle: return outcome::installed();
            case lie::scribble: word = 7; return outcome::failed(mm::errc::bad_address);
            case lie::stir: ++word; return outcome::pending();
        }
        if (request.flags.has(mm::fault_flag::write)) word = 1;
        return word == 1 ? outcome::installed() : outcome::failed(mm::errc::bad_address);
    }
};

struct liar_probe {
    liar& handler;
    constexpr int entry(fault_request const&) { return handler.word; }
    constexpr bool permitted(fault_request const&) { return handler.word == 1; }
    constexpr std::uint64_t queued() { return handler.events; }
};

constexpr mm::law_report verdict_on(liar::lie how, mm::fault_flags flags = mm::fault_flag::write) {
    liar::lock_type lock;
    liar handler{how, &lock};
    int me = 0;
    liar_probe probe{handler};
    fault_request const request{{4096}, flags};
    return mm::fault_handler_laws(handler, lock, me, std::span{&request, 1}, probe);
}

}  // namespace

TEST_CASE("an honest handler passes, also in constant evaluation", "[laws][fault]") {
    STATIC_REQUIRE(verdict_on(liar::lie::none).holds());
    STATIC_REQUIRE(verdict_on(liar::lie::none, {}).holds());
}

TEST_CASE("each law catches its liar", "[laws][fault]") {
    using lie = liar::lie;
    auto const broken_by = [](lie how) { return std::string_view{verdict_on(how).law}; };
    CHECK(broken_by(lie::drop_in_secret) ==
          "lock_lost() says exactly whether the witness still holds");
    CHECK(broken_by(lie::queue) == "with retry_nowait there is no ticket and nothing is queued");
    CHECK(broken_by(lie::idle) ==
          "installed means that a walk finds the access permitted, or faults again");
    CHECK(broken_by(lie::scribble) ==
          "failed has an error and leaves the page tables as they were");
    CHECK(broken_by(lie::stir) == "pending changes nothing a walker can see");
    CHECK_FALSE(verdict_on(lie::steal).holds());
}

TEST_CASE("a lock that is not free is said so", "[laws][fault]") {
    liar::lock_type lock;
    liar handler{liar::lie::none, &lock};
    int me = 0;
    liar_probe probe{handler};
    fault_request const request{{4096}, flags::write};
    auto const writer = mm::held_exclusive<liar::lock_type>::acquire(lock);
    CHECK(std::string_view{
              mm::fault_handler_laws(handler, lock, me, std::span{&request, 1}, probe).law} ==
          "the trial can begin");
}
