// SPDX-License-Identifier: BSL-1.0
#include <mmhold/laws/page_format.hpp>
#include <mmhold/paging/x86_64.hpp>

#include "support/catch.hpp"

#include <string>

using namespace mmhold;

static_assert(page_format_laws<x86_64<4>>());
static_assert(page_format_laws<x86_64<5>>());
static_assert(page_format_laws<x86_64_radix<2, 1>>());
static_assert(page_format_laws<x86_64_radix<3, 2>>());

namespace {

/// A format that breaks one law each.
struct forgets_dirty : x86_64<4> {
    static constexpr page_entry decode(word w, unsigned level) noexcept {
        auto e = x86_64<4>::decode(w, level);
        if (e.is_leaf()) e.dirty = false;
        return e;
    }
};
struct zero_is_a_leaf : x86_64<4> {
    static constexpr page_entry decode(word w, unsigned level) noexcept {
        return w == 0 ? page_entry::leaf_to(pfn{0}, prot::rw) : x86_64<4>::decode(w, level);
    }
};
struct leaves_everywhere : x86_64<4> {
    static constexpr std::uint64_t leaf_pages(unsigned level) noexcept {
        return std::uint64_t{1} << (9 * level);
    }
};
struct skips_a_bit : x86_64<4> {
    static constexpr unsigned index(virt_addr at, unsigned level) noexcept {
        return x86_64<4>::index(virt_addr{at.value >> 1}, level);
    }
};
struct uses_the_wrong_bit : x86_64<4> {
    static constexpr word used_bits(mmhold::access) noexcept { return 2; }
};
struct too_wide : x86_64<4> {
    static constexpr unsigned virtual_bits = 57;
};

template<class F>
std::string broken_law() {
    auto const report = page_format_laws<F>();
    return report ? "" : report.law;
}

}  // namespace

TEST_CASE("page_format laws: x86_64 keeps them for every set of flags") {
    REQUIRE(page_format_laws<x86_64<4>>(law_effort::thorough));
    REQUIRE(page_format_laws<x86_64<5>>(law_effort::thorough));
}

TEST_CASE("page_format laws: a broken format is named by the law it breaks") {
    REQUIRE(broken_law<x86_64<4>>().empty());
    REQUIRE(broken_law<forgets_dirty>() == "round trip");
    REQUIRE(broken_law<zero_is_a_leaf>() == "absence");
    REQUIRE(broken_law<leaves_everywhere>() == "leaves");
    REQUIRE(broken_law<skips_a_bit>() == "geometry");
    REQUIRE(broken_law<uses_the_wrong_bit>() == "use");
    REQUIRE(broken_law<too_wide>() == "geometry");
}

TEST_CASE("page_format laws: quick tries every flag alone, every pair, and all") {
    unsigned count = 0;
    for (unsigned chosen = 0, last = 0; chosen < 1U << detail::entry_flags; ++count) {
        REQUIRE((count == 0 || chosen > last));
        last = chosen;
        chosen = detail::next_flags(chosen, law_effort::quick);
    }
    REQUIRE(count == 1 + 11 + 55 + 1);
}
