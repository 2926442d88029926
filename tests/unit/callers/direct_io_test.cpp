// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/direct_io.hpp>

#include "fixture.hpp"

using namespace callers_test;

TEST_CASE("direct_io: moves whole blocks into and out of memory", "[callers]") {
    world host;
    std::vector<std::byte> file(page_size, std::byte{'f'});
    CHECK(direct_io_read(host.mm, host.me, world::page(0).plus(512), file).value_or(0) ==
          page_size);
    CHECK(host.first_byte(0) == 'a');
    CHECK(host.first_byte(1) == 'f');
    CHECK(direct_io_write(host.mm, host.me, world::page(3), file).value_or(0) == page_size);
    CHECK(count_of(file, 'd') == page_size);
    CHECK(host.nothing_held());
    CHECK(host.frames.statistics().pins_acquired == 3);
}

TEST_CASE("direct_io: one bad page fails the whole call, after what is before it has been moved",
          "[callers]") {
    world host;
    std::vector<std::byte> file(2 * page_size, std::byte{'f'});
    CHECK(direct_io_read(host.mm, host.me, world::page(1), file).error() == errc::bad_address);
    CHECK(host.first_byte(1) == 'f');
    CHECK(direct_io_write(host.mm, host.me, world::page(1), file).error() == errc::bad_address);
    CHECK(direct_io_read(host.mm, host.me, world::page(3), std::span{file}.first(512)).error() ==
          errc::bad_address);
    CHECK(host.first_byte(3) == 'd');
    CHECK(host.nothing_held());
}

TEST_CASE("direct_io: lengths are multiples of the block, memory is in user space",
          "[callers][bad-input]") {
    world host;
    std::vector<std::byte> file(1024);
    CHECK(direct_io_read(host.mm, host.me, world::page(0), std::span{file}.first(100)).error() ==
          errc::invalid_argument);
    CHECK(direct_io_write(host.mm, host.me, {~std::uint64_t{0} - 511}, file).error() ==
          errc::bad_address);
    for (auto const no_block : {std::uint64_t{0}, std::uint64_t{1000}}) {
        CHECK(direct_io_read(host.mm, host.me, world::page(0), file, no_block).error() ==
              errc::invalid_argument);
    }
    CHECK(direct_io_read(host.mm, host.me, world::page(2).plus(1), {}).value_or(1) == 0);
}

TEST_CASE("direct_io: memory that is not aligned works within a page, as 6.18 has it",
          "[callers][bad-input]") {
    world host;
    std::vector<std::byte> file(2 * page_size, std::byte{'f'});
    auto const part = [&](std::size_t bytes) { return std::span{file}.first(bytes); };
    CHECK(direct_io_read(host.mm, host.me, world::page(0).plus(1), part(1024)).value_or(0) == 1024);
    CHECK(host.first_byte(0) == 'a');
    CHECK(direct_io_read(host.mm, host.me, world::page(0).plus(1), part(page_size)).error() ==
          errc::invalid_argument);
    CHECK(host.first_byte(1) == 'b');
    CHECK(direct_io_read<rfc_2014>(host.mm, host.me, world::page(0).plus(1), part(512)).error() ==
          errc::invalid_argument);
    // Pages are pinned first: a hole is found before the alignment is looked at.
    CHECK(direct_io_read(host.mm, host.me, world::page(2).plus(1), part(512)).error() ==
          errc::bad_address);
    // In front of a hole whole blocks are moved, if there are any.
    CHECK(direct_io_read(host.mm, host.me, world::page(1).plus(1), part(page_size)).error() ==
          errc::bad_address);
    CHECK(host.first_byte(1) == 'b');
    CHECK(direct_io_write(host.mm, host.me, world::page(1).plus(page_size - 100), part(512))
              .error() == errc::bad_address);
    CHECK(host.nothing_held());
}
