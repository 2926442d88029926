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
    large_ = false;
    has_ = {};
    auto const first = 1 + below(3);
    auto const steps = first + 3 + below(16);
    while (out.size() < steps) {
        auto one = out.size() < first ? mapping() : one_in(3) ? change() : call();
        if (one_in(20) && out.size() >= first) spoil(one);
        out.push_back(one);
    }
    return out;
}

/// Small pages, or a few around the ends of large ones where there are such.
std::uint64_t generator::some_page() {
    auto const in_large = large_ && one_in(2);
    if (!in_large) return arena_page(below(pages_in_use));
    constexpr std::array<std::uint64_t, 6> inside{0, 0, 1, 255, 510, 511};
    return large_page(512 * below(4) + inside[below(inside.size())]);
}

/// What else a script maps decides whether it may map this: a ring is placed by the kernel, which
/// keeps away from stacks.
bool generator::goes_with_the_others(memory of) const {
    if (of == memory::ring) return !has_[static_cast<std::size_t>(memory::stack)];
    return of != memory::stack || !has_[static_cast<std::size_t>(memory::ring)];
}

/// May the script do this to what it has mapped so far? Pages that a pager on another cpu has
/// supplied are known to reclaim only when that cpu finds the time; and what a pager is told of
/// mremap and fork is for two actors (told_scripts.cpp).
bool generator::goes_with_the_mappings(op what) const {
    auto const any_of = [this](auto test) {
        for (std::size_t i = 0; i < memories; ++i) {
            if (has_[i] && test(static_cast<memory>(i))) return true;
        }
        return false;
    };
    switch (what) {
        case op::page_out: return !any_of(has_faults);
        case op::remap:
        case op::fork: return !any_of(is_told);
        default: return true;
    }
}

step generator::mapping() {
    constexpr std::array<unsigned, 10> rights{3, 3, 3, 3, 3, 1, 2, 0, 5, 4};
    step one{op::map};
    one.of = from_.kinds[below(from_.kinds.size())];
    if (!goes_with_the_others(one.of)) one.of = memory::own;
    has_[static_cast<std::size_t>(one.of)] = true;
    one.prot = rights[below(rights.size())];
    auto const pages = 1 + below(5);
    one.at = arena_page(below(pages_in_use));
    one.bytes = pages * page_bytes;
    if (is_large(one.of)) {
        large_ = true;
        one.at = large_page(512 * below(4));
        one.bytes = large_bytes * (1 + below(2));
    }
    return one;
}

/// Half of all changes are those that every script needs.
step generator::change() {
    auto what = from_.changes[below(from_.changes.size())];
    for (int tries = 0; tries < 20 && one_in(2) && area_of(what) != area::core; ++tries) {
        what = from_.changes[below(from_.changes.size())];
    }
    if (!goes_with_the_mappings(what)) what = op::discard;
    step one{what};
    if (what == op::map || (what == op::fork && one_in(2))) return mapping();
    one.prot = static_cast<unsigned>(one_in(2) ? 3 : below(8));
    one.at = some_page();
    one.bytes = one_in(4) ? some_length() : (1 + below(4)) * page_bytes;
    if (large_ && one_in(4)) one.bytes = large_bytes;
    if (what == op::fork) one.how = static_cast<unsigned>(below(3));
    if (what == op::close_faults) {
        constexpr std::array servers{
            memory::faults,      memory::faults_bus,     memory::faults_user,
            memory::faults_wp,   memory::faults_shared,  memory::faults_minor,
            memory::faults_told, memory::faults_removed, memory::faults_told_shared};
        one.of = servers[below(servers.size())];
    } else if (what == op::keep || what == op::register_buffers) {
        one.bytes = some_length();
    } else if (what == op::truncate) {
        one.to_bytes = below(6) * page_bytes + (one_in(2) ? 0 : below(page_bytes));
        if (large_ && one_in(2)) one.to_bytes = below(3) * large_bytes;
    } else if (what == op::advise) {
        // All but those with a step of their own, and some that nobody knows.
        constexpr std::array<unsigned, 20> numbers{0,  1,  2,  3,  12, 13, 14, 15, 16, 17,
                                                   20, 20, 20, 20, 24, 24, 24, 26, 5,  104};
        one.how = numbers[below(numbers.size())];
    }
    add_target(one);
    return one;
}

/// Where to, and with which flags, for the steps that say so.
void generator::add_target(step& one) {
    if (area_of(one.what) == area::uffd) {
        constexpr std::array servers{memory::faults,
                                     memory::faults_wp,
                                     memory::faults_wp,
                                     memory::faults_shared,
                                     memory::faults_minor,
                                     memory::faults_told,
                                     memory::faults_told_shared};
        one.of = servers[below(servers.size())];
        one.how = static_cast<unsigned>(below(2));
        one.to = some_page();
    }
    if (one.what != op::remap) return;
    // MREMAP_MAYMOVE | FIXED | DONTUNMAP, and some that contradict each other
    constexpr std::array<unsigned, 12> flags{0, 0, 1, 3, 3, 3, 3, 5, 7, 7, 2, 4};
    one.how = flags[below(flags.size())];
    one.to = some_page();
    one.to_bytes = one_in(2) ? one.bytes : (1 + below(5)) * page_bytes;
    if (one_in(8)) one.bytes = 0;  // of a shared mapping: it is mapped once more
    if (one_in(20)) one.to += 1 + below(page_bytes - 1);
    if (one_in(20)) one.to_bytes = one_in(2) ? 0 : ~std::uint64_t{0} >> below(16);
}

step generator::call() {
    step one{from_.calls[below(from_.calls.size())]};
    auto const page = some_page();
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
            // Odd lengths, and odd places across pages, are judged extent by extent of the file.
            one.at = page + (one_in(2) ? 512 * below(8) : 0);
            one.bytes = 512 * (1 + below(one_in(2) ? 8 : 40));
            if (one_in(8)) one.at = page + 1 + below(511), one.bytes = 512 * (1 + below(7));
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
    auto const bare = one.what >= op::close_faults && area_of(one.what) == area::core;
    if (one.what == op::map || bare) return;
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
    if (changes_layout) {
        one.at += 1 + below(page_bytes - 1);
    } else if (one.what != op::direct_read && one.what != op::direct_write) {
        one.at ^= below(8);
    }
}

}  // namespace oracle
