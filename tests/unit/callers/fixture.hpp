// SPDX-License-Identifier: BSL-1.0
#pragma once

// A small space whose frames own their bytes, for the callers of gup.
//
//   page 0, 1   private, written to: 'a', 'b'        page 2   a hole
//   page 3      private, read-only, present: 'd'     page 4   no rights, untouched
//   page 5      private, read and write, untouched   page 6   shared, read-only, untouched

#include "support/small_space.hpp"
#include <mmhold/gup/over_space.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace callers_test {

using namespace mmhold;

struct world : mmhold_test::small_space<> {
    world() : small_space{256, frame_bytes::owned} {
        auto const at = [](std::uint64_t number) { return page(number); };
        (void)map({.hint = at(0), .pages = page_count{2}});
        (void)map({.hint = at(3), .pages = page_count{1}, .prot = prot::r});
        (void)map({.hint = at(4), .pages = page_count{1}, .prot = prot::none});
        (void)map({.hint = at(5), .pages = page_count{1}});
        (void)map(
            {.hint = at(6), .pages = page_count{1}, .prot = prot::r, .flags = mmap_flag::shared});
        for (std::uint64_t const number : {0U, 1U, 3U}) {
            auto const frame = fill(number, number == 3 ? prot::r : prot::rw);
            std::ranges::fill(frames.bytes(frame), std::byte(letter(number)));
        }
        unused_ = frames.statistics().free;
    }

    static unsigned char letter(std::uint64_t number) {
        return static_cast<unsigned char>('a' + number);
    }
    /// The first byte of a present page.
    char first_byte(std::uint64_t number) {
        return static_cast<char>(frames.bytes(entry(number).target).front());
    }
    /// Have all pages that were taken been given back (beside what faults have put in place)?
    bool nothing_held() {
        for (std::uint64_t number = 0; number < 8; ++number) {
            auto const leaf = entry(number);
            if (!leaf.is_leaf() || leaf.special) continue;
            auto const cached = frames.kind(leaf.target) == frame_kind::page_cache;
            if (frames.ref_count(leaf.target) != (cached ? 2U : 1U)) return false;
        }
        return frames.statistics().pins_acquired == frames.statistics().pins_released;
    }

    std::uint64_t unused_ = 0;
};

template<std::size_t N>
std::array<std::byte, N> filled(char with) {
    std::array<std::byte, N> out{};
    out.fill(std::byte(static_cast<unsigned char>(with)));
    return out;
}

inline std::size_t count_of(std::span<std::byte const> in, char what) {
    return static_cast<std::size_t>(
        std::ranges::count(in, std::byte(static_cast<unsigned char>(what))));
}

}  // namespace callers_test
