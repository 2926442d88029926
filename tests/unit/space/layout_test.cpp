// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/layout.hpp>

#include <cstddef>
#include <cstdint>

using namespace mmhold;

namespace {

using machine = checked_host_machine;

constexpr virt_addr page(std::uint64_t number) { return {number * page_size}; }
constexpr page_span pages(std::uint64_t first, std::uint64_t count) {
    return *page_span::from(page(first), page_count{count});
}

struct rationed_machine : checked_host_machine {
    static inline int arrays_left = 0;
    template<class T>
    [[nodiscard]] static T* create_array(std::size_t count) {
        return arrays_left-- > 0 ? checked_host_machine::create_array<T>(count) : nullptr;
    }
};

template<Machine M>
void add(layout<M>& where, page_span span, protection rights = prot::rw) {
    mmap_request const request{.hint = span.start(),
                               .pages = page_count{span.pages()},
                               .prot = rights,
                               .flags = mmap_flag::fixed_noreplace};
    auto const place = where.prepare_add(request);
    REQUIRE(place);
    where.add(make_vma(request, *place));
}

layout_limits at_most(std::size_t mappings) {
    layout_limits limits;
    limits.max_map_count = mappings;
    return limits;
}

constexpr bool works_in_constant_evaluation() {
    layout<constexpr_machine> where{layout_limits{}};
    mmap_request const request{.pages = page_count{8}};
    auto const span = where.prepare_add(request);
    if (!span) return false;
    where.add(make_vma(request, *span));
    auto const middle = *page_span::from(span->page(2), page_count{2});
    if (!where.prepare_remove(middle)) return false;
    where.remove(middle);
    return where.map().size() == 2;
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("removing cuts mappings at both ends") {
    layout<machine> where{layout_limits{}};
    add(where, pages(100, 10));
    add(where, pages(110, 10), prot::r);
    REQUIRE(where.prepare_remove(pages(105, 10)));
    where.remove(pages(105, 10));
    REQUIRE(where.map().size() == 2);
    CHECK(where.map()[0].span == pages(100, 5));
    CHECK(where.map()[1].span == pages(115, 5));
    REQUIRE(where.prepare_remove(pages(0, 500)));
    where.remove(pages(0, 500));
    CHECK(where.map().empty());
    CHECK(where.prepare_remove(pages(0, 500)));
}

TEST_CASE("munmap(2): what can be refused is refused before anything changes") {
    layout<machine> where{layout_limits{}};
    CHECK(where.prepare_remove(pages(5, 0)).error() == errc::invalid_argument);
    auto const last = where.limits().end;
    CHECK(where.prepare_remove(*page_span::from(last, page_count{1})).error() ==
          errc::invalid_argument);
    CHECK(where.prepare_remove(*page_span::from(virt_addr{last.value - page_size}, page_count{1})));
}

TEST_CASE("max_map_count: one more mapping than that, but no hole in one") {
    layout<machine> where{at_most(2)};
    add(where, pages(100, 10));
    add(where, pages(120, 10));
    CHECK(where.prepare_remove(pages(103, 2)).error() == errc::no_memory);
    CHECK(where.prepare_remove(pages(103, 20)));
    CHECK(where.prepare_remove(pages(100, 2)));
    add(where, pages(140, 10));  // Linux refuses only beyond the limit
    mmap_request const further{.pages = page_count{1}};
    CHECK(where.prepare_add(further).error() == errc::no_memory);
    CHECK(where.prepare_protect(pages(103, 2), prot::r, {}).error() == errc::no_memory);
    CHECK(where.prepare_protect(pages(100, 10), prot::r, {})->changes);
    CHECK(where.prepare_source(pages(103, 2)).error() == errc::no_memory);
    CHECK(where.prepare_source(pages(100, 10)));
}

TEST_CASE("a fixed mapping into the middle of another needs room for both halves") {
    layout<machine> where{at_most(1)};
    add(where, pages(100, 10));
    mmap_request request{.hint = page(104), .pages = page_count{2}, .flags = mmap_flag::fixed};
    CHECK(where.prepare_add(request).error() == errc::no_memory);
    request.hint = page(100);
    CHECK(*where.prepare_add(request) == pages(100, 2));
}

TEST_CASE("mprotect(2): one mapping's share of the change") {
    layout<machine> where{layout_limits{}};
    add(where, pages(100, 10));
    CHECK(where.prepare_protect(pages(99, 5), prot::r, {}).error() == errc::no_memory);
    auto const same = where.prepare_protect(pages(102, 50), prot::rw, {});
    REQUIRE(same);
    CHECK_FALSE(same->changes);
    CHECK(same->part.span == pages(102, 8));
    auto const less = where.prepare_protect(pages(102, 3), prot::r, {});
    REQUIRE(less);
    CHECK(less->changes);
    where.protect(less->part);
    REQUIRE(where.map().size() == 3);
    CHECK(where.map()[1].span == pages(102, 3));
    CHECK(where.map()[1].prot == prot::r);
    auto const back = where.prepare_protect(pages(102, 3), prot::rw, {});
    REQUIRE(back);
    where.protect(back->part);
    REQUIRE(where.map().size() == 1);
    CHECK(where.map()[0].span == pages(100, 10));
    CHECK(where.prepare_protect(pages(102, 3), prot::rw, std::uint8_t{4})->changes);
}

TEST_CASE("mprotect(2): rights that the mapping can never have") {
    layout<machine> where{layout_limits{}};
    mmap_request const request{.pages = page_count{4}, .prot = prot::r, .may = prot::rx};
    auto const span = where.prepare_add(request);
    REQUIRE(span);
    where.add(make_vma(request, *span));
    CHECK(where.prepare_protect(*span, prot::rw, {}).error() == errc::access_denied);
    CHECK(where.prepare_protect(*span, prot::rx, {}));
    CHECK(where.prepare_protect(*span, prot::none, {}));
}

TEST_CASE("without memory for the bookkeeping nothing is promised") {
    rationed_machine::arrays_left = 1;
    layout<rationed_machine> where{layout_limits{}};
    auto const four = page_count{4};
    std::uint64_t next = 100;
    for (;; next += 10) {
        mmap_request const request{.hint = page(next), .pages = four, .flags = mmap_flag::fixed};
        auto const place = where.prepare_add(request);
        if (!place) {
            CHECK(place.error() == errc::no_memory);
            break;
        }
        where.add(make_vma(request, *place));
    }
    auto const before = where.map().size();
    CHECK(where.prepare_remove(pages(101, 1)).error() == errc::no_memory);
    rationed_machine::arrays_left = 1;
    REQUIRE(where.prepare_remove(pages(101, 1)));
    where.remove(pages(101, 1));
    CHECK(where.map().size() == before + 1);
    where.clear();
    CHECK(where.map().empty());
}

TEST_CASE("what is mapped in front of the first hole") {
    layout<machine> where{layout_limits{}};
    add(where, pages(100, 4));
    add(where, pages(104, 2), prot::r);
    add(where, pages(108, 1));
    CHECK(where.mapped_part(pages(101, 4)) == pages(101, 4));
    CHECK(where.mapped_part(pages(103, 10)) == pages(103, 3));
    CHECK(where.mapped_part(pages(106, 3)).empty());
    CHECK(where.mapped_part(pages(99, 3)).empty());
    CHECK_FALSE(where.maps_objects(pages(0, 200)));
}

TEST_CASE("a mark of mlock cuts vmas, and joins them again when it goes") {
    layout<machine> where{layout_limits{}};
    add(where, pages(100, 6));
    REQUIRE(where.prepare_source(pages(102, 2)));
    where.set_locked(pages(102, 2), mark_locked::yes);
    REQUIRE(where.map().size() == 3);
    CHECK(where.map()[1].flags.has(vma_flag::locked));
    CHECK(where.map()[1].span == pages(102, 2));
    where.set_locked(pages(100, 6), mark_locked::no);
    CHECK(where.map().size() == 1);
}

TEST_CASE("secret memory and devices are not marked, nor is the mark of secret memory taken away") {
    vma area;
    CHECK(can_be_locked(area));
    area.flags = {vma_flag::secret, vma_flag::locked};
    CHECK_FALSE(can_be_locked(area));
    area.flags = vma_flag::pfnmap;
    CHECK_FALSE(can_be_locked(area));
}

TEST_CASE("a private file mapping that was writable is not joined with one that never was") {
    auto const after_a_change_and_back = [](std::uint64_t file) {
        layout<machine> where{layout_limits{}};
        mmap_request const request{.hint = page(100),
                                   .pages = page_count{4},
                                   .prot = prot::r,
                                   .flags = mmap_flag::fixed,
                                   .kind = file != 0 ? vma_kind::file : vma_kind::anonymous,
                                   .file = file};
        where.add(make_vma(request, *where.prepare_add(request)));
        for (auto const rights : {prot::rw, prot::r}) {
            auto const step = where.prepare_protect(pages(102, 2), rights, std::nullopt);
            REQUIRE(step);
            where.protect(step->part);
        }
        return where.map().size();
    };
    CHECK(after_a_change_and_back(0) == 1);
    CHECK(after_a_change_and_back(7) == 2);
}

TEST_CASE("mappings that are alike and apart are joined by who changes them, not by who does not",
          "[space]") {
    layout<machine> where{layout_limits{}};
    auto const span = *page_span::from(virt_addr{0x100000}, page_count{4});
    for (auto const first : {0U, 2U}) {
        mmap_request const request{.hint = span.page(first),
                                   .pages = page_count{2},
                                   .flags = mmap_flag::fixed};
        auto const place = where.prepare_add(request);
        REQUIRE(place);
        where.add(make_vma(request, *place), mapping_origin::forked);
    }
    REQUIRE(where.prepare_source(span));
    where.set_locked(span, mark_locked::no);
    where.set_source(span, nullptr);
    CHECK(where.map().size() == 2);
    auto const middle = *page_span::from(span.page(1), page_count{2});
    where.set_locked(middle, mark_locked::yes);
    CHECK(where.map().size() == 3);
    CHECK(where.map()[1].span == middle);
    where.set_locked(span, mark_locked::no);
    CHECK(where.map().size() == 1);
}

TEST_CASE("memory of one's own keeps the promise of memory when it becomes read-only, if used",
          "[space]") {
    layout<machine> where{layout_limits{}};
    auto const put = [&](std::uint64_t first, protection rights) {
        mmap_request const request{.hint = virt_addr{0x100000 + first * page_size},
                                   .pages = page_count{1},
                                   .prot = rights,
                                   .flags = mmap_flag::fixed};
        where.add(make_vma(request, *where.prepare_add(request)));
        return request.hint;
    };
    auto const protect = [&](virt_addr at, protection rights) {
        auto const step = where.prepare_protect(*page_span::from(at, page_count{1}), rights, {});
        REQUIRE(step);
        where.protect(step->part);
    };
    put(0, prot::r);
    auto const was_writable = put(1, prot::rw);
    SECTION("unused: it is given back") {
        protect(was_writable, prot::r);
        CHECK(where.map().size() == 1);
    }
    SECTION("used: it is kept") {
        where.note_own_pages(was_writable);
        protect(was_writable, prot::r);
        CHECK(where.map().size() == 2);
        protect(was_writable, {});
        CHECK(where.map()[1].flags == vma_flag::accounted);
        protect(was_writable, prot::rw);
        CHECK(where.map()[1].flags == vma_flags{});
    }
}

TEST_CASE("what is unsplittable goes, or changes its rights, as a whole", "[space]") {
    layout<checked_host_machine> where{layout_limits{}};
    mmap_request request{.hint = page(10), .pages = page_count{3}, .flags = mmap_flag::fixed};
    request.properties = vma_flag::unsplittable;
    where.add(make_vma(request, *where.prepare_add(request)));
    for (auto const part : {pages(10, 1), pages(12, 1), pages(11, 1), pages(8, 3), pages(12, 5)}) {
        CHECK(where.prepare_remove(part).error() == errc::invalid_argument);
        mmap_request const over{
            .hint = part.start(), .pages = page_count{part.pages()}, .flags = mmap_flag::fixed};
        CHECK(where.prepare_add(over).error() == errc::invalid_argument);
    }
    CHECK(where.prepare_protect(pages(10, 1), prot::r, {}).error() == errc::invalid_argument);
    CHECK(where.prepare_protect(pages(10, 3), prot::r, {}).has_value());
    CHECK(where.prepare_protect(pages(10, 1), prot::rw, {}).has_value());  // nothing changes
    REQUIRE(where.prepare_source(pages(10, 1)).has_value());
    where.set_locked(pages(10, 1), mark_locked::yes);
    CHECK(where.map().size() == 1);
    REQUIRE(where.prepare_remove(pages(9, 5)).has_value());
    where.remove(pages(9, 5));
    CHECK(where.map().size() == 0);
}
