// SPDX-License-Identifier: BSL-1.0
#pragma once

// lockless_walker – finds and holds pages without the mm lock (gup_fast's walk, gup-semantics §5.2
// – §5.4).
//
// Pinner   interrupts off → walk down, each table protected and its parent re-read (descent.hpp) →
//          read the leaf → access test → take the frame, which fails if it is free → read the
//          table's parent AGAIN, then the leaf AGAIN → differs? put back, retreat.
// Remover  clear the entry → flush → look at the counts, free the page. The mirror image: clear,
//          then look.
// Why the frame is right: freed, it has no references and the grab fails; freed and reallocated,
// the entry was cleared before the last reference went, so the re-read differs; the same value back
// in the entry means the same page mapped again with the same rights (§5.6). Why the table is
// right: detached with its entries intact (collapse), its parent differs (§6.2 #5). Not given: that
// a page stays mapped; that a page which could be taken is taken – "retreat" is always allowed.

#include <mmhold/lock/seq_count.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/reclaim/irq_section.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/vocab/access.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/walk/descent.hpp>
#include <mmhold/walk/page_walker.hpp>
#include <mmhold/walk/release.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace mmhold {

/// Does the lockless walk look at the entry above a level-0 leaf once more before it trusts the
/// leaf?
enum class table_recheck : std::uint8_t {
    /// 6.1 and later (70cbc3cc78a9): an entry in a table that a collapse has detached is not
    /// trusted.
    yes,
    /// Before; unsafe together with collapse. For comparison, and a mutant for the explorer.
    no,
};

/// The lockless walk over an address space. Members: see WalkStepper and LocklessWalker. A cheap
/// view, one per actor.
///
/// Witness: an irq_section, which must span the whole walk. No lock before, none after. Entries are
/// read with acquire; counts on the frames as try_grab() says.
template<class Space, table_recheck Recheck = table_recheck::yes>
class lockless_walker {
public:
    using machine = typename Space::machine;
    using format = typename Space::format;
    using witness = irq_section<typename Space::reclaimer>;
    using ticket = typename seq_count<machine>::sequence;

    /// One walk in progress; members: see WalkStepper.
    class cursor {
    public:
        [[nodiscard]] constexpr std::optional<entry_query> query() const noexcept {
            switch (now_) {
                case stage::descending: return way_.query();
                case stage::rechecking_parent: return way_.parent();
                case stage::rechecking_leaf: return way_.query();
                case stage::answered: break;
            }
            return std::nullopt;
        }
        [[nodiscard]] constexpr walk_answer const& answer() const noexcept { return answer_; }
        constexpr void forget() noexcept { way_.forget(); }

    private:
        friend class lockless_walker;
        enum class stage : std::uint8_t {
            descending,
            rechecking_parent,
            rechecking_leaf,
            answered
        };

        descent<format> way_{};
        walk_request request_{};
        walk_answer answer_{};  // while rechecking: what was grabbed and is not promised yet
        stage now_{stage::answered};
        bool writable_{false};  // is the entry that is being rechecked?
    };

    /// `space` outlives it.
    constexpr explicit lockless_walker(Space& space) noexcept : space_{space} {}

    constexpr void seek(cursor& walk, walk_request const& request, witness&) const noexcept {
        walk.request_ = request;
        walk.way_.turn_to(space_.table().root(), request.at);
        walk.now_ = cursor::stage::descending;
    }

    /// mmhold: the lockless walk needs interrupts off: open an irq_section and pass it.
    template<class not_an_irq_section>
    void seek(cursor&, walk_request const&, not_an_irq_section&) const = delete;

    constexpr void deliver(cursor& walk, std::uint64_t word, witness& inside) const noexcept {
        auto const entry = static_cast<typename format::word>(word);
        switch (walk.now_) {
            case cursor::stage::descending: return descend(walk, entry, inside);
            case cursor::stage::rechecking_parent: return recheck_parent(walk, entry);
            case cursor::stage::rechecking_leaf: return recheck_leaf(walk, entry);
            case cursor::stage::answered: return;
        }
    }

    [[nodiscard]] constexpr std::uint64_t read(entry_query query) const noexcept {
        return space_.table().read_entry(query.table, query.index);
    }

    /// All that is left of the walk, with entries read from memory: the same steps, without a
    /// question and an answer for each.
    constexpr void read_on(cursor& walk, witness& inside) const noexcept {
        auto const& table = space_.table();
        while (walk.now_ == cursor::stage::descending) {
            auto const& at = walk.way_.here();
            descend(walk, table.read_entry(at.table, at.index), inside);
        }
        if (walk.now_ == cursor::stage::rechecking_parent) {
            auto const& at = walk.way_.above();
            recheck_parent(walk, table.read_entry(at.table, at.index));
        }
        if (walk.now_ == cursor::stage::rechecking_leaf) {
            auto const& at = walk.way_.here();
            recheck_leaf(walk, table.read_entry(at.table, at.index));
        }
    }

    [[nodiscard]] constexpr virt_addr user_end() const noexcept {
        return task_size_max(format::virtual_bits);
    }

    /// A pin announces itself to fork before it looks at anything (§5.1 items 2 and 7).
    [[nodiscard]] constexpr std::optional<ticket> begin_walk(holding how) const noexcept {
        if (how == holding::pin) space_.set_has_pinned();
        auto const seen = space_.write_protect_seq().read_begin();
        if (how == holding::pin && seen.writing()) return std::nullopt;
        return seen;
    }
    [[nodiscard]] constexpr bool walk_was_undisturbed(holding how, ticket seen) const noexcept {
        return how != holding::pin || !space_.write_protect_seq().read_retry(seen);
    }
    constexpr void put_back(pfn first, std::uint64_t pages, holding how) const noexcept {
        release_pages(space_.frames(), first, pages, how);
    }

private:
    constexpr void descend(cursor& walk, typename format::word word,
                           witness& inside) const noexcept {
        switch (walk.way_.deliver(word, inside)) {
            case descent_turn::ask: return;
            case descent_turn::absent: return retreat(walk);
            case descent_turn::leaf: return try_leaf(walk, inside);
        }
    }

    /// §5.2, rows "leaf rule" and "pte" up to the grab.
    constexpr void try_leaf(cursor& walk, witness& inside) const noexcept {
        auto const entry = walk.way_.entry();
        auto const wanted = walk.request_.flags.has(gup_flag::write) ? access::write : access::read;
        if (!entry.permits(wanted, inside.on().key_rights()) || entry.special) return retreat(walk);
        auto const level = walk.way_.level();
        auto const offset =
            (walk.request_.at.value - entry_start<format>(walk.request_.at, level).value) >>
            page_shift;
        auto const first = entry.target.plus(offset);
        auto const pages = std::min(walk.request_.max_pages, entry_pages<format>(level) - offset);
        if (!space_.frames().try_grab(first, pages, walk.request_.how, rules(walk.request_.flags)))
            return retreat(walk);
        walk.writable_ = entry.writable;
        walk.answer_.first = first;  // a promise only once the rechecks have passed
        walk.answer_.pages = pages;
        auto const look_above = level == 0 && Recheck == table_recheck::yes && !walk.way_.at_root();
        walk.now_ = look_above ? cursor::stage::rechecking_parent : cursor::stage::rechecking_leaf;
    }

    constexpr void recheck_parent(cursor& walk, typename format::word word) const noexcept {
        if (word != walk.way_.parent_word()) return put_back_and_retreat(walk);
        walk.now_ = cursor::stage::rechecking_leaf;
    }

    constexpr void recheck_leaf(cursor& walk, typename format::word word) const noexcept {
        if (word != walk.way_.word() || !may_keep(walk)) return put_back_and_retreat(walk);
        space_.frames().mark_accessed(walk.answer_.first);
        walk.answer_.verdict = walk_verdict::pages;
        walk.now_ = cursor::stage::answered;
    }

    /// "Folio allowed" (§5.4, last paragraph): looked at for single pages, which may be secret, and
    /// before a long-term pin for writing. A page whose file has let go of it is left to the slow
    /// path then, whatever is wanted of it.
    [[nodiscard]] constexpr bool allowed(walk_request const& request, pfn page) const noexcept {
        auto const& frames = space_.frames();
        auto const longterm_write = request.how == holding::pin &&
                                    request.flags.has(gup_flag::longterm) &&
                                    request.flags.has(gup_flag::write);
        if (!longterm_write && frames.order_of(page) != 0) return true;
        auto const attributes = frames.attributes(page);
        if (attributes.has_any({frame_attribute::secret, frame_attribute::truncated})) return false;
        auto const own = frames.kind(page) == frame_kind::anonymous;
        return own || !longterm_write || attributes.has(frame_attribute::shmem);
    }

    /// "Folio allowed" and must-unshare with the vma unknown (§4.2).
    [[nodiscard]] constexpr bool may_keep(cursor const& walk) const noexcept {
        auto const& frames = space_.frames();
        auto const page = walk.answer_.first;
        auto const flags = walk.request_.flags;
        auto const anonymous = frames.kind(page) == frame_kind::anonymous;
        if (!allowed(walk.request_, page)) return false;
        if (walk.writable_ || walk.request_.how != holding::pin) return true;
        return anonymous ? frames.exclusive(page) : !flags.has(gup_flag::longterm);
    }

    [[nodiscard]] static constexpr grab_rules rules(gup_flags flags) noexcept {
        return grab_rules{}
            .with_if(flags.has(gup_flag::longterm), grab_rule::longterm)
            .with_if(flags.has(gup_flag::pci_p2pdma), grab_rule::peer_to_peer_allowed);
    }

    constexpr void put_back_and_retreat(cursor& walk) const noexcept {
        put_back(walk.answer_.first, walk.answer_.pages, walk.request_.how);
        retreat(walk);
    }
    static constexpr void retreat(cursor& walk) noexcept {
        walk.answer_.verdict = walk_verdict::retreat;
        walk.answer_.first = {};
        walk.answer_.pages = 0;
        walk.now_ = cursor::stage::answered;
    }

    Space& space_;
};

}  // namespace mmhold
