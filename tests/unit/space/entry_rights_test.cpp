// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/entry_rights.hpp>

#include "support/catch.hpp"

using namespace mmhold;

namespace {

struct world {
    frame_pool<checked_host_machine> frames{page_count{4}};
    pfn page = *frames.allocate(frame_kind::anonymous);
    vma area{};
    page_entry entry = page_entry::leaf_to(page, prot::r);

    page_entry changed_to(protection rights) {
        area.prot = rights;
        return entry_rights{frames, area}(entry);
    }
};

}  // namespace

TEST_CASE("rights that go, go at once") {
    world w;
    w.frames.set_exclusive(w.page);
    w.entry = page_entry::leaf_to(w.page, prot::rwx);
    w.entry.dirty = true;
    auto const read_only = w.changed_to(prot::r);
    CHECK_FALSE(read_only.writable);
    CHECK(read_only.no_execute);
    CHECK(read_only.present());
    CHECK(read_only.dirty);
    CHECK(read_only.target == w.page);
    auto const nothing = w.changed_to(prot::none);
    CHECK(nothing.protnone);
    CHECK_FALSE(nothing.present());
    CHECK_FALSE(nothing.user);
    CHECK(nothing.target == w.page);
}

TEST_CASE("rights come back from PROT_NONE") {
    world w;
    w.entry = w.changed_to(prot::none);
    auto const back = w.changed_to(prot::rx);
    CHECK(back.present());
    CHECK(back.user);
    CHECK_FALSE(back.no_execute);
    CHECK_FALSE(back.writable);
}

TEST_CASE("4.4 a private page becomes writable without a fault only if it is exclusive") {
    world w;
    CHECK_FALSE(w.changed_to(prot::rw).writable);
    w.frames.set_exclusive(w.page);
    CHECK(w.changed_to(prot::rw).writable);
    w.entry.uffd_wp = true;
    CHECK_FALSE(w.changed_to(prot::rw).writable);
}

TEST_CASE("a private page of a file, the zero page and foreign frames wait for their fault") {
    world w;
    auto const cached = *w.frames.allocate(frame_kind::page_cache);
    w.entry = page_entry::leaf_to(cached, prot::r);
    CHECK_FALSE(w.changed_to(prot::rw).writable);
    w.entry = page_entry::leaf_to(w.frames.zero_page(), prot::r);
    w.entry.special = true;
    CHECK_FALSE(w.changed_to(prot::rw).writable);
    w.entry = page_entry::leaf_to(pfn{5}, prot::r);
    CHECK_FALSE(w.changed_to(prot::rw).writable);
}

TEST_CASE("shared pages become writable, unless the first write must be announced") {
    world w;
    auto const cached = *w.frames.allocate(frame_kind::page_cache);
    w.entry = page_entry::leaf_to(cached, prot::r);
    w.area.flags = vma_flag::shared;
    CHECK(w.changed_to(prot::rw).writable);
    w.area.flags = {vma_flag::shared, vma_flag::dirty_tracked};
    CHECK_FALSE(w.changed_to(prot::rw).writable);
    w.entry.dirty = true;
    CHECK(w.changed_to(prot::rw).writable);
}

TEST_CASE("the protection key goes with the vma, markers stay as they are") {
    world w;
    w.area.pkey = 5;
    CHECK(w.changed_to(prot::r).pkey == 5);
    w.entry = page_entry::marker_for(1, 77);
    CHECK(w.changed_to(prot::rwx) == w.entry);
}
