// SPDX-License-Identifier: BSL-1.0
#pragma once

// PageWalker: from a virtual address to held frames, one page table entry at a time.
//
// A walk is a conversation. The walker says which entry it wants next (an entry_query), whoever
// runs it delivers the word – at once from memory, or cycles later from a simulated bus – until the
// walker has an answer. Nothing in it blocks, allocates or reads memory behind the host's back,
// with one exception that every model documents: the grab of the frame and what must be looked at
// under the same lock as the grab.

#include <mmhold/vocab/address.hpp>
#include <mmhold/vocab/errc.hpp>
#include <mmhold/vocab/fault_flags.hpp>
#include <mmhold/vocab/gup_flags.hpp>

#include <concepts>
#include <cstdint>
#include <optional>

namespace mmhold {

/// One entry of one page table.
struct entry_query {
    pfn table{};       ///< the table page
    unsigned index{};  ///< which of its entries
    unsigned level{};  ///< 0 = the table of 4 KiB entries (PTE), upwards to the root
    friend constexpr bool operator==(entry_query, entry_query) = default;
};

/// What one walk is to find.
struct walk_request {
    virt_addr at{};              ///< first page wanted, page-aligned
    std::uint64_t max_pages{1};  ///< at most so many further pages, if the same leaf covers them
    gup_flags flags{};           ///< may contain internal flags
    holding how{holding::none};  ///< how the frames found are to be held
};

/// How a walk ended.
enum class walk_verdict : std::uint8_t {
    pages,    ///< `pages` consecutive frames from `first` are held as asked
    fault,    ///< a fault is needed for `cause`; nothing is held
    refused,  ///< no fault could help: `error`; nothing is held
    retreat,  ///< lockless only: this page cannot be taken without the mm lock; nothing is held
};

/// The end of a walk.
struct walk_answer {
    walk_verdict verdict{walk_verdict::retreat};
    pfn first{};
    std::uint64_t pages{0};
    fault_cause cause{fault_cause::missing_or_protected};
    errc error{errc::ok};

    /// The four answers.
    [[nodiscard]] static constexpr walk_answer found(pfn first, std::uint64_t pages) noexcept {
        return {walk_verdict::pages, first, pages, {}, errc::ok};
    }
    [[nodiscard]] static constexpr walk_answer needs_fault(fault_cause cause) noexcept {
        return {walk_verdict::fault, {}, 0, cause, errc::ok};
    }
    [[nodiscard]] static constexpr walk_answer refuse(errc error) noexcept {
        return {walk_verdict::refused, {}, 0, {}, error};
    }
    [[nodiscard]] static constexpr walk_answer retreat() noexcept { return {}; }

    friend constexpr bool operator==(walk_answer const&, walk_answer const&) = default;
};

/// The stepper. `W::cursor` is one walk in progress; `Witness` proves what must hold while it runs:
/// a held mm lock (`held_shared<L> const`) for a locked walk, an interrupts-off section
/// (`irq_section<R>`) for a lockless one.
template<class W, class Witness>
concept WalkStepper = requires(W& walker, typename W::cursor& walk, walk_request const& request,
                               std::uint64_t word, entry_query entry, Witness& witness) {
    // Turns the cursor to `request`. A cursor that comes from the previous page of the same hold
    // keeps what is still true (vma, table); a fresh one starts at the root.
    { walker.seek(walk, request, witness) };
    // The entry wanted next; empty once the answer stands.
    { walk.query() } -> std::same_as<std::optional<entry_query>>;
    // Delivers the word of the entry last asked for.
    { walker.deliver(walk, word, witness) };
    // The answer; meaningful once query() is empty. What it holds now belongs to the caller.
    { walk.answer() } -> std::convertible_to<walk_answer const&>;
    // The hold or section is over: forget everything learnt under it.
    { walk.forget() };
    // How a host with the tables in memory reads an entry; only for the entry just asked for.
    { walker.read(entry) } -> std::convertible_to<std::uint64_t>;
};

/// A stepper that says what its witness is.
///
/// Laws (laws/page_walker.hpp): (1) a walk ends after finitely many deliveries of unchanging words;
/// (2) pages are consecutive, at least 1, at most max_pages, and lie in one leaf; (3) each page
/// found was mapped at its address with the permission asked for at one moment between seek and
/// answer; (4) an answer other than `pages` holds nothing;
/// (5) after the caller has released what was found, all counts are what they were.
template<class W>
concept PageWalker = requires { typename W::witness; } && WalkStepper<W, typename W::witness>;

/// A walker that needs no lock, only a section, and therefore can be overtaken by fork
/// (gup-semantics §5.1).
template<class W>
concept LocklessWalker =
    PageWalker<W> &&
    requires(W& walker, holding how, typename W::ticket ticket, pfn first, std::uint64_t pages) {
        // The first address that no user mapping can have.
        { walker.user_end() } -> std::same_as<virt_addr>;
        // Before a walk that pins: a ticket, or nothing while a fork is copying the page tables
        // (§5.1 items 2 and 7).
        { walker.begin_walk(how) } -> std::same_as<std::optional<typename W::ticket>>;
        // After it: did no fork begin meanwhile? If one did, everything just pinned must be put
        // back (§5.1 item 11).
        { walker.walk_was_undisturbed(how, ticket) } -> std::same_as<bool>;
        // Releases pages that an earlier answer held.
        { walker.put_back(first, pages, how) };
    };

/// Reads the entry that the walk wants from memory and delivers it, over and over until there is an
/// answer. A walker may have a faster way of its own: `walker.read_on(cursor, witness)`.
template<class W, class Witness>
requires WalkStepper<W, Witness>
constexpr void read_on(W& walker, typename W::cursor& cursor, Witness& witness) noexcept {
    if constexpr (requires { walker.read_on(cursor, witness); }) {
        walker.read_on(cursor, witness);
    } else {
        while (auto const wanted = cursor.query()) {
            walker.deliver(cursor, walker.read(*wanted), witness);
        }
    }
}

/// Runs a walk whose entries can be read at once.
template<class W, class Witness>
requires WalkStepper<W, Witness>
[[nodiscard]] constexpr walk_answer walk(W& walker, typename W::cursor& cursor,
                                         walk_request const& request, Witness& witness) noexcept {
    walker.seek(cursor, request, witness);
    read_on(walker, cursor, witness);
    return cursor.answer();
}

}  // namespace mmhold
