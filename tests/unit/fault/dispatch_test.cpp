// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/dispatch.hpp>

#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::errc;
using mm::fault_kind;
using mm::vma_kind;
using handler = mm::dispatch<fault_space>;

namespace {

struct dispatch_world : fault_world {
    handler faults{space};

    mm::virt_addr map_kind(vma_kind kind, std::uint64_t file = 0, mm::vma_flags properties = {},
                           mm::mmap_flags how = {}) {
        mm::mmap_request request;
        request.hint = page(0);
        request.pages = {2};
        request.kind = kind;
        request.file = file;
        request.properties = properties;
        request.flags = how;
        return map(request);
    }
};

}  // namespace

TEST_CASE("anonymous memory, heap and stack start out zero", "[fault][dispatch]") {
    for (auto const kind : {vma_kind::anonymous, vma_kind::heap, vma_kind::stack}) {
        dispatch_world world;
        auto const at = world.map_kind(kind);
        CHECK(world.touch(world.faults, at, flags::read).special);
        CHECK(world.touch(world.faults, at, flags::write).writable);
    }
}

TEST_CASE("shared anonymous memory starts out zero", "[fault][dispatch]") {
    dispatch_world world;
    auto const at = world.map_kind(vma_kind::anonymous, 0, {}, mm::mmap_flag::shared);
    auto const leaf = world.touch(world.faults, at, flags::read);
    CHECK(world.frames.attributes(leaf.target).has(mm::frame_attribute::shmem));
    CHECK(world.all_zero(leaf.target));
}

TEST_CASE("kinds without a model: what is missing is SIGBUS", "[fault][dispatch]") {
    for (auto const kind : {vma_kind::file, vma_kind::shmem, vma_kind::vdso, vma_kind::vvar,
                            vma_kind::vsyscall, vma_kind::other}) {
        dispatch_world world;
        auto const at = world.map_kind(kind, 5);
        CHECK(world.fault(world.faults, at, flags::read).error() == errc::bad_address);
        CHECK(world.fault(world.faults, at, flags::write).error() == errc::bad_address);
        CHECK(world.droppable_fault(world.faults, at, flags::retry).holding());
        CHECK(world.entry(at).none());
    }
}

TEST_CASE("4.6: what is mapped in the vdso is copied by a FORCE write", "[fault][dispatch]") {
    dispatch_world world;
    auto const at = world.map_kind(vma_kind::vdso);
    auto const code = world.frames.allocate(mm::frame_kind::other);
    REQUIRE(code.has_value());
    world.first_byte(*code) = std::byte{77};
    world.install(at, mm::page_entry::leaf_to(*code, mm::prot::rx));
    CHECK(world.touch(world.faults, at, flags::read).target == *code);
    auto const copy = world.touch(world.faults, at, flags::write);
    CHECK(copy.target != *code);
    CHECK(world.first_byte(copy.target) == std::byte{77});
}

TEST_CASE("4.1 row 1: device memory and hugetlb are SIGBUS, mapped or not", "[fault][dispatch]") {
    for (auto const flag : {mm::vma_flag::io, mm::vma_flag::pfnmap, mm::vma_flag::hugetlb}) {
        dispatch_world world;
        auto const at = world.map_kind(vma_kind::anonymous, 0, flag);
        CHECK(world.fault(world.faults, at, flags::read).error() == errc::bad_address);
        CHECK(world.entry(at).none());
    }
}

TEST_CASE("no vma is SIGSEGV, lock held", "[fault][dispatch]") {
    dispatch_world world;
    world.map_kind(vma_kind::anonymous);
    auto const done = world.droppable_fault(world.faults, world.page(2), flags::retry);
    CHECK(done.error() == errc::bad_address);
    CHECK(done.holding());
    CHECK(world.fault(world.faults, {0}, flags::user).error() == errc::bad_address);
}

TEST_CASE(
    "8.2: a cpu is bound by the vma's permissions, who raises no user fault has asked already",
    "[fault][dispatch]") {
    dispatch_world world;
    auto const user_write = flags::write | flags::user;
    auto const read_only = world.map(0, 1, mm::prot::r);
    CHECK(world.fault(world.faults, read_only, user_write).error() == errc::bad_address);
    CHECK(world.entry(read_only).none());
    CHECK(world.fault(world.faults, read_only, flags::user).kind() == fault_kind::installed);
    auto const none = world.map(1, 1, mm::prot::none);
    CHECK(world.fault(world.faults, none, flags::user).error() == errc::bad_address);
    CHECK(world.fault(world.faults, none, flags::read).kind() == fault_kind::installed);  // FORCE
    auto const data = world.map(2, 1);
    CHECK(world.fault(world.faults, data, flags::user.with(mm::fault_flag::instruction)).error() ==
          errc::bad_address);
    auto const code = world.map(3, 1, mm::prot::rx);
    CHECK(world.fault(world.faults, code, flags::user.with(mm::fault_flag::instruction)).kind() ==
          fault_kind::installed);
}

TEST_CASE("a userfault answers for its vmas", "[fault][dispatch]") {
    dispatch_world world;
    mm::userfault<fault_space> pager{world.space};
    auto const at = world.map_kind(vma_kind::anonymous);
    REQUIRE(pager.register_range(world.me, world.span(0, 1)).has_value());
    CHECK(world.droppable_fault(world.faults, at, flags::retry).kind() ==
          fault_kind::retry_lock_dropped);
    CHECK(world.fault(world.faults, at, flags::read).error() == errc::bad_address);
    CHECK(world.fault(world.faults, at.plus_pages(1), flags::read).kind() == fault_kind::installed);
    CHECK(pager.zeropage(world.me, world.span(0, 1)).complete());
    CHECK(world.touch(world.faults, at, flags::write).writable);
    REQUIRE(pager.close(world.me).has_value());
}

TEST_CASE("a page source answers for its vmas", "[fault][dispatch]") {
    dispatch_world world;
    mm::page_source<fault_space> disk{world.space};
    auto const at = world.map(0, 1, mm::prot::rw, {}, &disk);
    CHECK(world.droppable_fault(world.faults, at, flags::nowait).kind() ==
          fault_kind::retry_lock_kept);
    disk.close();
    CHECK(world.fault(world.faults, at, flags::read).error() == errc::bad_address);
}

TEST_CASE("a witness that no longer holds is lock_not_held", "[fault][dispatch][bad-input]") {
    dispatch_world world;
    auto const at = world.map_kind(vma_kind::anonymous);
    auto lock = world.hold();
    auto keep = authority::keep(lock);
    (void)lock.give_up();
    CHECK(world.faults.handle({at, flags::read}, keep, world.me).error() == errc::lock_not_held);
}
