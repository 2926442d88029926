// SPDX-License-Identifier: BSL-1.0
// mremap.
#include "linux_process.hpp"
#include <array>

namespace parity {

/// Answers the page of the arena where the mapping is now; elsewhere: place_elsewhere.
std::int64_t linux_process::remap_step(step const& one) {
    std::array<unsigned char, 1> unused{};
    std::uint64_t moving = 0;  // bit n: page n of what moves is mapped
    std::uint64_t secret = 0;
    for (std::uint64_t n = 0; n < arena_pages; ++n) {
        auto const at = one.bytes == 0 ? one.at : one.at + n * page_bytes;
        auto const page = (at - arena_start) / page_bytes;
        if (at < arena_start || page >= arena_pages) break;
        auto const mapped = mincore(address(at), page_bytes, unused.data()) == 0;
        moving |= std::uint64_t{mapped} << n;
        secret |= (secret_pages_ >> page & 1U) << n;
    }
    auto* const got = mremap(address(one.at), one.bytes, one.to_bytes, static_cast<int>(one.how),
                             address(one.to));
    if (got == MAP_FAILED) return outcome(-1);
    auto const now = reinterpret_cast<std::uint64_t>(got);
    auto const first = (now - arena_start) / page_bytes;
    if (now < arena_start || first >= arena_pages) return place_elsewhere;
    for (std::uint64_t n = 0; n * page_bytes < one.to_bytes && first + n < arena_pages; ++n) {
        auto const from = n * page_bytes < one.bytes ? n : 0;
        if ((moving >> from & 1U) == 0) continue;
        auto const bit = std::uint64_t{1} << (first + n);
        secret_pages_ = (secret >> from & 1U) != 0 ? secret_pages_ | bit : secret_pages_ & ~bit;
    }
    return static_cast<std::int64_t>(first);
}

}  // namespace parity
