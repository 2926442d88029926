// SPDX-License-Identifier: BSL-1.0
#include <mmhold/space/object_bytes.hpp>

#include "unit/space/object_world.hpp"

#include <algorithm>
#include <span>
#include <vector>

using namespace mmhold_test;

namespace {

std::vector<std::byte> const sevens(3 * page_size, std::byte{7});

std::vector<std::byte> read_all(object_world& world, std::uint64_t offset, std::size_t most) {
    std::vector<std::byte> bytes(most, std::byte{99});
    auto const got = read_object(world.object, offset, std::span{bytes});
    CHECK(got.stop == errc::ok);
    bytes.resize(got.bytes);
    return bytes;
}

}  // namespace

TEST_CASE("shared memory: written bytes are read back, holes are zeroes", "[space]") {
    object_world world;
    auto const text = std::span{sevens}.first(5000);
    CHECK(write_object(world.object, 4000, text) == object_transfer{5000, errc::ok});
    CHECK(world.object.cached_pages() == 3);
    auto const back = read_all(world, 3999, 5002);
    CHECK(back.front() == std::byte{0});
    CHECK(back.back() == std::byte{0});
    CHECK(std::count(back.begin(), back.end(), std::byte{7}) == 5000);
    CHECK(read_all(world, 7 * page_size, 10) == std::vector<std::byte>(10, std::byte{0}));
    CHECK(world.object.cached_pages() == 3);
}

TEST_CASE("reading ends at the end, writing moves it", "[space]") {
    object_world world{object_kind::shmem, 1};
    CHECK(read_all(world, 4090, 100).size() == 6);
    CHECK(read_all(world, page_size, 100).empty());
    CHECK(write_object(world.object, 2 * page_size, std::span{sevens}.first(10)).bytes == 10);
    CHECK(world.object.size() == 2 * page_size + 10);
    CHECK(read_all(world, 2 * page_size, 100) == std::vector<std::byte>(10, std::byte{7}));
    CHECK(read_all(world, 0, 0).empty());
}

TEST_CASE("what is mapped shows what is written, and the page is dirty", "[space]") {
    object_world world;
    world.map(world.one, 0, 0, 8);
    auto const page = world.touch(world.one, 1, 1);
    CHECK(write_object(world.object, page_size + 8, std::span{sevens}.first(1)).bytes == 1);
    CHECK(world.frames.bytes(page)[8] == std::byte{7});
    CHECK(world.frames.dirty(page));
}

TEST_CASE("a file: what is not cached must be read in, unless it is written whole", "[space]") {
    object_world world{object_kind::file, 2};
    std::vector<std::byte> bytes(page_size);
    CHECK(read_object(world.object, 0, std::span{bytes}) == object_transfer{0, errc::again});
    auto const whole = std::span{sevens}.first(page_size);
    CHECK(write_object(world.object, 1, whole) == object_transfer{0, errc::again});
    CHECK(write_object(world.object, 0, whole) == object_transfer{page_size, errc::ok});
    CHECK(write_object(world.object, page_size - 4, std::span{sevens}.first(8)) ==
          object_transfer{4, errc::again});
    CHECK(write_object(world.object, 2 * page_size, std::span{sevens}.first(8)).bytes == 8);
}

TEST_CASE("secret memory has no file behind it", "[space][bad-input]") {
    object_world world{object_kind::secret};
    std::vector<std::byte> bytes(10);
    CHECK(read_object(world.object, 0, std::span{bytes}).stop == errc::invalid_argument);
    CHECK(write_object(world.object, 0, std::span{sevens}).stop == errc::invalid_argument);
}

TEST_CASE("no frames: the count says how far it came", "[space][no-memory]") {
    object_world world{object_kind::shmem, 300};
    std::vector<std::byte> const much(300 * page_size, std::byte{1});
    CHECK(write_object(world.object, 0, std::span{much}) ==
          object_transfer{256 * page_size, errc::no_memory});
    CHECK(write_object(world.object, ~std::uint64_t{0}, std::span{sevens}).stop == errc::overflow);
}
