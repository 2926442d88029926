// SPDX-License-Identifier: BSL-1.0
#pragma once

// One small address space with everything it stands on, for tests that want to put entries of their
// choice into page tables.

#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/address_space.hpp>

#include <cstdint>
#include <optional>

namespace mmhold_test {

/// The parts in the order in which they must be destroyed last to first.
template<class Config = mmhold::default_config<mmhold::checked_host_machine>>
struct small_space {
    using space_type = mmhold::address_space<Config>;
    using machine = typename space_type::machine;
    using format = typename space_type::format;
    using reclaimer = typename space_type::reclaimer;
    using lock_type = typename space_type::lock_type;
    using cpu_type = typename space_type::cpu_type;
    using held_shared = mmhold::held_shared<lock_type>;

    mmhold::frame_pool<machine> frames;
    typename Config::tables tables{mmhold::page_count{32}, mmhold::pfn{0x900}};
    reclaimer domain{};
    space_type mm{frames, tables, domain};
    cpu_type me{domain};

    constexpr explicit small_space(std::uint64_t capacity = 2048,
                                   mmhold::frame_bytes bytes = mmhold::frame_bytes::none,
                                   mmhold::page_count movable = {})
        : frames{mmhold::page_count{capacity}, bytes, mmhold::pfn{std::uint64_t{1} << 20U},
                 mmhold::pin_statistics::kept, movable} {}

    static constexpr mmhold::virt_addr base{0x10000000};  // aligned for a 2 MiB leaf
    static constexpr mmhold::virt_addr page(std::uint64_t number) {
        return base.plus_pages(number);
    }
    static constexpr mmhold::page_span span(std::uint64_t first, std::uint64_t count) {
        return *mmhold::page_span::from(page(first), mmhold::page_count{count});
    }

    /// A mapping from page(0) on.
    constexpr mmhold::result<mmhold::virt_addr> map(mmhold::mmap_request request) {
        request.flags = request.flags.with(mmhold::mmap_flag::fixed);
        if (request.hint == mmhold::virt_addr{}) request.hint = base;
        return mm.mmap(me, request);
    }
    constexpr bool map(std::uint64_t pages, mmhold::protection prot = mmhold::prot::rw) {
        return map({.pages = mmhold::page_count{pages}, .prot = prot}).has_value();
    }

    /// Installs a fresh exclusive anonymous page (or leaf) that permits `prot`.
    constexpr mmhold::pfn fill(std::uint64_t number, mmhold::protection prot = mmhold::prot::rw,
                               unsigned level = 0) {
        auto const frame = *frames.allocate(mmhold::frame_kind::anonymous, 9 * level);
        for (std::uint64_t i = 0; i < mmhold::entry_pages<format>(level); ++i)
            frames.set_exclusive(frame.plus(i));
        put(number, mmhold::page_entry::leaf_to(frame, prot), level);
        return frame;
    }
    /// Installs any entry; what it maps becomes the page table's.
    constexpr void put(std::uint64_t number, mmhold::page_entry const& entry, unsigned level = 0) {
        auto const mapped = mm.table().map(me, page(number), entry, level);
        machine::expect(mapped.has_value(), "small_space: the entry cannot be installed");
        if (entry.is_leaf() && mmhold::entry_pages<format>(level) > 1)
            frames.get(entry.target, mmhold::entry_pages<format>(level) - 1);
        mm.note_mapped(entry, mmhold::entry_pages<format>(level));
    }
    /// Replaces an entry by another that maps the same page.
    constexpr void change(std::uint64_t number, mmhold::page_entry const& entry,
                          unsigned level = 0) {
        auto guard = mm.table().lock_leaf(me, page(number), level, mmhold::if_absent::fail);
        machine::expect(guard.has_value(), "small_space: nothing to change");
        (void)guard->replace(entry);
    }
    constexpr mmhold::page_entry entry(std::uint64_t number, unsigned level = 0) {
        auto const guard = mm.table().lock_leaf(me, page(number), level, mmhold::if_absent::fail);
        return guard ? guard->read() : mmhold::page_entry{};
    }
    constexpr held_shared hold() { return held_shared::acquire(mm.lock()); }
};

}  // namespace mmhold_test
