// SPDX-License-Identifier: BSL-1.0
// Duets about what a userfaultfd is told of beside faults.
#include "duet.hpp"
#include <array>
#include <utility>

namespace oracle {

using namespace parity;

namespace {

/// Four pages from here on, of which the second one has been supplied; and far from them another
/// place.
constexpr std::uint64_t first = 2, second = 3, third = 4, far = 20;
constexpr unsigned may_move = 1, fixed = 3, dont_unmap = 7;

step on(std::uint64_t page, op what, memory of = memory::faults_told, std::uint64_t pages = 1) {
    return {what, of, 3, arena_page(page), pages * page_bytes};
}
step moved(std::uint64_t from, std::uint64_t pages, std::uint64_t to, std::uint64_t to_pages,
           unsigned how) {
    auto one = on(from, op::remap, memory::own, pages);
    one.to = arena_page(to);
    one.to_bytes = to_pages * page_bytes;
    one.how = how;
    return one;
}
step read_by_child(std::uint64_t page) {
    auto one = on(page, op::fork, memory::own);
    one.how = fork_reader;
    return one;
}
script four_pages(memory of) { return {on(first, op::map, of, 4), on(second, op::fill, of)}; }

/// Everything that is told of.
struct told_call {
    char const* name;
    step call;
    memory of;
};
std::vector<told_call> told_calls() {
    constexpr auto own = memory::faults_told;
    constexpr auto shared = memory::faults_told_shared;
    constexpr auto removed = memory::faults_removed;
    return {
        {"munmap", on(second, op::unmap, memory::own, 2), own},
        {"munmap, shared", on(second, op::unmap, memory::own, 2), shared},
        {"munmap of more than there is", on(1, op::unmap, memory::own, 9), own},
        {"mmap over it", on(second, op::map, memory::own, 2), own},
        {"DONTNEED", on(second, op::discard, memory::own, 2), own},
        {"DONTNEED, shared", on(second, op::discard, memory::own, 2), shared},
        {"DONTNEED, nothing else asked for", on(second, op::discard, memory::own, 2), removed},
        {"FREE", on(second, op::lazy_free, memory::own, 2), own},
        {"FREE, shared", on(second, op::lazy_free, memory::own, 2), shared},
        {"REMOVE", on(second, op::remove, memory::own, 2), shared},
        {"REMOVE, private", on(second, op::remove, memory::own, 2), own},
        {"mremap, all", moved(first, 4, far, 4, fixed), own},
        {"mremap, shared", moved(first, 4, far, 4, fixed), shared},
        {"mremap, a part", moved(second, 2, far, 2, fixed), own},
        {"mremap, shorter", moved(first, 4, 0, 2, 0), own},
        {"mremap, elsewhere and shorter", moved(first, 4, far, 2, fixed), own},
        {"mremap, elsewhere and longer", moved(first, 4, far, 6, fixed), own},
        {"mremap, longer in place", moved(first, 4, 0, 6, may_move), own},
        {"mremap, DONTUNMAP", moved(first, 4, far, 4, dont_unmap), own},
        {"mremap, onto itself", moved(second, 1, first, 1, fixed), own},
        {"mremap, no pages", moved(first, 0, far, 2, fixed), shared},
        {"mremap, refused", moved(first, 6, far, 6, fixed), own},
        {"fork", read_by_child(first), own},
        {"fork, shared", read_by_child(first), shared},
        {"fork, nothing of it asked for", read_by_child(second), removed},
        {"munmap, nothing of it asked for", on(second, op::unmap, memory::own, 2), removed},
        {"mremap, nothing of it asked for", moved(second, 2, far, 2, fixed), removed},
    };
}

/// What is done to each of these calls.
void add_each(std::vector<duet>& out) {
    for (auto const& one : told_calls()) {
        auto const of = one.of;
        auto const hear = on(0, op::hear, of);
        auto const put = on(first, op::fill, of);
        auto const there = on(far, op::fill, of);
        auto const add = [&](char const* what, script acts) {
            out.push_back({.name = std::string{one.name} + ": " + what,
                           .before = four_pages(of),
                           .call = one.call,
                           .acts = std::move(acts)});
        };
        add("is heard of", {put, hear, put, hear, there, hear, there, hear, put});
        add("nothing is put in place before",
            {put, on(first, op::zero, of), on(first, op::poison, of), on(first, op::go_on, of),
             on(far, op::zero, of), hear, hear, hear, on(first, op::zero, of)});
        add("the descriptor is closed", {on(0, op::close_faults, of)});
        add("the caller is ended", {on(0, op::end_call), put, hear, there, hear});
        add("the caller is ended after a message", {hear, on(0, op::end_call), put, hear, there});
        add("another one waits for a page", {on(first, op::load, of), hear, put, hear, hear, put});
    }
}

/// The child's pages, through the descriptor that comes with the message.
void add_children(std::vector<duet>& out) {
    constexpr auto own = memory::faults_told;
    constexpr auto twin = memory::faults_twin;
    auto const hear = on(0, op::hear);
    auto const says = on(0, op::child);
    auto const add = [&](char const* what, std::uint64_t page, script acts) {
        out.push_back({.name = std::string{"fork: "} + what,
                       .before = four_pages(own),
                       .call = read_by_child(page),
                       .acts = std::move(acts)});
    };
    add("the child has what there was", second, {hear, says});
    add("the child's page is supplied", first,
        {hear, says, on(0, op::hear, twin), on(first, op::fill, twin), says});
    add("the child gets zeroes", first, {hear, says, on(first, op::zero, twin), says});
    add("what the parent gets is not the child's", first, {hear, says, on(first, op::fill), says});
    add("the child's descriptor is closed", first,
        {hear, says, on(0, op::close_faults, twin), says});
    add("nobody hears of the child", first, {on(0, op::close_faults), says});
    add("the parent's descriptor is closed, the child's stays", first,
        {hear, says, on(0, op::close_faults), on(first, op::fill, twin), says});
    add("the child's range is let go", first, {hear, says, on(first, op::unregister, twin), says});
}

/// Two userfaultfds, and layouts that change while madvise waits.
void add_layouts(std::vector<duet>& out) {
    constexpr auto own = memory::faults_told;
    constexpr auto shared = memory::faults_told_shared;
    constexpr auto removed = memory::faults_removed;
    auto const of_first = on(0, op::hear, own);
    auto const of_second = on(0, op::hear, shared);
    script const two{on(first, op::map, own, 2), on(third, op::map, shared, 2),
                     on(second, op::fill, own), on(third, op::fill, shared)};
    std::vector<std::pair<char const*, step>> const calls{
        {"munmap", on(second, op::unmap, memory::own, 2)},
        {"DONTNEED", on(second, op::discard, memory::own, 2)},
        {"DONTNEED with holes", on(1, op::discard, memory::own, 7)},
        {"mremap over the other's", moved(first, 2, third, 2, fixed)},
        {"fork", read_by_child(1)}};
    for (auto const& [name, call] : calls) {
        out.push_back({.name = std::string{name} + ": two are told",
                       .before = two,
                       .call = call,
                       .acts = {of_second, on(first, op::fill, own), of_first,
                                on(first, op::fill, own), on(5, op::fill, shared), of_second,
                                on(5, op::fill, shared), of_first, of_second}});
    }
    auto const hear = on(0, op::hear, removed);
    for (auto const how : {op::discard, op::lazy_free}) {
        auto const add = [&](char const* what, script acts) {
            acts.push_back(hear);
            acts.push_back(hear);
            out.push_back(
                {.name = std::string{name_of(how)} + ": " + what,
                 .before = {on(first, op::map, removed, 4), on(first, op::fill, removed, 4),
                            on(8, op::map, memory::own), on(8, op::store, memory::own)},
                 .call = on(first, how, memory::own, 7),
                 .acts = std::move(acts)});
        };
        add("meanwhile the first page goes", {on(first, op::unmap)});
        add("meanwhile a page in the middle goes", {on(third, op::unmap)});
        add("meanwhile the last page goes", {on(5, op::unmap)});
        add("meanwhile the first page is mapped afresh", {on(first, op::map, memory::own)});
        add("meanwhile a page is mapped afresh", {on(third, op::map, memory::own)});
        add("meanwhile all becomes shared memory", {on(first, op::map, memory::shared, 4)});
        add("meanwhile it is let go", {on(first, op::unregister, removed, 4)});
    }
}

}  // namespace

std::vector<duet> told_duets() {
    std::vector<duet> out;
    add_each(out);
    add_children(out);
    add_layouts(out);
    return out;
}

/// Up to four pages of one kind, told of in any way; the other actor mostly listens.
duet duet_generator::next_told() {
    duet out;
    constexpr std::array kinds{memory::faults_told, memory::faults_told, memory::faults_told_shared,
                               memory::faults_removed};
    of_ = kinds[below(kinds.size())];
    out.before = {on(first, op::map, of_, 1 + below(4)), on(first + below(4), op::fill, of_)};
    if (below(2) == 0) out.before.insert(out.before.begin(), on(1, op::map, memory::own, 7));
    constexpr std::array calls{op::unmap, op::discard, op::lazy_free, op::remove,
                               op::remap, op::remap,   op::remap,     op::map};
    auto const from = first - 1 + below(4);
    auto const pages = 1 + below(4);
    out.call = on(from, calls[below(calls.size())], memory::own, pages);
    if (out.call.what == op::remap) {
        constexpr std::array<unsigned, 6> flags{0, 1, 3, 3, 3, 7};
        constexpr std::array<std::uint64_t, 4> places{far, far, 0, 5};
        auto const how = flags[below(flags.size())];
        auto const to_pages = below(2) == 0 || how == dont_unmap ? pages : 1 + below(5);
        // Without a place it may grow into what is free, but not be moved where only Linux knows.
        out.call = moved(from, pages, places[below(places.size())], to_pages, how == 1 ? 0 : how);
    }
    auto const acts = 1 + below(8);
    for (std::uint64_t i = 0; i < acts; ++i) out.acts.push_back(told_act());
    return out;
}

step duet_generator::told_act() {
    constexpr std::array usual{op::hear, op::hear, op::hear, op::fill,   op::fill,
                               op::zero, op::hear, op::fill, op::poison, op::unregister};
    auto one = on(first + below(5), usual[below(usual.size())], of_, 1 + below(2));
    if (below(4) == 0) one.at += (far - first) * page_bytes;
    if (below(24) == 0) one.what = below(2) == 0 ? op::close_faults : op::end_call;
    // Nobody is told of these: they do not wait for the one who makes them.
    if (of_ == memory::faults_removed && below(6) == 0) {
        one.what = below(2) == 0 ? op::unmap : op::map;
        one.of = memory::own;
    }
    return one;
}

}  // namespace oracle
