// SPDX-License-Identifier: BSL-1.0
#pragma once

// move – leaves and markers go from one range of addresses to another, within one tree.
//
// Mover      (mm lock exclusive) tables for the target first, with no lock held → then, for each
//            pair of tables, under both locks: exchange the old entry for none → write the new one
//            → after the last, flush the old addresses → give both locks back. (gup-semantics §6.1,
//            "mremap move")
// Hardware   may set accessed and dirty in the old entry until it is exchanged; what it has set
//            moves along. The new entry comes after, so there is never a second one to set them in.
// Truncater  (no mm lock: object_mappings.hpp) comes to the old range before the new one. It finds
//            the page at its old place, or else at the new one – and then the old translation is
//            gone: it was flushed before the lock that the truncater has just taken was given back.
// Pinner     (lockless) read the old entry → pin → read it AGAIN: it was moved? unpin. Both places
//            map the same frame, so what it keeps was mapped there when it looked.
// Locks      The source's table first, then the target's; both have the same level, so neither is
//            above the other. Two tables of one level are locked together only under the exclusive
//            mm lock: there is one who does it in this tree. Everybody else takes one, or goes
//            downwards, so waits go downwards or end at the mover, who waits for no mover.
//
// Large leaves move whole where both addresses are aligned to them, else they are split before.
// Tables stay where they are: a target's table may serve others, and a walk that came by the old
// way would have to tell a table that has moved from one that has not.

#include <mmhold/paging/protect.hpp>
#include <mmhold/paging/split.hpp>
#include <mmhold/paging/visit.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace mmhold {

namespace detail {

/// One move: `from`, all of it user space, to where `to` begins, which does not overlap it.
template<class Tree, class Change, class Flush>
class entry_mover {
public:
    using format = typename Tree::format;
    using cpu_type = typename Tree::cpu_type;
    using guard = typename Tree::guard;

    constexpr entry_mover(Tree const& tree, cpu_type& me, page_span from, virt_addr to,
                          Change& change, Flush& flush) noexcept
        : tree_{tree}, me_{me}, from_{from}, to_{to}, change_{change}, flush_{flush} {}

    /// Everything that may fail: small enough leaves, tables at the target.
    constexpr result<void> prepare() {
        if (auto const ready = split_ends(tree_, me_, from_, flush_); !ready) return ready;
        result<void> outcome;
        for (auto at = from_.start(); at < from_.end() && outcome;) {
            stretch found;
            auto const next = tree_.visit_one_table(
                me_, at, from_.end(),
                [&](guard& locked, unsigned, virt_addr here, page_entry const&) {
                    if (!found.any) found = {here, here, locked.level(), true};
                    found.last = here;
                    return locked.level() == 0 ? onward::next : onward::stop;
                });
            outcome = found.any ? make_room(found) : errc::ok;
            // A large leaf that had to be split is looked at again.
            at = found.any && found.level != 0 && outcome && !split_ ? found_end(found) : next;
            split_ = false;
        }
        return outcome;
    }

    /// Cannot fail.
    constexpr void move() {
        for (auto at = from_.start(); at < from_.end();) at = move_one_table(at);
    }

private:
    /// Entries that one table has for the range.
    struct stretch {
        virt_addr first{};
        virt_addr last{};
        unsigned level{0};
        bool any{false};
    };

    [[nodiscard]] static constexpr virt_addr found_end(stretch const& found) noexcept {
        return entry_end<format>(found.first, found.level);
    }
    [[nodiscard]] constexpr virt_addr target_of(virt_addr at) const noexcept {
        return to_.plus(at.value - from_.start().value);
    }
    [[nodiscard]] static constexpr bool same_table(virt_addr a, virt_addr b,
                                                   unsigned level) noexcept {
        return level == Tree::top ||
               entry_start<format>(a, level + 1) == entry_start<format>(b, level + 1);
    }

    /// The targets of one table's entries are in two tables at most: the first's and the last's.
    constexpr result<void> make_room(stretch const& found) {
        auto const first = target_of(found.first);
        if (found.level != 0) return make_room_for_large(found.first, first, found.level);
        auto const made = tree_.lock_at(me_, first, 0, if_absent::create).error();
        if (made != errc::ok) return made;
        return tree_.lock_at(me_, target_of(found.last), 0, if_absent::create).error();
    }
    constexpr result<void> make_room_for_large(virt_addr at, virt_addr target, unsigned level) {
        if (entry_start<format>(target, level) == target) {
            auto const place = tree_.lock_at(me_, target, level, if_absent::create);
            if (!place) return place.error();
            if (place->none(format::index(target, level))) return {};
        }
        split_ = true;
        return split_leaf(tree_, me_, at, level, flush_);
    }

    constexpr virt_addr move_one_table(virt_addr at) {
        auto source = tree_.lock_lowest(me_, at);
        auto const level = source.level();
        std::optional<guard> target;
        virt_addr targets{};  // an address that `target` serves
        changed_range changed;
        do {
            auto const index = format::index(at, level);
            auto const entry = source.read(index);
            if (entry.is_table()) break;
            if (!entry.none()) {
                auto const place = target_of(at);
                if (target && !same_table(place, targets, level)) {
                    changed.flush_with(flush_);
                    target.reset();
                }
                auto const inside = same_table(place, at, level);
                if (!inside && !target) target = lock_target(place, level);
                targets = place;
                if (entry.present()) changed.add(at, entry_end<format>(at, level));
                move_entry(source, index, inside ? source : *target, format::index(place, level));
            }
            at = entry_end<format>(at, level);
        } while (at < from_.end() && format::index(at, level) != 0);
        changed.flush_with(flush_);  // before the guards end
        return std::min(at, from_.end());
    }
    [[nodiscard]] constexpr guard lock_target(virt_addr place, unsigned level) {
        auto locked = tree_.lock_at(me_, place, level, if_absent::fail);
        Tree::machine::expect(locked.has_value(), "move: a table was not made, or has gone");
        return *std::move(locked);
    }
    constexpr void move_entry(guard& source, unsigned from, guard& target, unsigned to) {
        auto const fresh = change_(source.clear(from));
        Tree::machine::expect(target.none(to), "move: something is mapped at the target");
        Tree::machine::expect(!fresh.is_table(), "move: a page became a table");
        if (!fresh.none()) target.set(to, fresh);
    }

    Tree const& tree_;
    cpu_type& me_;
    page_span from_;
    virt_addr to_;
    Change& change_;
    Flush& flush_;
    bool split_{false};
};

}  // namespace detail

/// Moves every leaf and marker of `from` to the same place in the range of this size that begins at
/// `to`. `change` says what each becomes: a leaf or a marker at the same level, or none, and it is
/// forgotten. Tables at `from` stay, empty.
///
/// Mm lock: exclusive; entries may only go meanwhile. Errors, and then nothing has moved:
/// bad_address – not all user space; invalid_argument – `to` is not page-aligned, or the two
/// overlap; exists – something is mapped at the target; no_memory, not_supported – no table, or a
/// large leaf cannot be split.
template<class Tree, EntryChange Change, FlushPolicy Flush>
constexpr result<void> move_range(Tree const& tree, typename Tree::cpu_type& me, page_span from,
                                  virt_addr to, Change& change, Flush& flush) {
    auto const target = page_span::from(to, page_count{from.pages()});
    if (!target) return errc::invalid_argument;
    if (auto const admitted = tree.admit(me, from); !admitted || from.empty()) return admitted;
    if (auto const admitted = tree.admit(me, *target); !admitted) return admitted;
    if (from.overlaps(*target)) return errc::invalid_argument;
    auto occupied = false;
    auto const notice = [&](virt_addr, page_entry const&, unsigned) {
        occupied = true;
        return onward::stop;
    };
    (void)visit_leaves(tree, me, *target, notice);
    if (occupied) return errc::exists;
    detail::entry_mover<Tree, Change, Flush> mover{tree, me, from, to, change, flush};
    auto const ready = mover.prepare();
    if (ready) mover.move();
    return ready;
}

}  // namespace mmhold
