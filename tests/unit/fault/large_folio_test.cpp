// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/large_folio.hpp>
#include <mmhold/space/swap_out.hpp>

#include "unit/space/family_world.hpp"
#include <array>
#include <vector>

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// A family whose parent has a mapping of 1024 pages, advised to have large folios.
struct large_world : family_world {
    memory_swap<machine> disk{page_count{1024}, frame_bytes::owned};

    explicit large_world(protection prot = prot::rw, std::uint64_t frame_count = 4096)
        : family_world{frame_count} {
        for (auto* space : {&parent, &child, &grandchild}) space->use_swap(disk);
        mmap_request request;
        request.prot = prot;
        request.properties = vma_flag::large_advised;
        map(0, 1024, request);
    }
    ~large_world() {
        for (auto* space : {&parent, &child, &grandchild}) space->exit(me);
        frames.release_zero_folio();
    }

    /// As family_world's, for leaves of any size.
    std::byte& byte_at(space_type& space, virt_addr at) {
        byte_ = nullptr;
        (void)space.table().visit(me, *page_span::from(at, page_count{1}),
                                  [&](virt_addr start, page_entry const& e, unsigned) {
                                      auto const n = (at.value - start.value) >> page_shift;
                                      byte_ = &frames.bytes(e.target.plus(n)).front();
                                  });
        REQUIRE(byte_ != nullptr);
        return *byte_;
    }
    void store(space_type& space, virt_addr at, int value) {
        REQUIRE(touch(space, at, access::write) == errc::ok);
        byte_at(space, at) = static_cast<std::byte>(value);
    }
    int load(space_type& space, virt_addr at) {
        REQUIRE(touch(space, at, access::read) == errc::ok);
        return static_cast<int>(byte_at(space, at));
    }

    /// The level of the leaf at a page; 9: nothing is mapped there.
    unsigned level(space_type& space, std::uint64_t n) {
        unsigned found = 9;
        (void)space.table().visit(me, span(n, 1),
                                  [&](virt_addr, page_entry const&, unsigned l) { found = l; });
        return found;
    }
    /// The leaf that maps a page.
    page_entry leaf(std::uint64_t n) { return entry(parent, page(n)); }
    std::uint64_t in_use() const { return frames.statistics().capacity - frames.statistics().free; }

private:
    std::byte* byte_{nullptr};
};

}  // namespace

TEST_CASE("a read of advised memory maps the large zero folio, which counts nowhere", "[large]") {
    large_world w;
    CHECK(w.load(w.parent, w.page(5)) == 0);
    CHECK(w.level(w.parent, 5) == 1);
    CHECK(w.leaf(5).special);
    CHECK_FALSE(w.leaf(5).writable);
    CHECK(w.frames.is_zero(w.leaf(5).target));
    CHECK(w.has_family(w.parent, w.page(5)));  // as small zeroes do not
    CHECK(w.parent.resident().total() == 0);
    CHECK(w.level(w.parent, 511) == 1);
    CHECK(w.level(w.parent, 512) == 9);
}

TEST_CASE("a write of large zeroes maps a large folio in their place", "[large]") {
    large_world w;
    CHECK(w.load(w.parent, w.page(5)) == 0);
    w.store(w.parent, w.page(7), 1);
    CHECK(w.level(w.parent, 0) == 1);
    CHECK(w.leaf(0).writable);
    auto const folio = w.leaf(0).target;
    CHECK(w.frames.order_of(folio) == 9);
    CHECK(w.frames.ref_count(folio) == 512);
    CHECK(w.frames.map_count(folio) == 512);
    CHECK(w.frames.exclusive(folio.plus(511)));
    CHECK(w.parent.resident().anonymous == 512);
    CHECK(w.load(w.parent, w.page(7)) == 1);
    CHECK(w.load(w.parent, w.page(8)) == 0);
}

TEST_CASE("a first write maps a large folio at once, read-only memory gets a read-only one",
          "[large]") {
    large_world w;
    w.store(w.parent, w.page(600), 3);
    CHECK(w.level(w.parent, 512) == 1);
    CHECK(w.leaf(512).writable);
    CHECK(w.parent.mprotect(w.me, w.span(512, 512), prot::r).has_value());
    CHECK(w.level(w.parent, 512) == 1);
    CHECK_FALSE(w.leaf(512).writable);
}

TEST_CASE("small pages where the range is not all the vma's, or a page table is in the way",
          "[large]") {
    large_world w;
    CHECK(w.parent.munmap(w.me, w.span(1023, 1)).has_value());
    w.store(w.parent, w.page(600), 3);
    CHECK(w.level(w.parent, 600) == 0);
    CHECK(w.parent.dontneed(w.me, w.span(0, 512)).has_value());
    w.store(w.parent, w.page(3), 1);
    CHECK(w.parent.dontneed(w.me, w.span(4, 8)).has_value());
    w.store(w.parent, w.page(4), 1);
    CHECK(w.level(w.parent, 4) == 0);
    CHECK(w.parent.dontneed(w.me, w.span(0, 512)).has_value());  // takes the table with it
    w.store(w.parent, w.page(4), 1);
    CHECK(w.level(w.parent, 4) == 1);
}

TEST_CASE("a table that serves more than is discarded stays, and is in the way", "[large]") {
    large_world w;
    CHECK(w.parent.munmap(w.me, w.span(1023, 1)).has_value());
    w.store(w.parent, w.page(512), 1);  // small: the range is not all the vma's
    mmap_request request;
    request.properties = vma_flag::large_advised;
    w.map(1023, 1, request);
    CHECK(w.parent.dontneed(w.me, w.span(1, 512)).has_value());
    w.store(w.parent, w.page(1022), 1);
    CHECK(w.level(w.parent, 1022) == 0);
    CHECK(w.parent.dontneed(w.me, w.span(0, 1024)).has_value());
    w.store(w.parent, w.page(1022), 1);
    CHECK(w.level(w.parent, 1022) == 1);
}

TEST_CASE("small pages where the policy or the vma does not want large ones", "[large]") {
    vma area;
    CHECK_FALSE(may_have_large_folios(area, large_folios::advised));
    CHECK(may_have_large_folios(area, large_folios::always));
    area.flags = vma_flag::large_refused;
    CHECK_FALSE(may_have_large_folios(area, large_folios::always));
    area.flags = vma_flag::large_advised;
    CHECK(may_have_large_folios(area, large_folios::advised));
    CHECK_FALSE(may_have_large_folios(area, large_folios::never));
    area.flags = {vma_flag::large_advised, vma_flag::shared};
    CHECK_FALSE(may_have_large_folios(area, large_folios::always));
}

TEST_CASE("small pages where no large folio can be had", "[large]") {
    large_world w{prot::rw, 500};
    CHECK(w.load(w.parent, w.page(5)) == 0);
    CHECK(w.level(w.parent, 5) == 0);
    w.store(w.parent, w.page(600), 3);
    CHECK(w.level(w.parent, 600) == 0);
    CHECK(w.in_use() == 1);
}

TEST_CASE("zeroes that cannot become a large folio are split, and one page is copied", "[large]") {
    large_world w{prot::rw, 1000};
    CHECK(w.load(w.parent, w.page(5)) == 0);
    w.store(w.parent, w.page(6), 2);
    CHECK(w.level(w.parent, 5) == 0);
    CHECK(w.load(w.parent, w.page(5)) == 0);
    CHECK(w.load(w.parent, w.page(6)) == 2);
    CHECK(w.parent.resident().anonymous == 1);
}

TEST_CASE("part of large zeroes goes: the rest is zeroes, and a write of it gets a small page",
          "[large]") {
    large_world w;
    CHECK(w.load(w.parent, w.page(5)) == 0);
    CHECK(w.parent.dontneed(w.me, w.span(0, 1)).has_value());
    CHECK(w.level(w.parent, 0) == 9);
    CHECK(w.leaf(1).special);
    w.store(w.parent, w.page(1), 2);
    CHECK(w.level(w.parent, 1) == 0);
    CHECK(w.parent.resident().anonymous == 1);
    CHECK(w.load(w.parent, w.page(2)) == 0);
}

TEST_CASE("a shared large leaf is split by a write, and one page of it is copied", "[large]") {
    large_world w;
    w.store(w.parent, w.page(0), 1);
    auto const folio = w.leaf(0).target;
    REQUIRE(w.forks());
    CHECK(w.level(w.child, 0) == 1);
    CHECK(w.frames.ref_count(folio) == 1024);
    w.store(w.parent, w.page(1), 2);
    CHECK(w.leaf(1).target != folio.plus(1));
    CHECK(w.leaf(2).target == folio.plus(2));
    CHECK(w.level(w.parent, 2) == 0);
    CHECK(w.level(w.child, 2) == 1);
    CHECK(w.frames.map_count(folio) == 1023);
    CHECK(w.parent.resident().anonymous == 512);
    CHECK(w.load(w.child, w.page(1)) == 0);
    w.child.exit(w.me);
    w.store(w.parent, w.page(4), 3);  // all that is left of the folio is the parent's
    CHECK(w.leaf(4).target == folio.plus(4));
    CHECK(w.leaf(4).writable);
}

TEST_CASE("a large leaf that only its owner has left is reused as a whole", "[large]") {
    large_world w;
    w.store(w.parent, w.page(0), 1);
    auto const folio = w.leaf(0).target;
    REQUIRE(w.forks());
    w.child.exit(w.me);
    w.store(w.parent, w.page(1), 2);
    CHECK(w.level(w.parent, 1) == 1);
    CHECK(w.leaf(1).writable);
    CHECK(w.leaf(0).target == folio);
    CHECK(w.frames.exclusive(folio.plus(300)));
}

TEST_CASE("a folio of which the child has kept a half is copied from in the other half",
          "[large]") {
    large_world w;
    w.store(w.parent, w.page(0), 1);
    auto const folio = w.leaf(0).target;
    REQUIRE(w.forks());
    CHECK(w.child.munmap(w.me, w.span(0, 256)).has_value());
    w.store(w.parent, w.page(1), 2);
    CHECK(w.leaf(1).target != folio.plus(1));
    w.child.exit(w.me);
    w.store(w.parent, w.page(2), 2);
    CHECK(w.leaf(2).target == folio.plus(2));
}

TEST_CASE("the last mapped page of a large folio is copied, and the folio is free", "[large]") {
    large_world w;
    w.store(w.parent, w.page(0), 1);
    CHECK(w.parent.dontneed(w.me, w.span(0, 511)).has_value());
    CHECK(w.parent.resident().anonymous == 1);
    CHECK(w.in_use() == 512);
    REQUIRE(w.forks());
    w.child.exit(w.me);
    w.store(w.parent, w.page(511), 7);
    CHECK(w.frames.order_of(w.leaf(511).target) == 0);
    CHECK(w.in_use() == 1);
}

TEST_CASE("a pinned large folio is not shared by fork: the child gets small copies", "[large]") {
    large_world w;
    w.store(w.parent, w.page(3), 1);
    auto const held = w.pin(w.parent, w.page(3), gup_flag::write);
    CHECK(w.frames.pin_count(held) == 1);
    REQUIRE(w.forks());
    CHECK(w.leaf(3).target == held);
    CHECK(w.leaf(3).writable);
    CHECK(w.entry(w.child, w.page(3)).target != held);
    CHECK(w.load(w.child, w.page(3)) == 1);
    w.frames.unpin(held);
}

TEST_CASE("gup takes the pages of one leaf at once, a long-term pin of zeroes gets its own folio",
          "[large]") {
    large_world w;
    std::vector<pfn> pages(512);
    CHECK(pin_unlocked(w.parent, w.me, w.span(0, 512), gup_flags{}, pages).complete());
    CHECK(w.leaf(0).special);
    CHECK(pages[511] == pages[0].plus(511));
    CHECK(w.frames.pin_count(pages[0]) == 0);  // as the zero page
    w.frames.unpin(pages[0], 512);
    CHECK(pin_unlocked(w.parent, w.me, w.span(0, 512), gup_flag::longterm, pages).complete());
    CHECK_FALSE(w.leaf(0).special);
    CHECK(w.leaf(0).target == pages[0]);
    CHECK(w.frames.pin_count(pages[0]) == 512);
    CHECK(w.frames.ref_count(pages[0]) == 1024);
    w.frames.unpin(pages[0], 512);
}

TEST_CASE("MADV_PAGEOUT takes a large folio as a whole, a pinned one stays a leaf", "[large]") {
    large_world w;
    w.store(w.parent, w.page(3), 1);
    auto const held = w.pin(w.parent, w.page(3), gup_flag::write);
    CHECK(page_out(w.me, w.parent, w.span(0, 512)).value_or(99) == 0);
    CHECK(w.level(w.parent, 3) == 1);
    w.frames.unpin(held);
    CHECK(page_out(w.me, w.parent, w.span(0, 512)).value_or(99) == 512);
    CHECK(w.in_use() == 0);
    CHECK(w.load(w.parent, w.page(3)) == 1);
}

TEST_CASE("MADV_PAGEOUT of a part splits the folio, and zeroes in the rest become the zero page",
          "[large]") {
    large_world w;
    w.store(w.parent, w.page(3), 1);
    w.store(w.parent, w.page(9), 2);
    CHECK(page_out(w.me, w.parent, w.span(0, 4)).value_or(99) == 4);
    CHECK(w.in_use() == 1);
    CHECK(w.load(w.parent, w.page(9)) == 2);
    CHECK(w.leaf(10).target == w.frames.zero_page());
    CHECK(w.load(w.parent, w.page(3)) == 1);
    CHECK(w.parent.resident().anonymous == 2);
}
