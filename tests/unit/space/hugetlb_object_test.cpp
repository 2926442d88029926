// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/space/advise_large.hpp>
#include <mmhold/space/hugetlb_object.hpp>
#include <mmhold/space/mremap.hpp>

#include "small_world.hpp"

using namespace mmhold;
using namespace mmhold_test;
using pool_type = hugetlb_pool<checked_host_machine>;

namespace {

using space_type = address_space<default_config<checked_host_machine>>;
using object_type = hugetlb_object<space_type>;

struct hugetlb_world {
    using space_type = ::space_type;
    frame_pool<checked_host_machine> frames;
    default_config<checked_host_machine>::tables tables{page_count{32}};
    default_config<checked_host_machine>::reclaimer domain{};
    pool_type pool{frames, 3};
    space_type space{frames, tables, domain};
    space_type::cpu_type me{domain};

    explicit hugetlb_world(frame_bytes bytes = frame_bytes::none)
        : frames{page_count{4 * 512}, bytes} {}

    static constexpr virt_addr base{std::uint64_t{16} << 30U};
    static page_span span(std::uint64_t first, std::uint64_t count) {
        return *page_span::from(base.plus_pages(first), page_count{count});
    }
    result<virt_addr> map(object_type& object, std::uint64_t pages, virt_addr at = base) {
        mmap_request request;
        request.hint = at;
        request.flags = mmap_flag::fixed;
        request.pages = page_count{pages};
        return map_hugetlb(me, space, object, request);
    }
};

}  // namespace

TEST_CASE("mmap of hugetlb wants whole pages, and a pool that can promise them", "[hugetlb]") {
    hugetlb_world w;
    object_type object{w.pool, 2};
    CHECK(w.map(object, 511).error() == errc::invalid_argument);
    CHECK(w.map(object, 512, w.base.plus_pages(1)).error() == errc::invalid_argument);
    CHECK(w.map(object, 3 * 512).error() == errc::invalid_argument);
    CHECK(w.map(object, 1024).has_value());
    object_type second{w.pool, 2};
    CHECK_FALSE(second.valid());
    CHECK(w.map(second, 1024, w.base.plus_pages(2048)).error() == errc::no_memory);
    object_type unreserved{w.pool, 2, hugetlb_reserve::none};
    CHECK(w.map(unreserved, 1024, w.base.plus_pages(2048)).has_value());
    w.space.unmap_all_locked(
        *held_exclusive<hugetlb_world::space_type::lock_type>::try_acquire(w.space.lock()), w.me);
}

TEST_CASE("hugetlb is unmapped, protected and mapped over in whole pages only", "[hugetlb]") {
    hugetlb_world w;
    object_type object{w.pool, 2};
    REQUIRE(w.map(object, 1024).has_value());
    CHECK(w.space.munmap(w.me, w.span(0, 1)).error() == errc::invalid_argument);
    CHECK(w.space.munmap(w.me, w.span(1, 1023)).error() == errc::invalid_argument);
    CHECK(w.space.mprotect(w.me, w.span(0, 1), prot::r).error() == errc::invalid_argument);
    CHECK(w.space.mprotect(w.me, w.span(0, 512), prot::r).has_value());
    mmap_request request;
    request.hint = w.base.plus_pages(1);
    request.pages = page_count{1};
    request.flags = mmap_flag::fixed;
    CHECK(w.space.mmap(w.me, request).error() == errc::invalid_argument);
    CHECK(advise_large_folios(w.me, w.space, w.span(0, 1), advise_large::wanted).error() ==
          errc::invalid_argument);
    CHECK(advise_large_folios(w.me, w.space, w.span(0, 512), advise_large::wanted).has_value());
    CHECK(w.space.set_locked(w.me, w.span(1, 1), mark_locked::yes).has_value());
    CHECK(w.space.munmap(w.me, w.span(0, 512)).has_value());
    CHECK(w.space.dontneed(w.me, w.span(513, 512)).error() == errc::invalid_argument);
    CHECK(w.space.dontneed(w.me, w.span(512, 1)).has_value());
    CHECK(w.space.munmap(w.me, w.span(512, 512)).has_value());
}

TEST_CASE("mremap of hugetlb rounds lengths up, wants its borders and does not let it grow",
          "[hugetlb]") {
    hugetlb_world w;
    object_type object{w.pool, 2};
    REQUIRE(w.map(object, 1024).has_value());
    auto const remap = [&](std::uint64_t first, std::uint64_t pages, std::uint64_t now,
                           mremap_flags how = {}, std::uint64_t to = 4096) {
        auto const at = w.base.plus_pages(to);
        return mmhold::mremap(w.me, w.space, w.span(first, pages), page_count{now}, how, at);
    };
    mremap_flags const moves{mremap_flag::may_move, mremap_flag::fixed};
    CHECK(remap(1, 1, 1).error() == errc::invalid_argument);
    CHECK(remap(0, 1024, 1536, mremap_flag::may_move).error() == errc::invalid_argument);
    CHECK(remap(0, 512, 512, moves, 4097).error() == errc::invalid_argument);
    CHECK(remap(0, 1, 2).has_value());
    CHECK(remap(512, 1, 1, moves).value_or(virt_addr{}) == w.base.plus_pages(4096));
    CHECK(remap(0, 1024, 1).has_value());
    CHECK(w.space.munmap(w.me, w.span(0, 512)).has_value());
    CHECK(w.space.munmap(w.me, w.span(4096, 512)).has_value());
}

TEST_CASE("the object's pages stay, and are the same for everybody", "[hugetlb]") {
    hugetlb_world w;
    object_type object{w.pool, 2};
    CHECK(object.find(1).error() == errc::again);
    CHECK(object.find(2).error() == errc::bad_address);
    CHECK(object.find_or_add(2).error() == errc::bad_address);
    auto const page = object.find_or_add(1);
    REQUIRE(page.has_value());
    CHECK(object.find_or_add(1).value_or(pfn{}) == *page);
    CHECK(object.find(1).value_or(pfn{}) == *page);
    CHECK(w.frames.ref_count(*page) == 5);  // the pool's, the object's, and three of ours
    w.frames.put(*page, 3);
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 2, 1});
    CHECK(w.frames.attributes(*page) ==
          frame_attributes{frame_attribute::hugetlb, frame_attribute::shmem});
}

TEST_CASE("what the owner unmaps is promised to nobody any more", "[hugetlb]") {
    hugetlb_world w;
    object_type object{w.pool, 3};
    REQUIRE(w.map(object, 3 * 512).has_value());
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 3, 3});
    CHECK(w.space.munmap(w.me, w.span(512, 512)).has_value());
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 3, 2});
    mremap_flags const moves{mremap_flag::may_move, mremap_flag::fixed};
    CHECK(mmhold::mremap(w.me, w.space, w.span(0, 512), page_count{512}, moves,
                         w.base.plus_pages(4096)));
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 3, 2});
    CHECK(w.space.munmap(w.me, w.span(4096, 512)).has_value());
    CHECK(w.space.munmap(w.me, w.span(1024, 512)).has_value());
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 3, 0});
}

TEST_CASE("truncation in whole pages takes pages, and what was promised of shared ones",
          "[hugetlb]") {
    hugetlb_world w;
    object_type object{w.pool, 3};
    for (std::uint64_t const index : {0U, 1U}) w.frames.put(*object.find_or_add(index));
    CHECK(object.resize(w.me, hugetlb_bytes + page_size).error() == errc::invalid_argument);
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 1, 1});
    CHECK(object.resize(w.me, hugetlb_bytes).has_value());
    CHECK(object.leaves() == 1);
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 2, 0});
    CHECK(object.find(1).error() == errc::bad_address);
    CHECK(object.resize(w.me, 3 * hugetlb_bytes).has_value());
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 2, 0});
    object_type other{w.pool, 2};  // all that is left
    CHECK(object.find_or_add(1).error() == errc::no_memory);
}

TEST_CASE("a hole is made of whole pages, and parts become zero", "[hugetlb]") {
    hugetlb_world w{frame_bytes::owned};
    object_type object{w.pool, 3};
    auto const byte = [&](std::uint64_t at) -> std::byte& {
        auto const page = *object.find_or_add(at / hugetlb_bytes);
        w.frames.put(page);
        return w.frames.bytes(page.plus(at % hugetlb_bytes / page_size))[at % page_size];
    };
    auto const from = hugetlb_bytes / 2 + 7;
    auto const end = 2 * hugetlb_bytes + page_size + 5;
    for (auto const at : {from - 1, from, hugetlb_bytes, end - 1, end}) byte(at) = std::byte{1};
    CHECK(object.punch(w.me, from, 0).error() == errc::invalid_argument);
    CHECK(object.punch(w.me, from, ~std::uint64_t{0}).error() == errc::invalid_argument);
    CHECK(object.punch(w.me, from, end - from).has_value());
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 1, 0});
    CHECK(object.find(1).error() == errc::again);
    CHECK(byte(from - 1) == std::byte{1});
    CHECK(byte(from) == std::byte{0});
    CHECK(byte(hugetlb_bytes) == std::byte{0});
    CHECK(byte(end - 1) == std::byte{0});
    CHECK(byte(end) == std::byte{1});
    byte(end - 1) = std::byte{1};
    CHECK(object.punch(w.me, end - 1, 1).has_value());  // inside one page
    CHECK(byte(end - 1) == std::byte{0});
    CHECK(byte(end) == std::byte{1});
    CHECK(object.punch(w.me, 7 * hugetlb_bytes, hugetlb_bytes).has_value());  // behind the end
}

TEST_CASE("a page that is cut off belongs to whoever holds it, until it is let go", "[hugetlb]") {
    hugetlb_world w;
    object_type object{w.pool, 2};
    auto const page = *object.find_or_add(0);
    CHECK(object.resize(w.me, 0).has_value());
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 2, 0});
    auto const use = [] { return result<void>{}; };
    CHECK(object.while_there(0, page, use).error() == errc::bad_address);
    CHECK(object.resize(w.me, hugetlb_bytes).has_value());
    CHECK(object.while_there(0, page, use).error() == errc::again);
    w.frames.put(page);
    CHECK(w.pool.statistics() == hugetlb_statistics{3, 3, 0});
}
