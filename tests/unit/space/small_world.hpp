// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace mmhold_test {

using namespace mmhold;

/// Counts what it is asked to forget, and checks at that moment whatever the test wants.
struct watching_flush {
    std::vector<page_span> spans{};
    void operator()(page_span span) { spans.push_back(span); }
};

struct watched_config : default_config<checked_host_machine> {
    using flush = watching_flush;
};

/// One process on a small computer: all parts of an address space, in the order in which they must
/// die.
template<class Config>
struct small_world {
    using machine = typename Config::machine;
    using space_type = address_space<Config>;
    using lock_type = typename Config::lock;

    explicit small_world(std::uint64_t frame_count = 64, std::uint64_t table_count = 64,
                         layout_limits const& limits = {})
        : frames{page_count{frame_count}}, tables{page_count{table_count}} {
        if constexpr (std::is_empty_v<typename Config::flush>) {
            space.emplace(frames, tables, domain, limits);
        } else {
            space.emplace(frames, tables, domain, observer, flush, limits);
        }
    }
    ~small_world() {
        me.reset();
        space.reset();
        domain.drain();
    }

    /// As mmap, with the defaults that most tests want.
    virt_addr map(std::uint64_t pages, protection rights = prot::rw) {
        return *space->mmap(*me, {.pages = page_count{pages}, .prot = rights});
    }
    virt_addr map_at(virt_addr at, std::uint64_t pages, protection rights = prot::rw) {
        return *space->mmap(*me, {.hint = at,
                                  .pages = page_count{pages},
                                  .prot = rights,
                                  .flags = mmap_flag::fixed});
    }

    /// Puts a page there as a write fault would, and answers its frame.
    pfn touch(virt_addr at, protection rights = prot::rw, unsigned level = 0) {
        auto const pages = entry_pages<typename Config::format>(level);
        auto const order = level * 9;
        auto const page = *frames.allocate(frame_kind::anonymous, order);
        frames.set_exclusive(page);
        if (pages > 1) frames.get(page, pages - 1);
        auto const entry = page_entry::leaf_to(page, rights);
        space->note_own_pages(at);
        auto leaf = space->table().lock_leaf(*me, at, level, if_absent::create);
        (void)leaf->replace(entry);
        space->note_mapped(entry, pages);
        return page;
    }
    /// The entry for `at`, if there is a lowest table.
    std::optional<page_entry> entry(virt_addr at) {
        auto leaf = space->table().lock_leaf(*me, at, 0, if_absent::fail);
        return leaf ? std::optional{leaf->read()} : std::nullopt;
    }
    bool present(virt_addr at) {
        auto const found = entry(at);
        return found && found->present();
    }

    /// All mappings, lowest first.
    std::vector<vma> mappings() {
        auto const held = *held_shared<lock_type>::try_acquire(space->lock());
        std::vector<vma> all;
        space->for_each_vma(held, [&](vma const& area) { all.push_back(area); });
        return all;
    }

    frame_pool<machine> frames;
    typename Config::tables tables;
    typename Config::reclaimer domain{};
    typename Config::observer observer{};
    typename Config::flush flush{};
    std::optional<space_type> space{};
    std::optional<cpu<typename Config::reclaimer>> me{domain};
};

inline page_span pages_at(virt_addr start, std::uint64_t count) {
    return *page_span::from(start, page_count{count});
}

}  // namespace mmhold_test
