// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/walk/lockless_walker.hpp>

#include <functional>

using namespace mmhold;
using small = mmhold_test::small_space<>;
using walker = lockless_walker<small::space_type>;

namespace {

walk_request want(std::uint64_t number, gup_flags flags = {}, holding how = holding::reference,
                  std::uint64_t most = 64) {
    return {small::page(number), most, flags, how};
}

walk_answer run(small& host, walk_request const& request) {
    walker w{host.mm};
    walker::cursor cursor;
    irq_section inside{host.me};
    return walk(w, cursor, request, inside);
}

/// Walks like a host that is slow to answer: before each entry is read, `meanwhile(query number)`
/// happens.
walk_answer run_slowly(small& host, walk_request const& request,
                       std::function<void(int)> meanwhile) {
    walker w{host.mm};
    walker::cursor cursor;
    irq_section inside{host.me};
    w.seek(cursor, request, inside);
    for (int asked = 0; auto const wanted = cursor.query(); ++asked) {
        meanwhile(asked);
        w.deliver(cursor, w.read(*wanted), inside);
    }
    return cursor.answer();
}

/// Entries asked for on the way to a level-0 leaf: each upper entry twice, the leaf, then parent
/// and leaf again.
constexpr int asked_before_leaf = 2 * (static_cast<int>(small::format::levels) - 1);

/// What somebody else does to an entry while we are inside a section of our own: a bare store,
/// because the locks of the real thing are not taken by a cpu that is inside a section.
void store_entry(small& host, std::uint64_t number, unsigned level, page_entry const& entry) {
    auto table = host.mm.table().root();
    for (unsigned above = small::format::levels - 1; above > level; --above) {
        auto const word = host.mm.table().read(table, small::page(number), above);
        table = small::format::decode(word, above).target;
    }
    host.mm.table()
        .memory()
        .entry(table, small::format::index(small::page(number), level))
        .store(small::format::encode(entry, level), relaxed);
}
page_entry load_entry(small& host, std::uint64_t number, unsigned level) {
    auto table = host.mm.table().root();
    for (unsigned above = small::format::levels - 1;; --above) {
        auto const entry =
            small::format::decode(host.mm.table().read(table, small::page(number), above), above);
        if (above == level) return entry;
        table = entry.target;
    }
}

}  // namespace

TEST_CASE("5.2 a present page is found and held, with no entry of the walk left to ask", "[walk]") {
    small host;
    REQUIRE(host.map(4));
    auto const frame = host.fill(1);
    CHECK(run(host, want(1)) == walk_answer::found(frame, 1));
    CHECK(host.frames.ref_count(frame) == 2);
    CHECK(host.frames.accessed(frame));
    host.frames.put(frame);
    CHECK(run(host, want(1, gup_flag::write, holding::pin)) == walk_answer::found(frame, 1));
    CHECK(host.frames.pin_count(frame) == 1);
    host.frames.unpin(frame);
}

TEST_CASE("5.2 pgd, pud, pmd, pte: not present stops the walk at every level", "[walk]") {
    small host;
    REQUIRE(host.map(1024));
    CHECK(run(host, want(0)) == walk_answer::retreat());  // no tables at all
    host.fill(0);
    CHECK(run(host, want(1)) == walk_answer::retreat());    // no PTE
    CHECK(run(host, want(600)) == walk_answer::retreat());  // no PTE table
}

TEST_CASE("5.2 access test: user, writable, protection key, accessed and dirty play no role",
          "[walk]") {
    small host;
    REQUIRE(host.map(4));
    auto const frame = host.fill(0, prot::r);
    CHECK(run(host, want(0, gup_flag::write)) == walk_answer::retreat());
    CHECK(run(host, want(0, {gup_flag::write, gup_flag::force})) ==
          walk_answer::retreat());  // FORCE plays no role

    auto entry = host.entry(0);
    entry.accessed = entry.dirty = false;
    host.change(0, entry);
    CHECK(run(host, want(0)).pages == 1);
    host.frames.put(frame);

    auto kernel_only = entry;
    kernel_only.user = false;
    host.change(0, kernel_only);
    CHECK(run(host, want(0)) == walk_answer::retreat());

    auto keyed = entry;
    keyed.pkey = 3;
    keyed.writable = true;
    host.change(0, keyed);
    host.me.set_key_rights(protection_key_rights{}.with(3, 2));  // no writes
    CHECK(run(host, want(0, gup_flag::write)) == walk_answer::retreat());
    CHECK(run(host, want(0)).pages == 1);
    host.frames.put(frame);
    host.me.set_key_rights(protection_key_rights{}.with(3, 1));  // nothing
    CHECK(run(host, want(0)) == walk_answer::retreat());
    CHECK(host.frames.ref_count(frame) == 1);
}

TEST_CASE("5.2 pte: PROT_NONE, special and uffd-wp entries stop the walk", "[walk]") {
    small host;
    REQUIRE(host.map(4));
    auto const frame = host.fill(0);
    auto const plain = host.entry(0);
    auto none = page_entry::leaf_to(frame, prot::none);
    host.change(0, none);
    CHECK(run(host, want(0)) == walk_answer::retreat());
    auto special = plain;
    special.special = true;
    host.change(0, special);
    CHECK(run(host, want(0)) == walk_answer::retreat());
    auto wp = plain;
    wp.writable = false;
    wp.uffd_wp = true;
    host.change(0, wp);
    CHECK(run(host, want(0, gup_flag::write)) == walk_answer::retreat());
    CHECK(run(host, want(0)).pages == 1);
    host.frames.put(frame);
}

TEST_CASE("5.2 the small zero page is special: always the slow path", "[walk]") {
    small host;
    REQUIRE(host.map(1));
    auto zero = page_entry::leaf_to(host.frames.zero_page(), prot::r);
    zero.special = true;
    host.put(0, zero);
    CHECK(run(host, want(0)) == walk_answer::retreat());
}

TEST_CASE("5.2 leaf rule: one 2 MiB leaf answers for all pages up to its end, in one reference operation",
    "[walk]") {
    small host;
    REQUIRE(host.map(512));
    auto const frame = host.fill(0, prot::rw, 1);
    CHECK(run(host, want(7, {}, holding::reference, 100)) ==
          walk_answer::found(frame.plus(7), 100));
    CHECK(host.frames.ref_count(frame) == 512 + 100);
    host.frames.put(frame, 100);
    CHECK(run(host, want(500, gup_flag::write, holding::pin, 100)) ==
          walk_answer::found(frame.plus(500), 12));
    CHECK(host.frames.pin_count(frame) == 12);
    host.frames.unpin(frame, 12);
    auto none = host.entry(0, 1);
    none = page_entry::leaf_to(frame, prot::none);
    host.change(0, none, 1);
    CHECK(run(host, want(7)) == walk_answer::retreat());  // PROT_NONE leaf
}

TEST_CASE("5.2 a free frame behind a stale entry is refused", "[walk]") {
    small host;
    REQUIRE(host.map(1));
    auto const frame = *host.frames.allocate(frame_kind::anonymous);
    host.fill(0);
    auto const entry = host.entry(0);
    auto stale = entry;
    stale.target = frame;
    host.frames.put(frame);  // free again, but an entry still names it
    host.change(0, stale);
    CHECK(run(host, want(0)) == walk_answer::retreat());
    CHECK(host.frames.ref_count(frame) == 0);
    host.change(0, entry);
}

TEST_CASE("5.6 PTE changed between grab and recheck: put back, stop", "[walk]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0);
    for (auto const how : {holding::reference, holding::pin}) {
        auto const entry = host.entry(0);
        auto const got = run_slowly(host, want(0, gup_flag::write, how), [&](int asked) {
            if (asked != asked_before_leaf + 2) return;
            CHECK(host.frames.ref_count(frame) > 1);  // grabbed already
            auto changed = entry;
            changed.writable = false;
            store_entry(host, 0, 0, changed);
        });
        CHECK(got == walk_answer::retreat());
        CHECK(host.frames.ref_count(frame) == 1);
        host.change(0, entry);
    }
}

TEST_CASE("6.2 race 5: table detached with its entries intact - the recheck of its parent stops the walk",
    "[walk]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0);
    auto const link = load_entry(host, 0, 1);
    auto const got = run_slowly(host, want(0), [&](int asked) {
        if (asked == asked_before_leaf + 1)
            store_entry(host, 0, 1, page_entry{});  // after the grab, before the recheck
    });
    CHECK(got == walk_answer::retreat());
    CHECK(host.frames.ref_count(frame) == 1);
    store_entry(host, 0, 1, link);

    // The walker of kernels before 6.1 does not look, and takes the page.
    lockless_walker<small::space_type, table_recheck::no> old{host.mm};
    decltype(old)::cursor cursor;
    irq_section inside{host.me};
    old.seek(cursor, want(0), inside);
    for (int asked = 0; auto const wanted = cursor.query(); ++asked) {
        if (asked == asked_before_leaf + 1) store_entry(host, 0, 1, page_entry{});
        if (asked <= asked_before_leaf) CHECK(wanted->level <= 3);
        old.deliver(cursor, old.read(*wanted), inside);
    }
    CHECK(cursor.answer() == walk_answer::found(frame, 1));
    store_entry(host, 0, 1, link);
    host.frames.put(frame);
}

TEST_CASE("a table that is unlinked before it was protected is never read", "[walk]") {
    small host;
    REQUIRE(host.map(2));
    host.fill(0);
    auto const link = load_entry(host, 0, 1);
    // The PMD entry is read (query 4), the PTE table protected, the PMD entry read again (query 5):
    // now it is gone.
    auto const got = run_slowly(host, want(0), [&](int asked) {
        if (asked == asked_before_leaf - 1) store_entry(host, 0, 1, page_entry{});
    });
    CHECK(got == walk_answer::retreat());
    store_entry(host, 0, 1, link);
}

TEST_CASE("5.2 must unshare, vma unknown: a pin for reading wants an exclusive page, a reference does not",
    "[walk]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0, prot::r);
    host.frames.clear_exclusive(frame);
    CHECK(run(host, want(0, {}, holding::pin)) == walk_answer::retreat());
    CHECK(host.frames.ref_count(frame) == 1);
    CHECK(run(host, want(0, {}, holding::reference)).pages == 1);
    host.frames.put(frame);
    host.frames.set_exclusive(frame);
    CHECK(run(host, want(0, {}, holding::pin)).pages == 1);
    host.frames.unpin(frame);
}

TEST_CASE("5.4 folio allowed: secret memory never, a file only without a long-term write pin",
          "[walk]") {
    small host;
    REQUIRE(host.map(2));
    auto const file = *host.frames.allocate(frame_kind::page_cache);
    host.put(0, page_entry::leaf_to(file, prot::rw));
    auto const longterm = want(0, {gup_flag::write, gup_flag::longterm}, holding::pin);
    CHECK(run(host, longterm) == walk_answer::retreat());
    CHECK(run(host, want(0, gup_flag::write, holding::pin)).pages == 1);
    host.frames.unpin(file);
    host.frames.add_attributes(file, frame_attribute::shmem);
    CHECK(run(host, longterm).pages == 1);
    host.frames.unpin(file);
    host.frames.add_attributes(file, frame_attribute::truncated);
    CHECK(run(host, longterm) == walk_answer::retreat());
    // mapping == NULL: the slow path is to decide, even about a plain reference.
    CHECK(run(host, want(0)) == walk_answer::retreat());
    host.frames.remove_attributes(file, frame_attribute::truncated);
    CHECK(run(host, want(0)).pages == 1);
    host.frames.put(file);
    host.frames.add_attributes(file, frame_attribute::secret);
    CHECK(run(host, want(0)) == walk_answer::retreat());
    CHECK(host.frames.ref_count(file) == 1);
    host.frames.remove_attributes(file,
                                  frame_attribute::shmem);  // as it was counted when it was mapped
}

TEST_CASE("5.4 folio allowed: a large folio is looked at before a long-term pin for writing only",
          "[walk]") {
    small host;
    REQUIRE(host.map(512));
    auto const file = *host.frames.allocate(frame_kind::page_cache, 9);
    host.frames.add_attributes(file, frame_attribute::truncated);
    host.put(0, page_entry::leaf_to(file, prot::rw), 1);
    CHECK(run(host, want(0, {}, holding::reference, 1)).pages == 1);
    host.frames.put(file);
    CHECK(run(host, want(0, gup_flag::write, holding::pin, 1)).pages == 1);
    host.frames.unpin(file);
    CHECK(run(host, want(0, {gup_flag::write, gup_flag::longterm}, holding::pin, 1)) ==
          walk_answer::retreat());
}

TEST_CASE("5.4 must unshare: a long-term pin for reading does not take a file's page read-only",
          "[walk]") {
    small host;
    REQUIRE(host.map(1));
    auto const file = *host.frames.allocate(frame_kind::page_cache);
    host.put(0, page_entry::leaf_to(file, prot::r));
    CHECK(run(host, want(0, gup_flag::longterm, holding::pin)) == walk_answer::retreat());
    CHECK(run(host, want(0, {}, holding::pin)).pages == 1);
    host.frames.unpin(file);
}

TEST_CASE("5.4 a frame that must stay movable is not pinned for the long term", "[walk]") {
    small host;
    REQUIRE(host.map(1));
    auto const frame = host.fill(0);
    host.frames.add_attributes(frame, frame_attribute::longterm_forbidden);
    CHECK(run(host, want(0, {gup_flag::write, gup_flag::longterm}, holding::pin)) ==
          walk_answer::retreat());
    CHECK(run(host, want(0, gup_flag::write, holding::pin)).pages == 1);
    host.frames.unpin(frame);
}

TEST_CASE("neighbouring pages of one table are found without going back to the root", "[walk]") {
    small host;
    REQUIRE(host.map(8));
    for (std::uint64_t page = 0; page < 4; ++page) host.fill(page);
    walker w{host.mm};
    walker::cursor cursor;
    irq_section inside{host.me};
    (void)walk(w, cursor, want(0), inside);
    w.seek(cursor, want(1), inside);
    CHECK(cursor.query()->level == 0);
    host.frames.put(load_entry(host, 0, 0).target);
}

TEST_CASE("5.1 items 7 and 11: while fork copies no pin begins, and one that overlapped is told",
          "[walk]") {
    small host;
    walker w{host.mm};
    auto const before = w.begin_walk(holding::pin);
    REQUIRE(before.has_value());
    CHECK(host.mm.has_pinned());
    CHECK(w.walk_was_undisturbed(holding::pin, *before));
    host.mm.write_protect_seq().begin_write();
    CHECK_FALSE(w.begin_walk(holding::pin).has_value());
    CHECK(w.begin_walk(holding::reference).has_value());
    CHECK_FALSE(w.walk_was_undisturbed(holding::pin, *before));
    host.mm.write_protect_seq().end_write();
    CHECK_FALSE(w.walk_was_undisturbed(holding::pin, *before));
    CHECK(w.walk_was_undisturbed(holding::reference, *before));
}
