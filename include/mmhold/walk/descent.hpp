// SPDX-License-Identifier: BSL-1.0
#pragma once

// descent – the way down the page tables that both walkers share.
//
// Walker   (inside an interrupts-off section) read an entry → it points to a table → protect that
//          table by a hazard slot → read the SAME entry AGAIN → still the same? then the table was
//          linked after it was protected, so it cannot be freed under us: go down. Different? take
//          the new word at its value and try again.
// Freer    clear the entry that points to the table → retire the table → free it once no slot names
//          it.
//
// The re-read is a query like any other, so a host that answers slowly, or the explorer, sees it
// and can interleave with it.

#include <mmhold/paging/page_format.hpp>
#include <mmhold/vocab/address.hpp>
#include <mmhold/walk/page_walker.hpp>

#include <array>
#include <cstdint>

namespace mmhold {

/// Where a descent stands after a delivery.
enum class descent_turn : std::uint8_t {
    ask,     ///< another entry is wanted: query()
    leaf,    ///< the last word delivered is a leaf or a marker
    absent,  ///< the last word delivered is none
};

/// The state of one way down. `Format` is the PageFormat.
template<PageFormat Format>
class descent {
public:
    using word_type = typename Format::word;

    /// Starts at the root for `at`. Forgets everything learnt before.
    constexpr void start(pfn root, virt_addr at) noexcept {
        at_ = at;
        level_ = Format::levels - 1;
        path_[level_] = {{root, Format::index(at, level_), level_}, 0};
        rechecking_ = false;
        valid_ = true;
    }

    /// Turns to `at` without going back to the root if the level-0 table reached last covers it too
    /// and is still protected by the same section; otherwise starts over.
    constexpr void turn_to(pfn root, virt_addr at) noexcept {
        auto const same_table = valid_ && level_ == 0 && Format::levels > 1 &&
                                entry_start<Format>(at, 1) == entry_start<Format>(at_, 1);
        if (!same_table) return start(root, at);
        at_ = at;
        path_[0].at.index = Format::index(at, 0);
        rechecking_ = false;
    }

    /// The section has ended: nothing protects the tables on the path any more.
    constexpr void forget() noexcept { valid_ = false; }

    /// The entry wanted next.
    [[nodiscard]] constexpr entry_query query() const noexcept { return here(); }
    /// The same, in place.
    [[nodiscard]] constexpr entry_query const& here() const noexcept { return path_[level_].at; }
    [[nodiscard]] constexpr unsigned level() const noexcept { return level_; }
    [[nodiscard]] constexpr virt_addr at() const noexcept { return at_; }
    /// The word last delivered.
    [[nodiscard]] constexpr word_type word() const noexcept { return path_[level_].value; }
    /// The same, decoded.
    [[nodiscard]] constexpr page_entry entry() const noexcept {
        return Format::decode(word(), level_);
    }
    /// The entry one level up that led here, and the word it held. Only below the root.
    [[nodiscard]] constexpr entry_query parent() const noexcept { return above(); }
    /// The same, in place.
    [[nodiscard]] constexpr entry_query const& above() const noexcept {
        return path_[level_ + 1].at;
    }
    [[nodiscard]] constexpr word_type parent_word() const noexcept {
        return path_[level_ + 1].value;
    }
    [[nodiscard]] constexpr bool at_root() const noexcept { return level_ + 1 == Format::levels; }

    /// Takes the word of query(). `section` is the interrupts-off section the walk runs in.
    template<class Section>
    [[nodiscard]] constexpr descent_turn deliver(word_type word, Section& section) noexcept {
        auto& here = path_[level_];
        if (rechecking_ && word == here.value) {
            rechecking_ = false;
            auto const table = Format::decode(word, level_).target;
            --level_;
            path_[level_] = {{table, Format::index(at_, level_), level_}, 0};
            return descent_turn::ask;
        }
        here.value = word;
        rechecking_ = false;
        auto const found = Format::decode(word, level_);
        if (found.is_table()) {
            section.protect(level_ - 1, found.target.value);
            rechecking_ = true;
            return descent_turn::ask;
        }
        return found.none() ? descent_turn::absent : descent_turn::leaf;
    }

private:
    struct step {
        entry_query at{};
        word_type value{};
    };
    std::array<step, Format::levels> path_{};
    virt_addr at_{};
    unsigned level_{Format::levels - 1};
    bool rechecking_{false};
    bool valid_{false};
};

}  // namespace mmhold
