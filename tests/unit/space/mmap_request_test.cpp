// SPDX-License-Identifier: BSL-1.0
#include <mmhold/space/mmap_request.hpp>

#include "support/catch.hpp"

#include <cstdint>

using namespace mmhold;

namespace {

constexpr auto end = task_size_max(48);
constexpr auto user_pages = end.value / page_size;

static_assert(check_mmap_request({.pages = page_count{1}}, end) == errc::ok);
static_assert(check_mmap_request({.pages = page_count{0}}, end) == errc::invalid_argument);

}  // namespace

TEST_CASE("mmap(2): no pages are invalid, too many are no memory") {
    CHECK(check_mmap_request({.pages = page_count{user_pages}}, end) == errc::ok);
    CHECK(check_mmap_request({.pages = page_count{user_pages + 1}}, end) == errc::no_memory);
    CHECK(check_mmap_request({.pages = page_count{~std::uint64_t{0}}}, end) == errc::no_memory);
}

TEST_CASE("mmap(2): the pages of a file have numbers below 2^64") {
    mmap_request request{.pages = page_count{2}, .kind = vma_kind::file, .file = 1};
    request.file_page = ~std::uint64_t{0} - 2;
    CHECK(check_mmap_request(request, end) == errc::ok);
    request.file_page = ~std::uint64_t{0} - 1;
    CHECK(check_mmap_request(request, end) == errc::overflow);
    request.file = 0;
    CHECK(check_mmap_request(request, end) == errc::ok);
}

TEST_CASE("a request becomes a mapping") {
    auto const span = *page_span::from(virt_addr{16 * page_size}, page_count{2});
    mmap_request request{.pages = page_count{2},
                         .prot = prot::r,
                         .flags = mmap_flag::shared,
                         .kind = vma_kind::file,
                         .may = prot::rx,
                         .properties = vma_flag::dirty_tracked,
                         .pkey = 3,
                         .file = 8,
                         .file_page = 5,
                         .name = vma_name{"libc.so"}};
    auto const area = make_vma(request, span);
    CHECK(area.span == span);
    CHECK(area.prot == prot::r);
    CHECK(area.may == prot::rx);
    CHECK(area.flags == vma_flags{vma_flag::shared, vma_flag::dirty_tracked});
    CHECK(area.kind == vma_kind::file);
    CHECK(area.pkey == 3);
    CHECK(area.file == 8);
    CHECK(area.file_page == 5);
    CHECK(area.name.view() == "libc.so");
}

TEST_CASE("shared anonymous memory is shared memory") {
    auto const area = make_vma({.pages = page_count{1}, .flags = mmap_flag::shared}, {});
    CHECK(area.kind == vma_kind::shmem);
    CHECK_FALSE(is_anonymous(area));
    CHECK(is_anonymous(make_vma({.pages = page_count{1}}, {})));
}

TEST_CASE("shared anonymous memory wants an object of its own, unless somebody answers for it") {
    mmap_request request{.pages = page_count{1}, .flags = mmap_flag::shared};
    CHECK(wants_own_object(request));
    request.file = 3;
    CHECK_FALSE(wants_own_object(request));
    request.file = 0;
    request.kind = vma_kind::shmem;
    CHECK_FALSE(wants_own_object(request));
    CHECK_FALSE(wants_own_object({.pages = page_count{1}}));
}

TEST_CASE("an object of its own is secret if the mapping is") {
    mmap_request request{.pages = page_count{1}, .flags = mmap_flag::shared};
    CHECK(kind_of_own_object(request) == object_kind::shmem);
    request.properties = {vma_flag::secret, vma_flag::locked};
    CHECK(kind_of_own_object(request) == object_kind::secret);
}

TEST_CASE("the pages of an object have numbers below 2^64, and the mapping names it") {
    struct nothing : memory_object {
        nothing() : memory_object{object_kind::shmem} {}
    } object;
    mmap_request request{.pages = page_count{2}, .object = &object};
    CHECK(make_vma(request, {}).object == &object);
    request.file_page = ~std::uint64_t{0} - 1;
    CHECK(check_mmap_request(request, end) == errc::overflow);
}

TEST_CASE("a mapping becomes the request that would make it again") {
    vma area;
    area.span = *page_span::from(virt_addr{8 * page_size}, page_count{3});
    area.prot = prot::r;
    area.may = prot::rw;
    area.flags = {vma_flag::shared, vma_flag::dont_expand};
    area.kind = vma_kind::file;
    area.pkey = 5;
    area.file = 4;
    area.file_page = 17;
    area.name = vma_name{"library"};
    CHECK(make_vma(request_for(area), area.span) == area);
    CHECK(request_for(area).hint == area.span.start());
    area.flags = {};
    area.kind = vma_kind::heap;
    CHECK(make_vma(request_for(area), area.span) == area);
}
