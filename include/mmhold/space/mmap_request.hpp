// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/flag_set.hpp>
#include <mmhold/vocab/page_span.hpp>

#include <cstdint>

namespace mmhold {

/// How mmap places a mapping, and who sees writes to it (MAP_*).
enum class mmap_flag : std::uint8_t {
    fixed = 1,            ///< exactly at the hint; what is mapped there goes
    fixed_noreplace = 2,  ///< exactly at the hint, or exists
    shared = 4,           ///< writes go to the object (MAP_SHARED), else to private copies
};
using mmap_flags = flag_set<mmap_flag>;

/// Where a mapping comes from.
enum class mapping_origin : std::uint8_t {
    made,         ///< it is new, and is joined with its neighbours where they are alike
    forked,       ///< it is a child's, and is not joined with anything, be it alike
    forked_used,  ///< the same, and the parent has or had pages of its own there
};

/// The arguments of mmap(2), and what the file or driver behind it would add.
struct mmap_request {
    virt_addr hint{};
    page_count pages{};
    protection prot{prot::rw};
    mmap_flags flags{};
    vma_kind kind{vma_kind::anonymous};
    protection may{prot::rwx};  ///< the most that mprotect may allow later
    vma_flags properties{};     ///< what a driver sets: io, pfnmap, locked, grows_down ...
    std::uint8_t pkey{0};
    fault_source* source{nullptr};
    memory_object* object{nullptr};  ///< see page_cache::request()
    std::uint64_t file{0};           ///< which file; 0: none
    std::uint64_t file_page{0};      ///< the first page of the file or object to be mapped
    std::uint64_t moved_by{0};       ///< see vma::moved_by: for copies of mappings
    mapping_origin origin{mapping_origin::made};
    vma_name name{};
};

/// Does the mapping get shared memory of its own, which its forked children share (shared and
/// anonymous, nothing named that answers for it)?
[[nodiscard]] constexpr bool wants_own_object(mmap_request const& request) noexcept {
    return request.flags.has(mmap_flag::shared) && request.kind == vma_kind::anonymous &&
           request.source == nullptr && request.object == nullptr && request.file == 0;
}

/// What kind of object that is: secret memory is known to the lockless walk by its frames alone
/// (gup-semantics §4.6).
[[nodiscard]] constexpr object_kind kind_of_own_object(mmap_request const& request) noexcept {
    return request.properties.has(vma_flag::secret) ? object_kind::secret : object_kind::shmem;
}

/// Could a request be granted by any address space? The checks of mmap(2) that look at nothing
/// else.
///
/// ok; invalid_argument for no pages; no_memory for more than fit in front of `end`, the end of
/// user space; overflow if the last page of the file has no number.
[[nodiscard]] constexpr errc check_mmap_request(mmap_request const& request,
                                                virt_addr end) noexcept {
    if (request.pages.value == 0) return errc::invalid_argument;
    auto const whole_file_fits = request.file_page <= ~std::uint64_t{0} - request.pages.value;
    auto const counted = request.file != 0 || request.object != nullptr;
    if (counted && !whole_file_fits) return errc::overflow;
    return request.pages.value > (end.value >> page_shift) ? errc::no_memory : errc::ok;
}

/// The mapping that a request describes, at `span`. Shared anonymous memory is shared memory:
/// shmem.
[[nodiscard]] constexpr vma make_vma(mmap_request const& request, page_span span) noexcept {
    auto const shared = request.flags.has(mmap_flag::shared);
    vma area;
    area.span = span;
    area.prot = request.prot;
    area.may = request.may;
    area.flags = request.properties.with_if(shared, vma_flag::shared);
    area.kind = shared && request.kind == vma_kind::anonymous ? vma_kind::shmem : request.kind;
    area.pkey = request.pkey;
    area.source = request.source;
    area.object = request.object;
    area.file = request.file;
    area.file_page = request.file_page;
    area.moved_by = request.moved_by;
    area.name = request.name;
    area.flags = with_account(area);
    return area;
}

/// The request that maps `area` again, at its place, in another address space: make_vma of it at
/// area.span is `area`.
[[nodiscard]] constexpr mmap_request request_for(vma const& area) noexcept {
    auto const shared = area.flags.has(vma_flag::shared);
    mmap_request request;
    request.hint = area.span.start();
    request.pages = page_count{area.span.pages()};
    request.prot = area.prot;
    request.flags = mmap_flags{mmap_flag::fixed}.with_if(shared, mmap_flag::shared);
    request.kind = area.kind;
    request.may = area.may;
    request.properties = area.flags;
    request.pkey = area.pkey;
    request.source = area.source;
    request.object = area.object;
    request.file = area.file;
    request.file_page = area.file_page;
    request.moved_by = area.moved_by;
    request.name = area.name;
    return request;
}

}  // namespace mmhold
