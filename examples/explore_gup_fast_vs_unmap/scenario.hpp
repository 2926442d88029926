// SPDX-License-Identifier: BSL-1.0
#pragma once

// One page, two actors: a caller holds it with gup_fast, another unmaps it and the frame is given
// to somebody else.
//
// Nothing here is a model of the library: it is the library, instantiated with model_machine. The
// address space, its page tables, its lock, the frames and the reclaimer are what a program on
// host_machine uses.

#include <mmhold/explore/model_machine.hpp>
#include <mmhold/gup/gup_fast.hpp>
#include <mmhold/gup/over_space.hpp>

#include <array>
#include <cstdint>

namespace unmap {

using M = mmhold::model_machine;

/// The usual parts with page tables of this format. Tables that were taken out are freed one by
/// one, not in batches: the sooner memory goes, the more can go wrong.
template<class Format>
struct parts : mmhold::default_config<M> {
    using format = Format;
    using reclaimer = mmhold::hazard_domain<M, 1>;
    using tables = mmhold::host_tables<format, reclaimer>;
};

/// Four levels of 512 entries.
using real_tables = mmhold::x86_64<4>;
/// The same entries in two levels of four: for short stories.
using small_tables = mmhold::x86_64_radix<2, 2>;

/// What munmap takes away.
enum class taken : std::uint8_t {
    one_of_two,  ///< a page beside another: the tables stay
    the_only,    ///< the only page: the tables go with it
};

/// `Kernel`: which get_user_pages. The expectation: whoever holds the page holds the page that was
/// mapped – not what became of it after it was unmapped, freed and allocated again.
template<class Format, taken What, class Kernel = mmhold::linux_6_18>
struct gup_fast_against_munmap {
    static constexpr int actors = 2;
    using space_type = mmhold::address_space<parts<Format>>;

    mmhold::frame_pool<M> frames{mmhold::page_count{1}, mmhold::frame_bytes::none};
    typename space_type::tables_type tables{mmhold::page_count{8}};
    typename space_type::reclaimer domain{};
    space_type mm{frames, tables, domain};
    typename space_type::cpu_type caller{domain};
    typename space_type::cpu_type remover{domain};
    mmhold::page_span wanted{};
    std::uint32_t first_life{0};  // of the one frame there is

    /// The set-up: a mapping whose first page is present.
    gup_fast_against_munmap() {
        constexpr mmhold::virt_addr start{4 * mmhold::page_size};
        constexpr mmhold::page_count pages{What == taken::the_only ? 1 : 2};
        auto const mapped =
            mm.mmap(caller, {.hint = start, .pages = pages, .flags = mmhold::mmap_flag::fixed});
        M::expect(mapped.has_value(), "there is room for a mapping");
        wanted = *mmhold::page_span::from(start, mmhold::page_count{1});

        std::array<mmhold::pfn, 1> page{};
        auto const got = gup_unlocked(mm, caller, wanted, mmhold::gup_flag::write, page);
        M::expect(got.complete(), "there is a frame for its first page");
        first_life = frames.generation(page[0]);
        frames.put(page[0]);
    }

    void actor(int who) { who == 0 ? hold() : take_away(); }

    void hold() {
        std::array<mmhold::pfn, 1> page{};
        auto const got =
            mmhold::gup_fast<Kernel>(mm, caller, wanted, mmhold::gup_flag::write, page);
        if (!got.complete()) return;  // too late: the mapping is gone
        M::expect(frames.generation(page[0]) == first_life,
                  "the page held is the page that was mapped");
        frames.put(page[0]);
    }
    void take_away() {
        M::expect(mm.munmap(remover, wanted).has_value(), "what is mapped can be unmapped");
        auto const next = frames.allocate(mmhold::frame_kind::anonymous);  // if it is free by now
        if (next) frames.put(*next);
    }

    void finish() { M::expect(frames.statistics().free == 1, "the frame is free again"); }
};

}  // namespace unmap
