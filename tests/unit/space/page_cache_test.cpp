// SPDX-License-Identifier: BSL-1.0
#include <mmhold/space/page_cache.hpp>

#include "unit/space/object_world.hpp"
#include <map>

using namespace mmhold_test;

TEST_CASE("the kinds of object, as a mapping shows them", "[space][page_cache]") {
    object_world shmem;
    auto const plain = shmem.object.request(3, page_count{2}, prot::rw, mmap_flag::shared);
    CHECK(plain.kind == vma_kind::shmem);
    CHECK(plain.object == &shmem.object);
    CHECK(plain.file_page == 3);
    CHECK(plain.properties.empty());
    CHECK(plain.may == prot::rwx);
    auto const never = shmem.object.request(0, page_count{1}, prot::r, mmap_flag::shared,
                                            descriptor_rights::read_only);
    CHECK_FALSE(never.may.has(protection_bit::write));
    auto const own =
        shmem.object.request(0, page_count{1}, prot::rw, {}, descriptor_rights::read_only);
    CHECK(own.may.has(protection_bit::write));

    object_world file{object_kind::file, 8, dirty_tracking::on};
    CHECK(file.object.request(0, page_count{1}, prot::rw, mmap_flag::shared).properties ==
          vma_flags{vma_flag::dirty_tracked});
    CHECK(file.object.request(0, page_count{1}, prot::rw, {}).properties.empty());

    object_world secret{object_kind::secret};
    auto const hidden = secret.object.request(0, page_count{1}, prot::rw, {});
    CHECK(hidden.flags.has(mmap_flag::shared));
    CHECK(hidden.properties == vma_flags{vma_flag::secret, vma_flag::locked, vma_flag::dont_dump});
}

TEST_CASE("find: behind the end, a hole, a page with a reference", "[space][page_cache]") {
    object_world world;
    CHECK(world.object.find(8).error() == errc::bad_address);
    CHECK(world.object.find(0).error() == errc::again);
    CHECK_FALSE(world.object.needs_no_page(0));
    CHECK(world.object.needs_no_page(8));
    auto const page = world.object.find_or_add_zeroed(0);
    REQUIRE(page.has_value());
    CHECK(world.object.needs_no_page(0));
    CHECK(world.frames.ref_count(*page) == 2);  // ours, and the cache's
    CHECK(world.frames.kind(*page) == frame_kind::page_cache);
    CHECK(world.frames.attributes(*page) == frame_attributes{frame_attribute::shmem});
    CHECK(world.object.find(0).value_or(pfn{}) == *page);
    CHECK(world.object.find_or_add_zeroed(0).value_or(pfn{}) == *page);
    world.frames.put(*page, 3);
    CHECK(world.object.find_or_add_zeroed(8).error() == errc::bad_address);
    CHECK(world.object.cached_pages() == 1);
}

TEST_CASE("add: one page for each number, none behind the end", "[space][page_cache]") {
    object_world world{object_kind::file};
    auto const page = *world.object.allocate();
    CHECK(world.frames.attributes(page).empty());
    CHECK(world.object.add(8, page).error() == errc::bad_address);
    REQUIRE(world.object.add(7, page));
    CHECK(world.object.add(7, page).error() == errc::exists);
    CHECK(world.frames.ref_count(page) == 2);
    world.frames.put(page);
}

TEST_CASE("no frames: nothing is added", "[space][page_cache][no-memory]") {
    object_world world{object_kind::shmem, 1000};
    std::uint64_t index = 0;
    while (auto const page = world.object.find_or_add_zeroed(index)) {
        world.frames.put(*page);
        ++index;
    }
    CHECK(index == 256);
    CHECK(world.object.find_or_add_zeroed(index).error() == errc::no_memory);
    CHECK(world.object.cached_pages() == 256);
}

TEST_CASE("6.2 race 21: the last look before a page is mapped", "[space][page_cache]") {
    object_world world;
    auto const page = *world.object.find_or_add_zeroed(0);
    auto used = 0;
    auto const use = [&] { return ++used, result<void>{}; };
    CHECK(world.object.while_cached(0, page, use));
    CHECK(world.object.while_cached(8, page, use).error() == errc::bad_address);
    CHECK(world.object.while_cached(1, page, use).error() == errc::again);
    REQUIRE(world.object.punch(world.me, {0, 1}));
    CHECK(world.object.while_cached(0, page, use).error() == errc::again);
    CHECK(world.object.while_in_front_of_end(7, use));
    CHECK(world.object.while_in_front_of_end(8, use).error() == errc::bad_address);
    CHECK(used == 2);
    world.frames.put(page);
}

TEST_CASE("truncate: unmapped everywhere, private copies included, and out of the cache",
          "[space][page_cache]") {
    object_world world;
    world.map(world.one, 0, 0, 8);
    world.map(world.two, 20, 4, 4, {});
    auto const kept = world.touch(world.one, 3, 3);
    auto const gone = world.touch(world.one, 4, 4);
    world.touch(world.two, 20, 4, prot::r);
    auto const copy = *world.frames.allocate(frame_kind::anonymous);
    auto const leaf = page_entry::leaf_to(copy, prot::rw);
    REQUIRE(world.two.table().map(world.me, world.at(21), leaf, 0));
    world.two.note_mapped(leaf, 1);
    world.frames.get(gone);

    REQUIRE(world.object.resize(world.me, 4 * page_size));
    CHECK(world.object.size() == 4 * page_size);
    CHECK(world.mapped(world.one, 3));
    CHECK_FALSE(world.mapped(world.one, 4));
    CHECK_FALSE(world.mapped(world.two, 20));
    CHECK_FALSE(world.mapped(world.two, 21));
    CHECK(world.frames.ref_count(copy) == 0);
    CHECK(world.object.cached_pages() == 1);
    CHECK(world.frames.attributes(gone).has(frame_attribute::truncated));
    CHECK(world.frames.map_count(gone) == 0);
    CHECK(world.frames.ref_count(gone) == 1);
    world.frames.put(gone);
    CHECK(world.frames.attributes(kept) == frame_attributes{frame_attribute::shmem});
}

TEST_CASE("truncate: a page that was pinned before stays whole, but it is nobody's",
          "[space][page_cache]") {
    object_world world;
    auto const page = *world.object.find_or_add_zeroed(2);
    world.frames.bytes(page)[0] = std::byte{42};
    REQUIRE(world.frames.try_grab(page, 1, holding::pin));
    world.frames.put(page);
    world.frames.mark_dirty(page);
    REQUIRE(world.object.resize(world.me, 0));
    CHECK(world.frames.bytes(page)[0] == std::byte{42});
    CHECK_FALSE(world.frames.dirty(page));
    REQUIRE(world.object.resize(world.me, 4 * page_size));
    auto const next = *world.object.find_or_add_zeroed(2);
    CHECK(next != page);
    CHECK(world.frames.bytes(next)[0] == std::byte{0});
    world.frames.put(next);
    world.frames.unpin(page);
    CHECK(world.frames.ref_count(page) == 0);
}

TEST_CASE("truncate inside a page clears the rest of it, and growing shows zeroes",
          "[space][page_cache]") {
    object_world world;
    auto const page = *world.object.find_or_add_zeroed(0);
    for (auto& byte : world.frames.bytes(page)) byte = std::byte{9};
    world.frames.put(page);
    REQUIRE(world.object.resize(world.me, 100));
    CHECK(world.frames.bytes(page)[99] == std::byte{9});
    CHECK(world.frames.bytes(page)[100] == std::byte{0});
    REQUIRE(world.object.resize(world.me, 2 * page_size));
    CHECK(world.frames.bytes(page)[100] == std::byte{0});
    CHECK(world.object.find(1).error() == errc::again);
    world.object.extend(page_size);
    CHECK(world.object.size() == 2 * page_size);
    world.object.extend(3 * page_size);
    CHECK(world.object.size() == 3 * page_size);
    // To the same size: measured on 6.18, what lies behind the end is cleared.
    REQUIRE(world.object.resize(world.me, 50));
    world.frames.bytes(page)[60] = std::byte{9};
    REQUIRE(world.object.resize(world.me, 50));
    CHECK(world.frames.bytes(page)[60] == std::byte{0});
}

TEST_CASE("what was stored behind the end comes to light in shared memory, not in a file",
          "[space][page_cache]") {
    for (auto const kind : {object_kind::shmem, object_kind::file}) {
        for (auto const how : {0, 1}) {
            object_world world{kind};
            REQUIRE(world.object.resize(world.me, 100));
            auto const page = *world.object.find_or_add_zeroed(0);
            world.frames.put(page);
            world.frames.bytes(page)[99] = std::byte{9};
            world.frames.bytes(page)[100] = std::byte{9};
            how == 0 ? (void)world.object.resize(world.me, page_size) : world.object.extend(101);
            CHECK(world.frames.bytes(page)[99] == std::byte{9});
            CHECK((world.frames.bytes(page)[100] == std::byte{9}) == (kind == object_kind::shmem));
        }
    }
}

TEST_CASE("punch: the pages of the range go, the size and private copies stay",
          "[space][page_cache]") {
    object_world world;
    world.map(world.one, 0, 0, 8);
    for (std::uint64_t page = 0; page < 8; ++page) {
        world.touch(world.one, page, page);
    }
    REQUIRE(world.object.punch(world.me, {2, 5}));
    CHECK(world.object.cached_pages() == 5);
    CHECK(world.mapped(world.one, 1));
    CHECK_FALSE(world.mapped(world.one, 2));
    CHECK_FALSE(world.mapped(world.one, 4));
    CHECK(world.mapped(world.one, 5));
    CHECK(world.object.size() == 8 * page_size);
    CHECK(world.one.resident().shared == 5);
}

TEST_CASE("write-back: dirty pages in order, then clean and read-only", "[space][page_cache]") {
    object_world world{object_kind::file, 8, dirty_tracking::on};
    world.map(world.one, 0, 0, 8);
    for (std::uint64_t const page : {6UL, 1UL, 3UL}) {
        auto const frame = world.touch(world.one, page, page);
        world.frames.bytes(frame)[0] = std::byte(page);
        if (page != 3) world.frames.mark_dirty(frame);
    }
    std::map<std::uint64_t, std::byte> disk;
    auto const sink = [&](std::uint64_t index, std::span<std::byte const> bytes) {
        disk[index] = bytes[0];
    };
    CHECK(world.object.write_back(world.me, sink).value_or(99) == 2);
    CHECK(disk == std::map<std::uint64_t, std::byte>{{1, std::byte{1}}, {6, std::byte{6}}});
    CHECK_FALSE(world.entry(world.one, 1).writable);
    CHECK(world.entry(world.one, 3).writable);
    CHECK_FALSE(world.frames.dirty(world.entry(world.one, 1).target));
    CHECK(world.object.write_back(world.me, sink).value_or(99) == 0);
}

TEST_CASE("an object knows who maps it, and its pages survive unmapping", "[space][page_cache]") {
    object_world world;
    CHECK(world.object.unmapped());
    world.map(world.one, 0, 0, 8);
    world.map(world.two, 0, 0, 8);
    auto const page = world.touch(world.one, 2, 2);
    REQUIRE(world.one.munmap(world.me, world.span(2, 1)));
    REQUIRE(world.one.munmap(world.me, world.span(0, 8)));
    CHECK_FALSE(world.object.unmapped());
    CHECK(world.frames.ref_count(page) == 1);
    world.two.exit(world.me);
    CHECK(world.object.unmapped());
    CHECK(world.object.find(2).value_or(pfn{}) == page);
    world.frames.put(page);
}

TEST_CASE("shared anonymous memory: its own object, which ends with the last mapping",
          "[space][page_cache]") {
    object_world world;
    auto const start =
        *world.one.mmap(world.me, {.pages = page_count{4}, .flags = mmap_flag::shared});
    memory_object* object = nullptr;
    {
        auto const held = held_shared<object_config::lock>::acquire(world.one.lock());
        auto const& area = world.one.find(start, held)->view(held);
        CHECK(area.kind == vma_kind::shmem);
        object = area.object;
    }
    REQUIRE(object != nullptr);
    auto& cache = static_cast<object_world::cache&>(*object);
    CHECK(cache.owner() == object_owner::mappings);
    CHECK(cache.size() == 4 * page_size);
    world.frames.put(*cache.find_or_add_zeroed(1));
    CHECK(world.frames.statistics().free == 255);
    // A child that maps the same object keeps it alive.
    auto request = cache.request(0, page_count{4}, prot::rw, mmap_flag::shared);
    REQUIRE(world.two.mmap(world.me, request).has_value());
    REQUIRE(world.one.munmap(world.me, *page_span::from(start, page_count{4})));
    CHECK(world.frames.statistics().free == 255);
    world.two.exit(world.me);
    CHECK(world.frames.statistics().free == 256);
}

TEST_CASE("mapping over an object's pages tells the object", "[space][page_cache]") {
    object_world world;
    world.map(world.one, 0, 0, 8);
    REQUIRE(world.one.mmap(
        world.me, {.hint = world.at(0), .pages = page_count{8}, .flags = mmap_flag::fixed}));
    CHECK(world.object.unmapped());
}

TEST_CASE("migrate: the page goes to another frame, and those who map it find that",
          "[space][page_cache]") {
    object_world world;
    world.map(world.one, 0, 2, 1);
    world.map(world.two, 0, 2, 1);
    auto const old = world.touch(world.one, 0, 2);
    CHECK(world.touch(world.two, 0, 2) == old);
    world.frames.bytes(old).front() = std::byte{9};
    world.frames.mark_dirty(old);
    SECTION("nobody holds it") {
        auto const fresh = world.object.migrate(world.me, 2);
        REQUIRE(fresh);
        CHECK(*fresh != old);
        CHECK(world.frames.kind(old) == frame_kind::free);
        CHECK(world.frames.bytes(*fresh).front() == std::byte{9});
        CHECK(world.frames.dirty(*fresh));
        CHECK(world.frames.counts(*fresh) == frame_counts{1, 0});
        CHECK_FALSE(world.mapped(world.one, 0));
        CHECK_FALSE(world.mapped(world.two, 0));
        CHECK(world.object.find(2).value_or(old) == *fresh);
        world.frames.put(*fresh);
    }
    SECTION("somebody does") {
        world.frames.get(old);
        CHECK(world.object.migrate(world.me, 2).error() == errc::busy);
        CHECK(world.mapped(world.one, 0));
        world.frames.put(old);
    }
    CHECK(world.object.migrate(world.me, 3).error() == errc::again);
    CHECK(world.object.migrate(world.me, 8).error() == errc::bad_address);
    CHECK(world.object.cached_pages() == 1);
}

TEST_CASE("a hole that hits pages in part makes the parts zero", "[object]") {
    object_world w;
    w.map(w.one, 0, 0, 8);
    auto const byte = [&](std::uint64_t at) -> std::byte& {
        auto const page = *w.object.find_or_add_zeroed(at / page_size);
        w.frames.put(page);
        return w.frames.bytes(page)[at % page_size];
    };
    for (auto const at : {page_size + 9, page_size + 10, 3 * page_size + 4, 3 * page_size + 5}) {
        byte(at) = std::byte{1};
    }
    auto const second = *w.object.find_or_add_zeroed(2);
    w.frames.put(second);
    CHECK(w.object.punch(w.me, page_size + 10, 0).error() == errc::invalid_argument);
    CHECK(w.object.punch(w.me, page_size + 10, 2 * page_size - 5).has_value());
    CHECK(w.object.find(2).error() == errc::again);
    CHECK(byte(page_size + 9) == std::byte{1});
    CHECK(byte(page_size + 10) == std::byte{0});
    CHECK(byte(3 * page_size + 4) == std::byte{0});
    CHECK(byte(3 * page_size + 5) == std::byte{1});
    CHECK(w.object.punch(w.me, page_size + 9, 1).has_value());  // inside one page
    CHECK(byte(page_size + 9) == std::byte{0});
    CHECK(w.object.punch(w.me, 5 * page_size + 1, 7).has_value());  // nothing is there
    CHECK(w.object.find(5).error() == errc::again);
}
