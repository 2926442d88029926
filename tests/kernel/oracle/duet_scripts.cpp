// SPDX-License-Identifier: BSL-1.0
#include "duet.hpp"
#include <array>
#include <utility>

namespace oracle {

using namespace parity;

namespace {

/// Three pages, A, B and C, of which B is missing, and then room.
constexpr std::uint64_t a = 2, b = 3, c = 4;

step on(std::uint64_t page, op what, memory of = memory::faults, unsigned prot = 3) {
    return {what, of, prot, arena_page(page), page_bytes};
}

script three_pages() {
    return {{op::map, memory::own, 3, arena_page(a), 3 * page_bytes},
            {op::store, memory::own, 3, arena_page(a), 3 * page_bytes},
            on(b, op::map)};
}

/// The same with B write-protected.
script protected_page() {
    auto placed = on(b, op::fill, memory::faults_wp);
    auto marked = on(b, op::wp_on, memory::faults_wp);
    return {{op::map, memory::own, 3, arena_page(a), 3 * page_bytes},
            {op::store, memory::own, 3, arena_page(a), 3 * page_bytes},
            on(b, op::map, memory::faults_wp),
            placed,
            marked};
}

/// The same with B in its object but not mapped.
script minor_page() {
    return {{op::map, memory::own, 3, arena_page(a), 3 * page_bytes},
            {op::store, memory::own, 3, arena_page(a), 3 * page_bytes},
            on(b, op::map, memory::faults_minor)};
}

std::uint64_t length_of(op call) {
    switch (call) {
        case op::peek:
        case op::poke: return 8;
        case op::wake:
        case op::wake_op:
        case op::wake_private:
        case op::policy: return 4;
        default: return 3 * page_bytes;
    }
}

}  // namespace

std::vector<duet> named_duets(std::vector<op> const& calls) {
    auto const fresh = [](std::uint64_t page) { return on(page, op::map, memory::own); };
    std::vector<duet> shapes{
        {.name = "the page is supplied", .acts = {on(b, op::fill)}},
        {.name = "zeroes are supplied", .acts = {on(b, op::zero)}},
        {.name = "the range is unregistered", .acts = {on(b, op::unregister)}},
        {.name = "the descriptor is closed", .acts = {on(b, op::close_faults)}},
        {.name = "the page is unmapped, then woken", .acts = {on(b, op::unmap), on(b, op::awaken)}},
        {.name = "the page loses its rights, then is supplied",
         .acts = {on(b, op::protect, memory::own, 0), on(b, op::fill)}},
        {.name = "the page becomes read-only, then is supplied",
         .acts = {on(b, op::protect, memory::own, 1), on(b, op::fill)}},
        {.name = "the last page is unmapped, then the missing one supplied",
         .acts = {on(c, op::unmap), on(b, op::fill)}},
        {.name = "the first page is discarded", .acts = {on(a, op::discard), on(b, op::fill)}},
        {.name = "the first page is mapped afresh", .acts = {fresh(a), on(b, op::fill)}},
        {.name = "the missing page is mapped afresh, then woken",
         .acts = {fresh(b), on(b, op::awaken)}},
        {.name = "the last page is mapped afresh", .acts = {fresh(c), on(b, op::fill)}},
        {.name = "woken without being supplied",
         .acts = {on(b, op::awaken), on(b, op::awaken), on(b, op::fill)}},
        {.name = "another range is woken", .acts = {on(a, op::awaken), on(b, op::fill)}},
    };
    for (auto& shape : shapes) shape.before = three_pages();
    auto const on_wp = [](op what) { return on(b, what, memory::faults_wp); };
    auto const add = [&](char const* name, script before, script acts) {
        shapes.push_back({.name = name, .before = std::move(before), .acts = std::move(acts)});
    };
    add("the protection is lifted", protected_page(), {on_wp(op::wp_off)});
    add("woken, the protection stays, then it is lifted", protected_page(),
        {on_wp(op::awaken), on_wp(op::wp_off)});
    add("the protected range is unregistered", protected_page(), {on_wp(op::unregister)});
    add("the protected page is discarded, then supplied", protected_page(),
        {on(b, op::discard), on_wp(op::awaken), on_wp(op::fill)});
    add("the page's object has it", minor_page(), {on(b, op::go_on, memory::faults_minor)});
    add("another page than the object's is supplied", minor_page(),
        {on(b, op::fill, memory::faults_minor), on(b, op::go_on, memory::faults_minor)});
    std::vector<duet> out;
    for (auto const call : calls) {
        for (auto shape : shapes) {
            shape.name = std::string{name_of(call)} + ": " + shape.name;
            shape.call = {call, memory::own, 3, arena_page(length_of(call) > 8 ? a : b),
                          length_of(call)};
            out.push_back(std::move(shape));
        }
    }
    return out;
}

duet_generator::duet_generator(std::uint64_t seed, std::vector<op> calls)
    : random_{seed * 0x9e3779b97f4a7c15U + 7}, calls_{std::move(calls)} {}

/// Five pages in use, one to three of them missing; the call begins anywhere in front.
duet duet_generator::next() {
    if (below(3) == 0) return next_told();
    duet out;
    out.before = {{op::map, memory::own, 3, arena_page(a), 5 * page_bytes},
                  {op::store, memory::own, 3, arena_page(a), 5 * page_bytes}};
    auto const first = a + below(4);
    constexpr std::array kinds{memory::faults, memory::faults, memory::faults_wp,
                               memory::faults_shared, memory::faults_minor};
    of_ = kinds[below(kinds.size())];
    auto missing = on(first, op::map, of_);
    missing.bytes = (1 + below(a + 5 - first)) * page_bytes;
    out.before.push_back(missing);
    if (of_ == memory::faults_wp && below(3) != 0) {
        for (auto const what : {op::fill, op::wp_on}) {
            missing.what = what;
            out.before.push_back(missing);
        }
    }
    out.call.what = calls_[below(calls_.size())];
    auto const whole = length_of(out.call.what) > 8;
    auto const aligned = out.call.what == op::direct_read || out.call.what == op::direct_write ||
                         out.call.what == op::populate_read || out.call.what == op::populate_write;
    auto const offset = aligned || !whole || below(2) == 0 ? 0 : below(page_bytes);
    out.call.at = arena_page(whole ? a + below(3) : first) + offset;
    out.call.bytes = whole ? (1 + below(5)) * page_bytes : length_of(out.call.what);
    auto const acts = 1 + below(6);
    for (std::uint64_t i = 0; i < acts; ++i) out.acts.push_back(act());
    return out;
}

step duet_generator::act() {
    constexpr std::array usual{op::fill,   op::fill,       op::zero,        op::awaken,
                               op::awaken, op::unmap,      op::discard,     op::protect,
                               op::map,    op::map,        op::protect,     op::fill,
                               op::fill,   op::unregister, op::close_faults};
    auto what = usual[below(usual.size())];
    if (of_ == memory::faults_wp && below(3) == 0) what = below(3) == 0 ? op::wp_on : op::wp_off;
    if (of_ == memory::faults_minor && what == op::fill && below(4) != 0) what = op::go_on;
    auto one = on(a + below(5), what, of_);
    one.bytes = (1 + below(3)) * page_bytes;
    if (one.what == op::protect) one.prot = static_cast<unsigned>(below(4));
    if (one.what == op::map && below(2) == 0) one.of = memory::own;
    // Rarely: it ends everything.
    if (one.what == op::close_faults && below(4) != 0) one.what = op::fill;
    return one;
}

}  // namespace oracle
