// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <mmhold/vocab/address.hpp>

#include <cstdint>

using namespace mmhold;

namespace {

constexpr std::uint64_t top = ~std::uint64_t{0};
constexpr std::uint64_t two_to(unsigned bits) { return std::uint64_t{1} << bits; }

}  // namespace

TEST_CASE("an address knows its page") {
    virt_addr const inside{0x1234};
    CHECK(inside.offset() == 0x234);
    CHECK_FALSE(inside.page_aligned());
    CHECK(inside.page_start() == virt_addr{0x1000});
    CHECK(virt_addr{0x1000}.page_aligned());
    CHECK(virt_addr{0}.page_aligned());
    CHECK(virt_addr{top}.offset() == page_size - 1);
    CHECK(virt_addr{top}.page_start() == virt_addr{top - (page_size - 1)});
}

TEST_CASE("addresses move by bytes and by pages, modulo 2^64") {
    CHECK(virt_addr{0x1000}.plus(5) == virt_addr{0x1005});
    CHECK(virt_addr{0x1000}.plus_pages(2) == virt_addr{0x3000});
    CHECK(virt_addr{top}.plus(1) == virt_addr{0});
    CHECK(virt_addr{top}.page_start().plus_pages(1) == virt_addr{0});
    CHECK(virt_addr{0}.plus_pages(two_to(52)) == virt_addr{0});
}

TEST_CASE("addresses compare as numbers") {
    CHECK(virt_addr{1} < virt_addr{2});
    CHECK(virt_addr{two_to(63)} > virt_addr{1});
    CHECK(virt_addr{} == virt_addr{0});
}

TEST_CASE("an address is canonical if its unused bits repeat the highest used one") {
    for (unsigned bits : {48U, 57U}) {
        INFO("virtual bits: " << bits);
        auto const lower_end = two_to(bits - 1);
        CHECK(is_canonical({0}, bits));
        CHECK(is_canonical({lower_end - 1}, bits));
        CHECK_FALSE(is_canonical({lower_end}, bits));
        CHECK_FALSE(is_canonical({two_to(bits)}, bits));
        CHECK_FALSE(is_canonical({top - lower_end}, bits));
        CHECK(is_canonical({top - lower_end + 1}, bits));
        CHECK(is_canonical({top}, bits));
    }
    CHECK(is_canonical({two_to(50)}, 57));
    CHECK_FALSE(is_canonical({two_to(50)}, 48));
    CHECK(is_canonical({two_to(63)}, 64));
}

TEST_CASE("user space ends one page below half of the canonical space") {
    CHECK(task_size_max(48) == virt_addr{0x7fff'ffff'f000});
    CHECK(task_size_max(57) == virt_addr{0xff'ffff'ffff'f000});
}

TEST_CASE("a pfn counts frames") {
    CHECK(pfn{7}.plus(3) == pfn{10});
    CHECK(pfn{7} < pfn{8});
    CHECK(pfn{} == pfn{0});
}
