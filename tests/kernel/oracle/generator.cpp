// SPDX-License-Identifier: BSL-1.0
#include "generator.hpp"

#include <algorithm>
#include <array>

namespace oracle {

using namespace parity;

namespace {

constexpr std::uint64_t pages_in_use = 14;

}  // namespace

generator::generator(std::uint64_t seed, menu from)
    : random_{seed * 0x9e3779b97f4a7c15U + 1}, from_{std::move(from)} {}

script generator::next() {
    script out;
    auto const first = 1 + below(3);
    auto const steps = first + 3 + below(16);
    while (out.size() < steps) {
        auto one = out.size() < first ? mapping() : one_in(3) ? change() : call();
        if (one_in(20) && out.size() >= first) spoil(one);
        out.push_back(one);
    }
    return out;
}

step generator::mapping() {
    constexpr std::array<unsigned, 10> rights{3, 3, 3, 3, 3, 1, 2, 0, 5, 4};
    step one{op::map};
    one.of = from_.kinds[below(from_.kinds.size())];
    one.prot = rights[below(rights.size())];
    auto const pages = 1 + below(5);
    one.at = arena_page(below(pages_in_use));
    one.bytes = pages * page_bytes;
    return one;
}

step generator::change() {
    step one{from_.changes[below(from_.changes.size())]};
    if (one.what == op::map) return mapping();
    if (one.what == op::close_faults) {
        constexpr std::array servers{memory::faults, memory::faults_bus, memory::faults_user};
        one.of = servers[below(servers.size())];
        return one;
    }
    one.prot = static_cast<unsigned>(one_in(2) ? 3 : below(8));
    one.at = arena_page(below(pages_in_use));
    one.bytes = one_in(4) ? some_length() : (1 + below(4)) * page_bytes;
    return one;
}

step generator::call() {
    step one{from_.calls[below(from_.calls.size())]};
    auto const page = arena_page(below(pages_in_use));
    switch (one.what) {
        case op::peek:
        case op::poke:
            one.at = page + (one_in(2) ? page_bytes - 4 : below(page_bytes)), one.bytes = 8;
            return one;
        case op::wake:
        case op::wake_op:
        case op::wake_private:
            one.at = page + (one_in(10) ? below(99) : 4 * below(1024)), one.bytes = 4;
            return one;
        case op::policy: one.at = page + below(page_bytes), one.bytes = 4; return one;
        case op::direct_read:
        case op::direct_write:
            one.at = page + (one_in(2) ? 512 * below(8) : 0);
            one.bytes = 512 * (1 + below(one_in(2) ? 8 : 40));
            return one;
        case op::populate_read:
        case op::populate_write: one.at = page, one.bytes = some_length(); return one;
        default:
            one.at = page + (one_in(2) ? below(page_bytes) : 0), one.bytes = some_length();
            return one;
    }
}

std::uint64_t generator::some_length() {
    switch (below(4)) {
        case 0: return 1 + below(100);
        case 1: return page_bytes;
        case 2: return (1 + below(6)) * page_bytes;
        default: return 1 + below(6 * page_bytes);
    }
}

/// Arguments that are refused, or should be.
void generator::spoil(step& one) {
    if (one.what == op::map || one.what == op::close_faults) return;
    auto const changes_layout = one.what > op::map;
    constexpr std::array<std::uint64_t, 7> strange{0x1000,
                                                   0x00007ffffffff000U,
                                                   0x0000800000000000U,
                                                   0xffff888000000000U,
                                                   0xffffffffff600000U,
                                                   0xfffffffffffff000U,
                                                   0xfffffffffffffe00U};
    switch (below(3)) {
        case 0: one.at = strange[below(strange.size())]; return;
        case 1: one.bytes = 0; return;
        default: break;
    }
    auto const direct = one.what == op::direct_read || one.what == op::direct_write;
    if (changes_layout) {
        one.at += 1 + below(page_bytes - 1);
    } else if (direct) {
        // Of the memory's alignment the driver decides (deviations.cpp), of a write's length the
        // file system, and not always in the same way.
        if (one.what == op::direct_read) one.bytes ^= below(8);
    } else {
        one.at ^= below(8);
    }
}

}  // namespace oracle
