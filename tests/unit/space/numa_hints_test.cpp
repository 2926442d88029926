// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/callers/kvm.hpp>
#include <mmhold/callers/process_vm.hpp>
#include <mmhold/callers/remote_access.hpp>
#include <mmhold/space/numa_hints.hpp>

#include "family_world.hpp"

using namespace mmhold;
using namespace mmhold_test;

namespace {

/// A page with a 5 in it, hinted.
struct hinted : family_world {
    page_entry before{};
    hinted() {
        map(0, 4);
        store(parent, base, 5);
        before = entry(parent, base);
        CHECK(hint() == 1);
    }
    std::uint64_t hint() { return mark_numa_hints(me, parent, span(0, 4)).value_or(99); }
    bool is_hint() { return entry(parent, base).protnone; }
    std::uint64_t faults() { return me.stats().faults; }
    gup_result get(gup_flags flags) {
        std::array<pfn, 1> out{};
        auto const got = gup_unlocked(parent, me, span(0, 1), flags, out);
        if (got.pages == 1) frames.put(out[0]);
        return got;
    }
};

}  // namespace

TEST_CASE("a NUMA hint keeps cpus out until the next fault, which restores all rights") {
    hinted w;
    CHECK(w.is_hint());
    CHECK_FALSE(w.entry(w.parent, w.base).writable);
    CHECK_FALSE(w.flush.spans.empty());
    CHECK(w.hint() == 0);  // it is one already
    CHECK(w.load(w.parent, w.base) == 5);
    auto expected = w.before;
    expected.accessed = true;
    CHECK(w.entry(w.parent, w.base) == expected);
}

TEST_CASE("4.2 item 2: gup reads through hints, the lockless walk stops at them") {
    hinted w;
    std::array<pfn, 1> out{};
    CHECK(gup_fast_only(w.parent, w.me, w.span(0, 1), {}, out).pages == 0);
    CHECK(w.get({}).pages == 1);
    std::array<std::byte, 1> to{};
    std::array<user_range, 1> const from{{{w.base, 1}}};
    CHECK(process_vm_read(w.parent, w.me, from, to).value_or(0) == 1);
    CHECK(proc_mem_read(w.parent, w.me, w.base, to).value_or(0) == 1);
    CHECK(w.faults() == 0);
    CHECK(w.is_hint());
}

TEST_CASE("4.2 item 2: a writer faults, for a hint is read-only, and so does KVM") {
    hinted w;
    SECTION("a writer") { CHECK(w.get(gup_flag::write).pages == 1); }
    SECTION("FORCE is of no use where the vma permits writing") {
        CHECK(w.get({gup_flag::write, gup_flag::force}).pages == 1);
    }
    SECTION("KVM honours hints") {
        auto const page = find_guest_page(w.parent, w.me, w.base, guest_access::read);
        REQUIRE(page);
        w.frames.put(page->page);
    }
    SECTION("who asks for it honours them") { CHECK(w.get(gup_flag::honor_numa_fault).pages == 1); }
    CHECK(w.faults() == 1);
    CHECK_FALSE(w.is_hint());
    CHECK(w.entry(w.parent, w.base).writable);
}

TEST_CASE("which pages are not hinted") {
    hinted w;
    CHECK(w.load(w.parent, w.base) == 5);
    SECTION("shared by copy-on-write") {
        REQUIRE(w.forks());
        CHECK(w.hint() == 0);
    }
    SECTION("pinned") {
        auto const page = w.pin(w.parent, w.base, gup_flag::write);
        CHECK(w.hint() == 0);
        w.frames.unpin(page);
    }
    SECTION("the zero page") {
        (void)w.load(w.parent, w.page(1));
        CHECK(w.hint() == 1);
        CHECK_FALSE(w.entry(w.parent, w.page(1)).protnone);
    }
    SECTION("memory that nobody may touch") {
        REQUIRE(w.parent.mprotect(w.me, w.span(0, 4), prot::none).has_value());
        CHECK(w.hint() == 0);
    }
}

TEST_CASE("which mappings are not hinted") {
    vma area;
    CHECK(takes_numa_hints(area) == false);  // no rights
    area.prot = prot::rw;
    CHECK(takes_numa_hints(area));
    area.file = 3;
    CHECK(takes_numa_hints(area));
    area.prot = prot::r;
    CHECK_FALSE(takes_numa_hints(area));
    area.file = 0;
    CHECK(takes_numa_hints(area));
    for (auto const flag :
         {vma_flag::io, vma_flag::pfnmap, vma_flag::hugetlb, vma_flag::dont_expand}) {
        area.flags = flag;
        CHECK_FALSE(takes_numa_hints(area));
    }
}

TEST_CASE("NUMA hints: errors") {
    hinted w;
    auto const other = held_shared<family_world::lock_type>::acquire(w.child.lock());
    CHECK(mark_numa_hints_locked(other, w.me, w.parent, w.span(0, 1)).error() ==
          errc::lock_not_held);
    auto const beyond = *page_span::from(w.parent.limits().end, page_count{1});
    CHECK(mark_numa_hints(w.me, w.parent, beyond).error() == errc::invalid_argument);
}
