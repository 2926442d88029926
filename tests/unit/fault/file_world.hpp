// SPDX-License-Identifier: BSL-1.0
#pragma once

// An address space, and an object to be mapped in it.

#include <mmhold/fault/dispatch.hpp>
#include <mmhold/fault/file_object.hpp>

#include "unit/fault/fault_world.hpp"

#include <cstddef>
#include <optional>

namespace mmhold_test {

/// The first byte of every page that a disk delivers is its number plus this.
inline constexpr unsigned disk_mark = 100;

template<class Object>
struct object_fault_world : fault_world {
    Object object;
    mm::dispatch<fault_space> faults{space};

    template<class... Arguments>
    explicit object_fault_world(Arguments... arguments) : object{frames, arguments...} {}
    ~object_fault_world() { space.exit(me); }

    /// The whole object, at page 0.
    mm::virt_addr show(mm::mmap_flags how, mm::protection prot = mm::prot::rw,
                       std::uint64_t count = 8) {
        auto request = object.request(0, mm::page_count{count}, prot, how);
        request.hint = page(0);
        return map(request);
    }
};

/// Shared memory of four pages; mappings of eight reach over its end.
struct shmem_world : object_fault_world<mm::page_cache<fault_space>> {
    explicit shmem_world(mm::object_kind kind = mm::object_kind::shmem)
        : object_fault_world{kind, 4 * mm::page_size} {}
};

/// A file of four pages on a disk that answers when it is told to.
struct disk_file_world : object_fault_world<mm::file_object<fault_space>> {
    explicit disk_file_world(mm::dirty_tracking tracking = mm::dirty_tracking::on)
        : object_fault_world{4 * mm::page_size, tracking, std::uint64_t{77}} {}

    /// Answers the oldest read; which page it was.
    std::optional<std::uint64_t> serve() {
        auto const read = object.try_next_read();
        if (!read) return std::nullopt;
        REQUIRE(object.complete(*read, [&](std::uint64_t, std::span<std::byte> bytes) {
            bytes[0] = std::byte(disk_mark + read->page);
        }));
        return read->page;
    }
    /// Reads page `index` in before anybody needs it.
    mm::pfn preload(std::uint64_t index) {
        auto place = object.ask(me.current(), index);
        REQUIRE(place.has_value());
        while (serve()) {}
        auto const page = object.find(index);
        REQUIRE(page.has_value());
        frames.put(*page);
        return *page;
    }
};

}  // namespace mmhold_test
