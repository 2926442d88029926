// SPDX-License-Identifier: BSL-1.0
// An address space with one mapping; three of its pages are pinned, looked at and given back.

#include <mmhold/gup/gup.hpp>
#include <mmhold/gup/over_space.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/pinned.hpp>

#include <array>
#include <iostream>

using namespace mmhold;
using config = default_config<host_machine>;  // x86-64 tables, a fair lock, hazard pointers

int main() {
    frame_pool<host_machine> frames{page_count{64}};  // physical memory
    config::tables tables{page_count{16}};            // memory for page tables
    config::reclaimer domain;                         // frees them when nobody looks any more
    address_space<config> mm{frames, tables, domain};
    cpu me{domain};  // who runs: one for each thread

    auto const start = mm.mmap(me, {.pages = page_count{16}});
    auto const wanted = page_span::from(*start, page_count{3});

    std::array<pfn, 3> pages{};
    auto const got = pin_unlocked(mm, me, *wanted, gup_flag::write, pages);
    pinned held{frames, std::span{pages}.first(got.pages), holding::pin};

    std::cout << held.size() << " pages pinned, after " << me.stats().faults << " faults:\n";
    for (auto const page : held) {
        std::cout << "  frame " << page.value << ", pins " << frames.pin_count(page) << "\n";
    }
    held.release();
    std::cout << "released: pins " << frames.pin_count(pages.front()) << "\n";
    return got.complete() ? 0 : 1;
}
