// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of space/: the counts of frames – the grab and share protocols of frame_pool.hpp, and
// what the counts tell those who look at them.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/space/address_space.hpp>
#include <mmhold/space/frame_pool.hpp>

#include <cstdint>

namespace mmhold_test {

using namespace mmhold;

/// A few frames, one of them (or one folio) allocated.
struct some_frames {
    using M = model_machine;
    explicit some_frames(std::uint64_t count, unsigned order = 0)
        : frames{page_count{count}, frame_bytes::none, pfn{16}, pin_statistics::off},
          page{*frames.allocate(frame_kind::anonymous, order)} {}
    frame_pool<M> frames;
    pfn page;
};

/// Pinner and remover of one exclusive page (gup-semantics §6.1, share protocol; §6.2 #12).
struct pin_against_sharing : some_frames {
    static constexpr int actors = 2;
    static constexpr std::uint64_t none = 0;
    static constexpr std::uint64_t writable = 1;
    static constexpr std::uint64_t read_only = 2;
    M::atomic<std::uint64_t> entry{writable};
    bool pinned = false;
    bool shared = false;

    pin_against_sharing() : some_frames{1} {
        M::name(&entry, "pte");
        frames.set_exclusive(page);
    }
    void actor(int who) { who == 0 ? pin() : share(); }
    void pin() {
        auto const seen = entry.load(relaxed);
        if (seen == none || !frames.try_grab(page, 1, holding::pin)) return;
        auto const same = entry.load(relaxed) == seen;
        pinned = same && (seen == writable || frames.exclusive(page));
        if (!pinned) frames.unpin(page);
    }
    void share() {
        auto const old = entry.exchange(none, relaxed);
        shared = frames.try_share(page);
        entry.store(shared ? read_only : old, release("scenario.share_set"));
    }
    void finish() {
        M::expect(!(pinned && shared), "a pinned page stopped being exclusive");
        M::expect(frames.exclusive(page) == !shared, "exclusive exactly if it was not shared");
        M::expect(frames.ref_count(page) == (pinned ? 1 + pin_bias : 1U), "the counts add up");
    }
};

/// A grab by an old number, while the folio is freed and its frames are allocated in other sizes
/// (§6.2 #2, #3, #4).
template<holding How>
struct grab_against_reuse : some_frames {
    static constexpr int actors = 2;
    grab_against_reuse() : some_frames{4, 1} {}
    void actor(int who) {
        if (who == 0) {
            grab(page.plus(1));
        } else {
            frames.put(page);
            auto const first = frames.allocate(frame_kind::page_cache);
            auto const second = frames.allocate(frame_kind::page_cache);
            if (second) frames.put(*second);
            if (first) frames.put(*first);
        }
    }
    void grab(pfn wanted) {
        if (!frames.try_grab(wanted, 1, How)) return;
        M::expect(frames.kind(wanted) != frame_kind::free, "a free frame was grabbed");
        M::expect(frames.ref_count(wanted) != 0, "what is held is held");
        if (How == holding::pin) {
            M::expect(frames.pin_count(wanted) == 1, "one pin is one pin");
            frames.unpin(wanted);
        } else {
            frames.put(wanted);
        }
    }
    void finish() { M::expect(frames.statistics().free == 4, "every frame came back"); }
};

/// A grab of a later page while the folio is split (§6.2 #6).
struct grab_against_split : some_frames {
    static constexpr int actors = 2;
    bool split = false;
    grab_against_split() : some_frames{2, 1} {}
    void actor(int who) {
        if (who == 1) {
            split = frames.split_folio(page).has_value();
        } else if (frames.try_grab(page.plus(1), 1, holding::reference)) {
            frames.put(page.plus(1));
        }
    }
    void finish() {
        M::expect(frames.ref_count(page) == 1, "the caller's reference is left");
        M::expect(frames.order_of(page) == (split ? 0U : 1U), "split or whole");
        M::expect(!split || frames.ref_count(page.plus(1)) == 1, "one reference for each page");
    }
};

/// How somebody decides that nobody else uses a page any more, and writes to it.
enum class last_user_test : std::uint8_t { references, pins, split };

/// A holder writes and lets go; another finds nobody left and writes as well (§4.3, §6.1).
template<last_user_test How>
struct last_user_writes : some_frames {
    static constexpr int actors = 2;
    M::plain<int> contents{0};

    last_user_writes() : some_frames{2, How == last_user_test::references ? 0U : 1U} {
        M::name(&contents, "contents");
        (void)frames.try_grab(page, 1, held_how());
    }
    static constexpr holding held_how() {
        return How == last_user_test::pins ? holding::pin : holding::reference;
    }
    void actor(int who) {
        if (who == 0) {
            contents.set(1);
            held_how() == holding::pin ? frames.unpin(page) : frames.put(page);
        } else if (alone()) {
            contents.set(2);
        }
    }
    bool alone() {
        switch (How) {
            case last_user_test::references: return frames.ref_count(page) == 1;
            case last_user_test::pins: return !frames.maybe_pinned(page);
            case last_user_test::split: return frames.split_folio(page).has_value();
        }
        return false;
    }
    void finish() { M::expect(frames.ref_count(page) == 1, "the first owner's reference is left"); }
};

/// The usual parts, with tables of four entries: filling, emptying and looking through a table of
/// 512 is most of an execution otherwise, and shows nothing more.
struct small_tables : default_config<model_machine> {
    using format = x86_64_radix<3, 2>;
    using tables = host_tables<format, reclaimer>;
};

/// A process with one page mapped at the start of a range, and two cpus.
struct small_process {
    using M = model_machine;
    using config = small_tables;
    static constexpr std::uint64_t range = config::format::entries_per_table;  // one whole table

    small_process() {
        M::name(&space, "space");
        (void)space.mmap(first,
                         {.hint = start, .pages = page_count{range}, .flags = mmap_flag::fixed});
        fault(first);
    }
    /// What a write fault does, with the mm lock held shared.
    void fault(cpu<config::reclaimer>& me) {
        auto const held = held_shared<config::lock>::acquire(space.lock());
        if (!space.find(start, held)) return;
        auto const page = frames.allocate(frame_kind::anonymous);
        if (!page) return;
        auto const entry = page_entry::leaf_to(*page, prot::rw);
        auto leaf = space.table().lock_leaf(me, start, 0, if_absent::create);
        if (!leaf || !leaf->read().none()) {
            leaf = errc::again;  // unlocks
            return frames.put(*page);
        }
        leaf->set(entry);
        space.note_mapped(entry, 1);
    }
    void finish() {
        auto const mapped = space.resident().total();
        M::expect(mapped <= 1, "at most one page is mapped");
        M::expect(frames.statistics().free == 3 - mapped, "no page is lost");
    }

    static constexpr virt_addr start{16 * page_size};
    frame_pool<M> frames{page_count{3}, frame_bytes::none, pfn{16}, pin_statistics::off};
    config::tables tables{page_count{8}};
    config::reclaimer domain{};
    address_space<config> space{frames, tables, domain};
    cpu<config::reclaimer> first{domain};
    cpu<config::reclaimer> second{domain};
};

/// Two changes of one range at the same time. `Pages`: how much the first discards; a whole table's
/// worth takes the table away as well (§6.2 #29).
enum class rival : std::uint8_t { munmap, dontneed, fault };
template<rival Who, std::uint64_t Pages>
struct discard_against : small_process {
    static constexpr int actors = 2;
    void actor(int who) {
        auto const span = *page_span::from(start, page_count{who == 0 ? Pages : 1});
        if (who == 0) {
            (void)space.dontneed(first, span);
        } else if (Who == rival::munmap) {
            (void)space.munmap(second, span);
        } else if (Who == rival::dontneed) {
            (void)space.dontneed(second, span);
        } else {
            fault(second);
        }
    }
};

inline void add_space_scenarios(scenario_book& book) {
    book.add<pin_against_sharing>("space.pin_against_sharing", "a pinned page stays exclusive");
    book.add<grab_against_reuse<holding::reference>>("space.reference_against_reuse",
                                                     "a stale number never holds a free frame");
    book.add<grab_against_reuse<holding::pin>>("space.pin_against_reuse", "the same, with pins");
    book.add<grab_against_split>("space.grab_against_split", "grab and split exclude each other");
    book.add<last_user_writes<last_user_test::references>>("space.last_reference_writes",
                                                           "one reference left: nobody writes");
    book.add<last_user_writes<last_user_test::pins>>("space.no_pin_left_writes",
                                                     "no pin left: the device is done");
    book.add<last_user_writes<last_user_test::split>>("space.split_writes",
                                                      "who splits a folio is alone with it");
    book.add<discard_against<rival::munmap, 1>>("space.discard_against_munmap",
                                                "MADV_DONTNEED and munmap of one page");
    book.add<discard_against<rival::dontneed, 1>>("space.discard_against_discard",
                                                  "two MADV_DONTNEED of one page");
    book.add<discard_against<rival::fault, 1>>("space.discard_against_fault",
                                               "MADV_DONTNEED and a fault");
    // discard_against<rival::fault, 512> – a whole table goes while a fault wants it – is complete too,
    // but needs plan::longest = 30,000: its set-up fills a table of 512 entries.
}

}  // namespace mmhold_test
