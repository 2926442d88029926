// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/collapse_large.hpp>
#include <mmhold/space/advise_large.hpp>
#include <mmhold/space/swap_out.hpp>

#include "unit/space/family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// A family whose parent has two times 512 pages in small leaves, some of them written.
struct small_pages : family_world {
    memory_swap<machine> disk{page_count{64}, frame_bytes::owned};

    small_pages() : family_world{4096} {
        for (auto* space : {&parent, &child, &grandchild}) space->use_swap(disk);
        map(0, 1024);
        store(parent, page(0), 7);
        store(parent, page(1), 8);
    }
    result<void> collapse(std::uint64_t first = 0, std::uint64_t count = 512) {
        return collapse_large(me, parent, span(first, count));
    }
    /// The first byte of a page, whatever leaf maps it; 99: none does.
    int seen(space_type& space, std::uint64_t n) {
        int found = 99;
        (void)space.table().visit(
            me, span(n, 1), [&](virt_addr start, page_entry const& e, unsigned) {
                auto const page = e.target.plus((this->page(n).value - start.value) >> page_shift);
                if (e.is_leaf()) found = static_cast<int>(frames.bytes(page).front());
            });
        return found;
    }
    bool is_large(std::uint64_t n) {
        auto level = 0U;
        (void)parent.table().visit(me, span(n, 1),
                                   [&](virt_addr, page_entry const&, unsigned l) { level = l; });
        return level == 1;
    }
};

}  // namespace

TEST_CASE("collapse copies what is there, and fills holes with zeroes", "[large]") {
    small_pages w;
    CHECK(w.load(w.parent, w.page(9)) == 0);  // the zero page
    auto const old = w.entry(w.parent, w.page(1)).target;
    CHECK(w.collapse().has_value());
    CHECK(w.is_large(0));
    CHECK(w.seen(w.parent, 0) == 7);
    CHECK(w.seen(w.parent, 1) == 8);
    CHECK(w.seen(w.parent, 9) == 0);
    CHECK(w.seen(w.parent, 511) == 0);
    auto const leaf = w.entry(w.parent, w.page(0));
    CHECK(leaf.writable);
    CHECK(w.frames.exclusive(leaf.target.plus(511)));
    CHECK(w.frames.ref_count(leaf.target) == 512);
    CHECK(w.parent.resident().anonymous == 512);
    CHECK(w.frames.kind(old) == frame_kind::free);
    CHECK(w.collapse().has_value());  // large already
}

TEST_CASE("collapse wants an aligned range of private memory with a page table", "[large]") {
    small_pages w;
    CHECK(w.collapse(512).error() == errc::invalid_argument);   // no page table
    CHECK(w.collapse(1, 1).error() == errc::invalid_argument);  // rounds to less than nothing
    CHECK(w.collapse(0, 1).has_value());                        // rounds to nothing
    CHECK(w.collapse(2000, 512).error() == errc::no_memory);
    CHECK_FALSE(w.is_large(0));
    CHECK(w.parent.munmap(w.me, w.span(100, 1)).has_value());
    CHECK(w.collapse().error() == errc::invalid_argument);
    w.map(2048, 512, {.flags = mmap_flag::shared});
    CHECK(w.collapse(2048).error() == errc::invalid_argument);
}

TEST_CASE("a mapping that begins at address 0 is collapsed like any other", "[large]") {
    small_pages w;
    auto const all = *page_span::from(virt_addr{}, page_count{512});
    REQUIRE(w.parent.mmap(w.me, {.hint = all.start(),
                                 .pages = page_count{512},
                                 .flags = mmap_flag::fixed}));
    w.store(w.parent, virt_addr{}, 9);
    CHECK(collapse_large(w.me, w.parent, all).has_value());
    CHECK(w.load(w.parent, virt_addr{}) == 9);
    auto const last = w.entry(w.parent, virt_addr{}.plus_pages(511));
    CHECK(last.target == w.entry(w.parent, virt_addr{}).target);  // one leaf
}

TEST_CASE("pages that somebody holds stay where they are", "[large]") {
    small_pages w;
    auto const page = w.entry(w.parent, w.page(1)).target;
    REQUIRE(w.frames.try_grab(page, 1, holding::reference));
    CHECK(w.collapse().error() == errc::again);
    w.frames.put(page);
    auto const pinned = w.pin(w.parent, w.page(0), gup_flag::write);
    CHECK(w.collapse().error() == errc::again);
    CHECK(w.entry(w.parent, w.page(1)).target == page);
    CHECK(w.entry(w.parent, w.page(0)).writable);
    w.frames.unpin(pinned);
    CHECK(w.collapse().has_value());
}

TEST_CASE("9.1: collapse of shared pages copies them, and isolates parent from child", "[large]") {
    small_pages w;
    REQUIRE(w.forks());
    w.store(w.parent, w.page(1), 9);
    CHECK(w.collapse().has_value());
    CHECK(w.entry(w.parent, w.page(0)).writable);
    CHECK(w.seen(w.parent, 0) == 7);
    CHECK(w.seen(w.parent, 1) == 9);
    CHECK(w.seen(w.child, 0) == 7);
    CHECK(w.seen(w.child, 1) == 8);
}

TEST_CASE("9.1: fork after collapse shares one large leaf", "[large]") {
    small_pages w;
    REQUIRE(w.collapse().has_value());
    REQUIRE(w.forks());
    CHECK(w.touch(w.parent, w.page(1), access::write) == errc::ok);
    w.byte_at(w.parent, w.page(1)) = std::byte{5};
    CHECK_FALSE(w.is_large(1));
    CHECK(w.seen(w.child, 1) == 8);
    CHECK(w.collapse().has_value());  // some pages are the parent's alone, some are not
    CHECK(w.is_large(1));
    CHECK(w.seen(w.parent, 0) == 7);
    CHECK(w.seen(w.parent, 1) == 5);
}

TEST_CASE("swapped pages are read in, guards and other markers refuse", "[large]") {
    small_pages w;
    REQUIRE(page_out(w.me, w.parent, w.span(0, 1)).value_or(0) == 1);
    CHECK(w.collapse().has_value());
    CHECK(w.seen(w.parent, 0) == 7);
    CHECK(w.disk.in_use() == 0);
    w.store(w.parent, w.page(512), 1);
    auto const guard = page_entry::marker_for(static_cast<std::uint8_t>(page_marker::guard), 0);
    REQUIRE(w.parent.table().map(w.me, w.page(513), guard, 0).has_value());
    CHECK(w.collapse(512).error() == errc::invalid_argument);
    CHECK_FALSE(w.is_large(512));
}

TEST_CASE("collapse keeps the vma's rights, even none, and heeds a refusal", "[large]") {
    small_pages w;
    REQUIRE(w.parent.mprotect(w.me, w.span(0, 512), prot::none).has_value());
    CHECK(w.collapse().has_value());
    CHECK(w.entry(w.parent, w.page(0)).protnone);
    CHECK(w.touch(w.parent, w.page(0), access::read) == errc::bad_address);
    w.store(w.parent, w.page(512), 1);
    CHECK(advise_large_folios(w.me, w.parent, w.span(512, 512), advise_large::refused));
    CHECK(w.collapse(512).error() == errc::invalid_argument);
    CHECK(advise_large_folios(w.me, w.parent, w.span(512, 512), advise_large::wanted));
    CHECK(w.collapse(512).has_value());
}
