// SPDX-License-Identifier: BSL-1.0
#pragma once

// locked_walker – finds and holds pages under the mm lock (gup-semantics §2.3 items 1-4, §4.1,
// §4.2).
//
// The mm lock keeps the vmas in place, not the tables: an empty table may be detached under the
// shared lock (§6.2 #29). So the way down is the lockless one (descent.hpp), inside a section of
// the cursor's own; the leaf is judged under the page table lock of its table, after a look whether
// that table is still the one its parent points to. Whoever changes the entry or detaches the table
// holds the same lock, so what is judged is also what is grabbed.

#include <mmhold/lock/held.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/paging/page_format.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/irq_section.hpp>
#include <mmhold/space/frame.hpp>
#include <mmhold/space/vma.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/walk/descent.hpp>
#include <mmhold/walk/page_walker.hpp>
#include <mmhold/walk/vma_access.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace mmhold {

/// The walk under the mm lock. Members: see WalkStepper and PageWalker. A cheap view of an address
/// space for one cpu.
///
/// Witness: held_shared of the space's lock, held from seek() to the answer. Before a host answers
/// "resolve fault" or sleeps it has the cursor's answer, and the cursor's section is closed.
template<class Space>
class locked_walker {
public:
    using machine = typename Space::machine;
    using format = typename Space::format;
    using lock_type = typename Space::lock_type;
    using reclaimer = typename Space::reclaimer;
    using witness = held_shared<lock_type> const;

    /// One walk in progress; members: see WalkStepper. Keeps the vma and, between pages found, the
    /// section and the way to the table.
    class cursor {
    public:
        [[nodiscard]] constexpr std::optional<entry_query> query() const noexcept {
            return asking_ ? std::optional{way_.query()} : std::nullopt;
        }
        [[nodiscard]] constexpr walk_answer const& answer() const noexcept { return answer_; }
        constexpr void forget() noexcept {
            area_.reset();
            leave();
        }

    private:
        friend class locked_walker;
        constexpr void leave() noexcept {
            way_.forget();
            inside_.reset();
        }

        descent<format> way_{};
        walk_request request_{};
        walk_answer answer_{};
        std::optional<vma_ref<lock_type>> area_{};
        std::optional<irq_section<reclaimer>> inside_{};
        bool asking_{false};
    };

    /// Both outlive it.
    constexpr locked_walker(Space& space, cpu<reclaimer>& me) noexcept : space_{space}, me_{me} {}

    constexpr void seek(cursor& walk, walk_request const& request, witness& held) const noexcept {
        walk.request_ = request;
        if (auto const refused = enter_area(walk, held); refused != errc::ok) {
            return finish(walk, without_area(walk, refused));
        }
        if (request.how == holding::pin) space_.set_has_pinned();
        if (!walk.inside_) walk.inside_.emplace(me_);
        walk.way_.turn_to(space_.table().root(), request.at);
        walk.asking_ = true;
    }

    constexpr void deliver(cursor& walk, std::uint64_t word, witness& held) const noexcept {
        switch (walk.way_.deliver(static_cast<typename format::word>(word), *walk.inside_)) {
            case descent_turn::ask: return;
            case descent_turn::absent: return finish(walk, nothing_there(walk, held));
            case descent_turn::leaf: return judge_leaf(walk, held);
        }
    }

    [[nodiscard]] constexpr std::uint64_t read(entry_query query) const noexcept {
        return space_.table().read_entry(query.table, query.index);
    }

    /// All that is left of the walk, with entries read from memory.
    constexpr void read_on(cursor& walk, witness& held) const noexcept {
        while (walk.asking_) {
            auto const& at = walk.way_.here();
            deliver(walk, space_.table().read_entry(at.table, at.index), held);
        }
    }

private:
    /// §2.3 items 1 and 2: the vma is looked up for the first page of a hold and when its end is
    /// crossed, and only then its permissions are tested.
    [[nodiscard]] constexpr errc enter_area(cursor& walk, witness& held) const noexcept {
        auto const populating = walk.request_.flags.has(gup_flag::madv_populate);
        if (walk.area_ && walk.area_->view(held).span.contains(walk.request_.at)) return errc::ok;
        walk.area_ = space_.find(walk.request_.at, held);
        if (!walk.area_) return populating ? errc::no_memory : errc::bad_address;
        auto const refused = check_vma_access(walk.area_->view(held), walk.request_.flags,
                                              walk.request_.how, me_.key_rights());
        if (refused == errc::ok) return errc::ok;
        walk.area_.reset();
        return populating ? errc::invalid_argument : refused;
    }

    /// The gate page can be read though it has no vma (§2.3 item 2); MADV_POPULATE does not see it.
    [[nodiscard]] constexpr walk_answer without_area(cursor const& walk,
                                                     errc refused) const noexcept {
        auto const& request = walk.request_;
        auto const gate = space_.gate_page(request.at);
        auto const beyond = request.flags.has_any({gup_flag::write, gup_flag::madv_populate});
        if (!gate || beyond) return walk_answer::refuse(refused);
        auto const got = space_.frames().try_grab(*gate, 1, request.how);
        return got ? walk_answer::found(*gate, 1) : walk_answer::refuse(errc::no_memory);
    }

    /// A core dump does not want to fill holes: no table at all is its "nothing here" (§1.2,
    /// FOLL_DUMP).
    [[nodiscard]] constexpr walk_answer nothing_there(cursor const& walk,
                                                      witness& held) const noexcept {
        auto const hole = walk.way_.level() > 0 && walk.request_.flags.has(gup_flag::dump) &&
                          is_anonymous(walk.area_->view(held));
        return hole ? walk_answer::refuse(errc::bad_address)
                    : walk_answer::needs_fault(fault_cause::missing_or_protected);
    }

    /// Under the page table lock: is the table still linked, the entry still a leaf? Then decide.
    constexpr void judge_leaf(cursor& walk, witness& held) const noexcept {
        auto const at = walk.way_.query();
        spin_guard const page_table_lock{space_.table().memory().lock(at.table)};
        auto const linked =
            walk.way_.at_root() || read(walk.way_.parent()) == walk.way_.parent_word();
        auto const entry = format::decode(static_cast<typename format::word>(read(at)), at.level);
        if (!linked || entry.is_table())
            return walk.way_.start(space_.table().root(), walk.request_.at);
        finish(walk, entry.none() ? nothing_there(walk, held)
                                  : follow(walk, entry, walk.area_->view(held)));
    }

    /// §4.2, in its order. The page table lock is held.
    [[nodiscard]] constexpr walk_answer follow(cursor const& walk, page_entry const& entry,
                                               vma const& area) const noexcept {
        auto const& request = walk.request_;
        auto const fault = walk_answer::needs_fault(fault_cause::missing_or_protected);
        if (!entry.is_leaf() || entry.invalidated) return fault;
        if (entry.protnone && request.flags.has(gup_flag::honor_numa_fault) && !area.prot.empty())
            return fault;
        auto const level = walk.way_.level();
        auto const offset =
            (request.at.value - entry_start<format>(request.at, level).value) >> page_shift;
        auto const first = entry.target.plus(offset);
        if (request.flags.has(gup_flag::write) && !may_write(entry, first, area, request.flags))
            return fault;
        auto const in_area = (area.span.end().value - request.at.value) >> page_shift;
        auto const pages =
            std::min({request.max_pages, entry_pages<format>(level) - offset, in_area});
        if (entry.special) return follow_special(request, first, pages, area);
        if (!entry.writable && must_unshare(request, first, area)) {
            return walk_answer::needs_fault(fault_cause::must_unshare);
        }
        return grab(request, first, pages);
    }

    /// Writable, or a FORCE write to a page that copy-on-write has already made ours (§4.2 item 3).
    [[nodiscard]] constexpr bool may_write(page_entry const& entry, pfn page, vma const& area,
                                           gup_flags flags) const noexcept {
        if (entry.writable) return true;
        if (!flags.has(gup_flag::force) || !is_cow_mapping(area) ||
            permits(area.prot, access::write))
            return false;
        auto const& frames = space_.frames();
        if (entry.special || entry.uffd_wp || !frames.contains(page)) return false;
        return frames.kind(page) == frame_kind::anonymous && frames.exclusive(page);
    }

    /// §4.2 item 4: an entry without a page to reference, or zeroes. A long-term pin of zeroes
    /// would not see what is written later: unshared as well (§9.1, non-anon).
    [[nodiscard]] constexpr walk_answer follow_special(walk_request const& request, pfn page,
                                                       std::uint64_t pages,
                                                       vma const& area) const noexcept {
        if (request.flags.has(gup_flag::dump)) return walk_answer::refuse(errc::bad_address);
        if (space_.frames().is_zero(page)) {
            return must_unshare(request, page, area)
                       ? walk_answer::needs_fault(fault_cause::must_unshare)
                       : grab(request, page, pages);
        }
        return request.how == holding::none ? walk_answer::found(page, 1)
                                            : walk_answer::refuse(errc::exists);
    }

    /// gup_must_unshare, §4.2.
    [[nodiscard]] constexpr bool must_unshare(walk_request const& request, pfn page,
                                              vma const& area) const noexcept {
        if (request.how != holding::pin || request.flags.has(gup_flag::write)) return false;
        auto const& frames = space_.frames();
        if (frames.kind(page) == frame_kind::anonymous) return !frames.exclusive(page);
        return request.flags.has(gup_flag::longterm) && is_cow_mapping(area);
    }

    /// §4.2 items 6 and 7.
    [[nodiscard]] constexpr walk_answer grab(walk_request const& request, pfn first,
                                             std::uint64_t pages) const noexcept {
        auto& frames = space_.frames();
        auto const rules = grab_rules{}.with_if(request.flags.has(gup_flag::pci_p2pdma),
                                                grab_rule::peer_to_peer_allowed);
        if (!frames.try_grab(first, pages, request.how, rules))
            return walk_answer::refuse(errc::no_memory);
        if (request.flags.has(gup_flag::touch)) {
            if (request.flags.has(gup_flag::write)) frames.mark_dirty(first);
            frames.mark_accessed(first);
        }
        return walk_answer::found(first, pages);
    }

    /// The section stays open only between pages that were found: the next seek follows at once.
    static constexpr void finish(cursor& walk, walk_answer answer) noexcept {
        walk.answer_ = answer;
        walk.asking_ = false;
        if (answer.verdict != walk_verdict::pages) walk.leave();
    }

    Space& space_;
    cpu<reclaimer>& me_;
};

}  // namespace mmhold
