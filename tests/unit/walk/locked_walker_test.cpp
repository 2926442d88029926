// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/small_space.hpp"
#include <mmhold/walk/locked_walker.hpp>

using namespace mmhold;
using small = mmhold_test::small_space<>;
using walker = locked_walker<small::space_type>;

namespace {

walk_request want(std::uint64_t number, gup_flags flags = {}, holding how = holding::reference,
                  std::uint64_t most = 64) {
    return {small::page(number), most, flags, how};
}

walk_answer run(small& host, walk_request const& request) {
    walker w{host.mm, host.me};
    walker::cursor cursor;
    auto const held = host.hold();
    auto const answer = walk(w, cursor, request, held);
    cursor.forget();
    return answer;
}

auto const absent = walk_answer::needs_fault(fault_cause::missing_or_protected);
auto const must_unshare = walk_answer::needs_fault(fault_cause::must_unshare);

}  // namespace

TEST_CASE("2.3 item 2: no vma is bad_address, for MADV_POPULATE no_memory", "[walk]") {
    small host;
    CHECK(run(host, want(0)) == walk_answer::refuse(errc::bad_address));
    CHECK(run(host, want(0, gup_flag::madv_populate)) == walk_answer::refuse(errc::no_memory));
}

TEST_CASE("4.1 a refusal of the vma is told before any entry is read, MADV_POPULATE calls it invalid_argument",
    "[walk]") {
    small host;
    REQUIRE(host.map(2, prot::r));
    walker w{host.mm, host.me};
    walker::cursor cursor;
    auto const held = host.hold();
    w.seek(cursor, want(0, gup_flag::write), held);
    CHECK_FALSE(cursor.query().has_value());
    CHECK(cursor.answer() == walk_answer::refuse(errc::bad_address));
    w.seek(cursor, want(0, {gup_flag::write, gup_flag::madv_populate}), held);
    CHECK(cursor.answer() == walk_answer::refuse(errc::invalid_argument));
}

TEST_CASE("2.3 item 1: the vma is looked up again when its end is crossed, and its permissions are tested then",
    "[walk]") {
    small host;
    REQUIRE(host.map(2));
    REQUIRE(host.mm.mprotect(host.me, small::span(1, 1), prot::none));
    host.fill(0);
    walker w{host.mm, host.me};
    walker::cursor cursor;
    auto const held = host.hold();
    auto const first = walk(w, cursor, want(0), held);
    CHECK(first.verdict == walk_verdict::pages);
    CHECK(walk(w, cursor, want(1), held) == walk_answer::refuse(errc::bad_address));
    CHECK_FALSE(host.me.interrupts_off());
    host.frames.put(first.first);
}

TEST_CASE("4.2 item 1: not present is a fault, a core dump does not fill holes without a table",
          "[walk]") {
    small host;
    REQUIRE(host.map(4));
    CHECK(run(host, want(0)) == absent);
    CHECK(run(host, want(0, gup_flag::dump)) == walk_answer::refuse(errc::bad_address));
    host.fill(1);
    CHECK(run(host, want(0)) == absent);  // a table now, but no entry
    CHECK(run(host, want(0, gup_flag::dump)) == absent);
    host.put(2, page_entry::marker_for(1, 7));
    CHECK(run(host, want(2)) == absent);
}

TEST_CASE("4.2 item 2: PROT_NONE entries are followed unless NUMA hints are honoured", "[walk]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0);
    host.change(0, page_entry::leaf_to(frame, prot::none));  // a hint: the vma is accessible
    CHECK(run(host, want(0)) == walk_answer::found(frame, 1));
    host.frames.put(frame);
    CHECK(run(host, want(0, gup_flag::honor_numa_fault)) == absent);
    REQUIRE(host.mm.mprotect(host.me, small::span(0, 1), prot::none));
    CHECK(run(host, want(0, {gup_flag::force, gup_flag::honor_numa_fault})).pages ==
          1);  // truly inaccessible
    host.frames.put(frame);
}

TEST_CASE("4.2 item 3: a write wants a writable entry, or FORCE on an exclusive anonymous page",
          "[walk]") {
    small host;
    REQUIRE(host.map(2, prot::r));
    auto const frame = host.fill(0, prot::r);
    gup_flags const force{gup_flag::write, gup_flag::force};
    CHECK(run(host, want(0, force)) == walk_answer::found(frame, 1));
    host.frames.put(frame);
    host.frames.clear_exclusive(frame);
    CHECK(run(host, want(0, force)) == absent);
    host.frames.set_exclusive(frame);
    auto wp = host.entry(0);
    wp.uffd_wp = true;
    host.change(0, wp);
    CHECK(run(host, want(0, force)) == absent);
    wp.uffd_wp = false;
    host.change(0, wp);
    REQUIRE(host.mm.mprotect(host.me, small::span(0, 1), prot::rw));
    host.change(0, wp);
    CHECK(run(host, want(0, gup_flag::write)) == absent);
    CHECK(run(host, want(0, force)) == absent);  // VM_WRITE now: an ordinary write fault
    CHECK(host.frames.ref_count(frame) == 1);
}

TEST_CASE("4.2 item 4: special entries: the zero page is used, anything else has no page to hold",
          "[walk]") {
    small host;
    REQUIRE(host.map(3));
    auto zero = page_entry::leaf_to(host.frames.zero_page(), prot::r);
    zero.special = true;
    host.put(0, zero);
    auto device = page_entry::leaf_to(pfn{5}, prot::rw);
    device.special = true;
    host.put(1, device);
    CHECK(run(host, want(0, {}, holding::pin)) == walk_answer::found(host.frames.zero_page(), 1));
    CHECK(run(host, want(0, gup_flag::longterm, holding::pin)) == must_unshare);  // §4.2 item 5
    CHECK(run(host, want(0, gup_flag::write)) == absent);
    CHECK(run(host, want(0, gup_flag::dump)) == walk_answer::refuse(errc::bad_address));
    CHECK(run(host, want(1)) == walk_answer::refuse(errc::exists));
    CHECK(run(host, want(1, {}, holding::none)).verdict == walk_verdict::pages);
}

TEST_CASE("4.2 item 5: gup_must_unshare", "[walk]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0, prot::r);
    host.frames.clear_exclusive(frame);
    CHECK(run(host, want(0, {}, holding::pin)) == must_unshare);
    CHECK(run(host, want(0, {}, holding::reference)).pages == 1);
    host.frames.put(frame);

    auto const file = *host.frames.allocate(frame_kind::page_cache);
    host.put(1, page_entry::leaf_to(file, prot::r));
    CHECK(run(host, want(1, {}, holding::pin)).pages == 1);
    host.frames.unpin(file);
    CHECK(run(host, want(1, gup_flag::longterm, holding::pin)) ==
          must_unshare);  // private: replaced by an anonymous copy
}

TEST_CASE("4.2 items 6 and 7: grab, and TOUCH marks accessed and, for a write, dirty", "[walk]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0);
    CHECK(run(host, want(0)).pages == 1);
    CHECK_FALSE(host.frames.accessed(frame));
    CHECK(run(host, want(0, gup_flag::touch)).pages == 1);
    CHECK(host.frames.accessed(frame));
    CHECK_FALSE(host.frames.dirty(frame));
    CHECK(run(host, want(0, {gup_flag::touch, gup_flag::write}, holding::pin)).pages == 1);
    CHECK(host.frames.dirty(frame));
    CHECK(host.frames.pin_count(frame) == 1);
    CHECK(host.mm.has_pinned());
    host.frames.unpin(frame);
    host.frames.put(frame, 2);
}

TEST_CASE("2.3 item 4: a leaf answers for its pages up to the leaf's end, the vma's end, and what is wanted",
    "[walk]") {
    small host;
    REQUIRE(host.map(512));
    auto const frame = host.fill(0, prot::rw, 1);
    CHECK(run(host, want(10, {}, holding::reference, 20)) ==
          walk_answer::found(frame.plus(10), 20));
    CHECK(run(host, want(510, {}, holding::reference, 20)) ==
          walk_answer::found(frame.plus(510), 2));
    host.frames.put(frame, 22);
}

TEST_CASE("while pages are found the section stays open, at any other answer it is closed",
          "[walk]") {
    small host;
    REQUIRE(host.map(2));
    auto const frame = host.fill(0);
    walker w{host.mm, host.me};
    walker::cursor cursor;
    auto const held = host.hold();
    (void)walk(w, cursor, want(0), held);
    CHECK(host.me.interrupts_off());
    CHECK(walk(w, cursor, want(1), held) == absent);
    CHECK_FALSE(host.me.interrupts_off());
    (void)walk(w, cursor, want(0), held);
    cursor.forget();
    CHECK_FALSE(host.me.interrupts_off());
    host.frames.put(frame, 2);
}

TEST_CASE("a leaf that became a table between delivery and judgement is walked again", "[walk]") {
    small host;
    REQUIRE(host.map(512));
    auto const frame = host.fill(0, prot::rw, 1);
    walker w{host.mm, host.me};
    walker::cursor cursor;
    auto const held = host.hold();
    w.seek(cursor, want(3), held);
    // A slow host: the word of the PMD leaf is on its way while another cpu splits the leaf.
    std::optional<std::uint64_t> late;
    while (auto const wanted = cursor.query()) {
        auto word = w.read(*wanted);
        if (wanted->level == 1 && !late && small::format::decode(word, 1).is_leaf()) {
            late = word;
            small::cpu_type other{host.domain};
            REQUIRE(host.mm.table().split(other, small::page(3)));
        }
        w.deliver(cursor, word, held);
    }
    CHECK(cursor.answer() == walk_answer::found(frame.plus(3), 1));
    cursor.forget();
    host.frames.put(frame.plus(3));
}
