// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/anonymous.hpp>
#include <mmhold/fault/copy_on_write.hpp>

#include <cstdlib>
#include <thread>

#include "unit/fault/fault_world.hpp"

using namespace mmhold_test;
using mm::errc;
using mm::fault_kind;
using handler = mm::anonymous<fault_space>;

namespace {

/// One page of a private mapping, backed by a frame of the test's choice, read-only.
struct cow_world : fault_world {
    handler memory{space};
    mm::virt_addr at{};

    explicit cow_world(mm::protection prot = mm::prot::rw, std::uint64_t frame_capacity = 16)
        : fault_world{frame_capacity}, at{map(0, 1, prot)} {}

    /// The page becomes `kind`, with content, and with `extra` references that others hold.
    mm::pfn back_with(mm::frame_kind kind, std::uint64_t extra) {
        auto const frame = frames.allocate(kind);
        REQUIRE(frame.has_value());
        first_byte(*frame) = std::byte{42};
        if (extra != 0) frames.get(*frame, extra);
        auto leaf = mm::page_entry::leaf_to(*frame, mm::prot::r);
        install(at, leaf);
        return *frame;
    }
};

}  // namespace

TEST_CASE("4.3: an exclusive page is reused, whatever references it has", "[fault][cow]") {
    cow_world world;
    auto const frame = world.back_with(mm::frame_kind::anonymous, 5);
    world.frames.set_exclusive(frame);
    auto const leaf = world.touch(world.memory, world.at, flags::write);
    CHECK(leaf.target == frame);
    CHECK(leaf.writable);
    CHECK(leaf.dirty);
    CHECK(leaf.accessed);
    CHECK(leaf.soft_dirty);
    CHECK(world.frames.ref_count(frame) == 6);
    CHECK(world.flush.flushed.empty());  // more rights than before need no flush
    world.frames.put(frame, 5);
}

TEST_CASE("4.3: a page that only this entry refers to becomes exclusive and is reused",
          "[fault][cow]") {
    cow_world world;
    auto const frame = world.back_with(mm::frame_kind::anonymous, 0);
    auto const leaf = world.touch(world.memory, world.at, flags::write);
    CHECK(leaf.target == frame);
    CHECK(leaf.writable);
    CHECK(world.frames.exclusive(frame));
}

TEST_CASE("4.3: a page that somebody else refers to is copied", "[fault][cow]") {
    cow_world world;
    auto const frame = world.back_with(mm::frame_kind::anonymous, 1);
    auto const leaf = world.touch(world.memory, world.at, flags::write);
    CHECK(leaf.target != frame);
    CHECK(leaf.writable);
    CHECK(leaf.dirty);
    CHECK(world.frames.exclusive(leaf.target));
    CHECK(world.first_byte(leaf.target) == std::byte{42});
    CHECK(world.frames.ref_count(frame) == 1);  // the other's
    CHECK(world.frames.map_count(frame) == 0);
    CHECK(world.frames.map_count(leaf.target) == 1);
    CHECK(world.space.resident().anonymous == 1);
    REQUIRE(world.flush.flushed.size() == 1);  // nobody may read the old page any more
    CHECK(world.flush.flushed[0] == world.span(0, 1));
    world.first_byte(leaf.target) = std::byte{43};
    CHECK(world.first_byte(frame) == std::byte{42});
    world.frames.put(frame);
}

TEST_CASE("4.3: a zero page is always copied", "[fault][cow]") {
    cow_world world;
    world.touch(world.memory, world.at, flags::read);
    auto const leaf = world.touch(world.memory, world.at, flags::write);
    CHECK(leaf.target != world.frames.zero_page());
    CHECK(leaf.writable);
    CHECK_FALSE(leaf.special);
    CHECK(world.all_zero(leaf.target));
    CHECK(world.space.resident().anonymous == 1);
    CHECK(world.flush.flushed.size() == 1);
}

TEST_CASE("4.3: unsharing a zero page gives a page that is not writable", "[fault][cow]") {
    cow_world world;
    world.touch(world.memory, world.at, flags::read);
    auto const leaf = world.touch(world.memory, world.at, flags::unshare);
    CHECK(leaf.target != world.frames.zero_page());
    CHECK_FALSE(leaf.writable);
    CHECK_FALSE(leaf.dirty);
    CHECK(world.frames.exclusive(leaf.target));
}

TEST_CASE("4.3: unsharing a shared page copies it read-only and clean", "[fault][cow]") {
    cow_world world;
    auto const frame = world.back_with(mm::frame_kind::anonymous, 1);
    auto const leaf = world.touch(world.memory, world.at, flags::unshare);
    CHECK(leaf.target != frame);
    CHECK_FALSE(leaf.writable);
    CHECK_FALSE(leaf.dirty);
    CHECK(world.frames.exclusive(leaf.target));
    CHECK(world.first_byte(leaf.target) == std::byte{42});
    world.frames.put(frame);
}

TEST_CASE("4.3: unsharing a page that nobody else has marks it and leaves the entry alone",
          "[fault][cow]") {
    cow_world world;
    auto const frame = world.back_with(mm::frame_kind::anonymous, 0);
    auto const before = world.entry(world.at);
    CHECK(world.touch(world.memory, world.at, flags::unshare) == before);
    CHECK(world.frames.exclusive(frame));
    CHECK(world.touch(world.memory, world.at, flags::unshare) == before);  // nothing to do
}

TEST_CASE("4.3: a page-cache page under a private mapping is copied for both", "[fault][cow]") {
    for (auto const how : {flags::write, flags::unshare}) {
        cow_world world;
        auto const frame = world.back_with(mm::frame_kind::page_cache, 0);
        world.frames.get(frame);  // the page cache's own
        auto const leaf = world.touch(world.memory, world.at, how);
        CHECK(leaf.target != frame);
        CHECK(world.frames.kind(leaf.target) == mm::frame_kind::anonymous);
        CHECK(world.first_byte(leaf.target) == std::byte{42});
        CHECK(leaf.writable == (how == flags::write));
        CHECK(world.frames.ref_count(frame) == 1);
        world.frames.put(frame);
    }
}

TEST_CASE("4.3: FORCE: written although the vma is read-only, the page stays read-only but dirty",
          "[fault][cow]") {
    cow_world shared{mm::prot::r};
    auto const frame = shared.back_with(mm::frame_kind::anonymous, 1);
    auto const copy = shared.touch(shared.memory, shared.at, flags::write);
    CHECK(copy.target != frame);
    CHECK_FALSE(copy.writable);
    CHECK(copy.dirty);
    CHECK(shared.frames.exclusive(copy.target));
    shared.frames.put(frame);

    cow_world alone{mm::prot::r};
    auto const own = alone.back_with(mm::frame_kind::anonymous, 0);
    auto const reused = alone.touch(alone.memory, alone.at, flags::write);
    CHECK(reused.target == own);
    CHECK_FALSE(reused.writable);
    CHECK(reused.dirty);
    CHECK(alone.frames.exclusive(own));
}

TEST_CASE("4.3: a shared mapping made writable again just gets the right to write",
          "[fault][cow]") {
    fault_world world;
    handler memory{world.space};
    auto const at = world.map(0, 1, mm::prot::rw, mm::mmap_flag::shared);
    auto const frame = world.touch(memory, at, flags::write).target;
    auto entry = world.space.table().lock_leaf(world.me, at, 0, mm::if_absent::fail);
    REQUIRE(entry.has_value());
    auto read_only = entry->read();
    read_only.writable = false;
    (void)entry->replace(read_only);
    entry->unlock();
    auto const leaf = world.touch(memory, at, flags::write);
    CHECK(leaf.target == frame);
    CHECK(leaf.writable);
    CHECK(leaf.dirty);
    CHECK_FALSE(world.frames.exclusive(frame));  // a word for anonymous pages only
}

TEST_CASE("4.3: a copy that finds no frame changes nothing", "[fault][cow][no-memory]") {
    cow_world world{mm::prot::rw, 1};
    auto const frame = world.back_with(mm::frame_kind::anonymous, 1);
    auto const before = world.entry(world.at);
    CHECK(world.fault(world.memory, world.at, flags::write).error() == errc::no_memory);
    CHECK(world.fault(world.memory, world.at, flags::unshare).error() == errc::no_memory);
    CHECK(world.entry(world.at) == before);
    CHECK(world.frames.ref_count(frame) == 2);
    CHECK(world.frames.map_count(frame) == 1);
    CHECK(world.flush.flushed.empty());
    world.frames.put(frame);
}

TEST_CASE("4.3: an entry without a frame behind it cannot be copied", "[fault][cow][bad-input]") {
    cow_world world;
    auto leaf = mm::page_entry::leaf_to(mm::pfn{7}, mm::prot::r);
    leaf.special = true;
    world.install(world.at, leaf);
    CHECK(world.fault(world.memory, world.at, flags::write).error() == errc::bad_address);
    CHECK(world.entry(world.at) == leaf);
    CHECK(world.fault(world.memory, world.at, flags::read).kind() == fault_kind::installed);
}

TEST_CASE("4.3: a pinned exclusive page is never copied away from its pinner", "[fault][cow]") {
    cow_world world;
    auto const frame = world.touch(world.memory, world.at, flags::write).target;
    REQUIRE(world.frames.try_grab(frame, 1, mm::holding::pin));
    REQUIRE(world.space.mprotect(world.me, world.span(0, 1), mm::prot::r).has_value());
    REQUIRE(world.space.mprotect(world.me, world.span(0, 1), mm::prot::rw).has_value());
    auto const leaf = world.touch(world.memory, world.at, flags::write);
    CHECK(leaf.target == frame);
    CHECK(leaf.writable);
    world.frames.unpin(frame);
}

TEST_CASE("4.3: an entry that changes while its page is being copied: both pages go back",
          "[fault][cow]") {
    cow_world world;
    auto const frame = world.back_with(mm::frame_kind::anonymous, 1);
    auto const change_entry = [&] {
        auto entry = world.space.table().lock_leaf(world.me, world.at, 0, mm::if_absent::fail);
        REQUIRE(entry.has_value());
        auto leaf = entry->read();
        leaf.soft_dirty = true;
        (void)entry->replace(leaf);
    };
    // The locks in order: mm lock, page table, frame pool. When the last is held the copy is
    // being made.
    counting_machine::at_next_lock = [&] {
        counting_machine::at_next_lock = [&] { counting_machine::at_next_lock = change_entry; };
    };
    auto const leaf = world.touch(world.memory, world.at, flags::write);
    CHECK(leaf.target == frame);  // the access is to be tried again
    CHECK_FALSE(leaf.writable);
    CHECK(leaf.soft_dirty);
    CHECK(world.frames_in_use() == 1);
    CHECK(world.frames.ref_count(frame) == 2);
    CHECK(world.touch(world.memory, world.at, flags::write).target != frame);
    world.frames.put(frame);
}

namespace {

/// A 2 MiB mapping over one large folio, whose pages hold 512 references for the one leaf.
struct large_world : fault_world {
    static constexpr std::uint64_t pages = 512;
    handler memory{space};
    mm::virt_addr at{};
    mm::pfn folio{};

    large_world() : fault_world{2048}, at{map(0, pages)} {
        auto const made = frames.allocate(mm::frame_kind::anonymous, 9);
        REQUIRE(made.has_value());
        folio = *made;
        frames.get(folio, pages - 1);
        auto leaf = mm::page_entry::leaf_to(folio, mm::prot::r);
        REQUIRE(space.table().map(me, at, leaf, 1).has_value());
        space.note_mapped(leaf, pages);
    }
    unsigned level_of(mm::virt_addr where) {
        unsigned found = 99;
        auto const one = *mm::page_span::from(where, mm::page_count{1});
        (void)space.table().visit(
            me, one, [&](mm::virt_addr, mm::page_entry const&, unsigned level) { found = level; });
        return found;
    }
};

}  // namespace

TEST_CASE("4.3: a large leaf whose pages are all exclusive is reused whole", "[fault][cow]") {
    large_world world;
    for (std::uint64_t n = 0; n < large_world::pages; ++n) {
        world.frames.set_exclusive(world.folio.plus(n));
    }
    auto const leaf = world.touch(world.memory, world.at.plus_pages(7), flags::write);
    CHECK(world.level_of(world.at) == 1);
    CHECK(leaf.writable);
    CHECK(leaf.target == world.folio);
}

TEST_CASE("4.3: a large leaf that is not all ours is split, and one page is copied",
          "[fault][cow]") {
    large_world world;
    world.frames.get(world.folio);  // somebody else's
    world.frames.set_exclusive(world.folio);
    auto const where = world.at.plus_pages(7);
    world.first_byte(world.folio.plus(7)) = std::byte{7};
    auto const leaf = world.touch(world.memory, where, flags::write);
    CHECK(world.level_of(where) == 0);
    CHECK(leaf.writable);
    CHECK(world.first_byte(leaf.target) == std::byte{7});
    CHECK(world.frames.order_of(leaf.target) == 0);
    CHECK(world.entry(world.at.plus_pages(8)).target == world.folio.plus(8));
    CHECK_FALSE(world.entry(world.at.plus_pages(8)).writable);
    CHECK(world.frames.ref_count(world.folio) == large_world::pages);
    CHECK(world.frames.map_count(world.folio) == large_world::pages - 1);
    auto const first = world.touch(world.memory, world.at, flags::write);
    CHECK(first.target == world.folio);  // this one was exclusive
    world.frames.put(world.folio);
}

TEST_CASE("4.3: unsharing one page of a large leaf", "[fault][cow]") {
    large_world world;
    world.frames.get(world.folio);
    auto const leaf = world.touch(world.memory, world.at.plus_pages(3), flags::unshare);
    CHECK_FALSE(leaf.writable);
    CHECK(world.frames.exclusive(leaf.target));
    CHECK(world.frames.order_of(leaf.target) == 0);
    world.frames.put(world.folio);
}

TEST_CASE("4.3: a large leaf that is the last user of its folio becomes exclusive as a whole",
          "[fault][cow]") {
    large_world world;
    auto const leaf = world.touch(world.memory, world.at.plus_pages(3), flags::unshare);
    CHECK_FALSE(leaf.writable);
    CHECK(world.level_of(world.at) == 1);
    CHECK(world.frames.exclusive(world.folio));
    CHECK(world.frames.exclusive(world.folio.plus(511)));
}

TEST_CASE("4.3: writers, unsharers and a discarder on the same pages lose no frame and no count",
          "[fault][cow][threads]") {
    constexpr std::uint64_t pages = 4;
    constexpr int rounds = 300;
    fault_world world{64};
    auto const at = world.map(0, pages);
    auto const faulter = [&](mm::fault_flags how) {
        fault_cpu me{world.domain};
        handler memory{world.space};
        for (int round = 0; round < rounds; ++round) {
            auto const where = at.plus_pages(static_cast<std::uint64_t>(round) % pages);
            for (auto const step : {flags::read, how}) {
                auto lock = world.hold();
                auto keep = authority::keep(lock);
                auto const done = memory.handle({where, step}, keep, me);
                if (done.kind() != fault_kind::installed) std::abort();
            }
        }
    };
    std::thread writer{[&] { faulter(flags::write); }};
    std::thread unsharer{[&] { faulter(flags::unshare); }};
    std::thread discarder{[&] {
        fault_cpu me{world.domain};
        for (int i = 0; i < rounds; ++i) (void)world.space.dontneed(me, world.span(0, pages));
    }};
    writer.join();
    unsharer.join();
    discarder.join();
    CHECK(world.frames_in_use() == world.space.resident().anonymous);
    REQUIRE(world.space.munmap(world.me, world.span(0, pages)).has_value());
    CHECK(world.frames_in_use() == 0);
    CHECK(world.space.resident().total() == 0);
}
