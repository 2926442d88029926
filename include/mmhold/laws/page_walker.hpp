// SPDX-License-Identifier: BSL-1.0
#pragma once

// The laws of PageWalker, as code: run them on a walker of your own before you build on it.
//
//     auto const verdict = page_walker_laws(my_walker, held, requests, books);
//
// `requests` are walks to make on tables that nobody changes meanwhile: present pages, holes,
// refused pages, whatever the walker knows. `books` can be asked for a number that changes whenever
// any page is held or released, and gives back what a walk held:
//
//     struct books {
//         std::uint64_t total() const;                              // e.g. the sum of all
//         reference counts void release(pfn first, std::uint64_t pages, holding how);
//     };
//
// Law 3 – a page found was mapped with the permission asked for at one moment during the walk – is
// about interleaving; it is for the explorer, not for a function that runs alone.

#include <mmhold/laws/law_report.hpp>
#include <mmhold/vocab/gup_flags.hpp>
#include <mmhold/walk/page_walker.hpp>

#include <cstdint>
#include <span>

namespace mmhold {

namespace detail {

/// More questions than any walk of unchanging tables needs: each level of the deepest format, asked
/// and asked again.
inline constexpr unsigned patience = 64;

/// One walk that gives up after `patience` questions; then there is no answer.
template<class W, class Witness>
[[nodiscard]] constexpr std::optional<walk_answer> bounded_walk(W& walker,
                                                                walk_request const& request,
                                                                Witness& witness) {
    typename W::cursor cursor{};
    walker.seek(cursor, request, witness);
    for (unsigned asked = 0; asked < patience; ++asked) {
        auto const wanted = cursor.query();
        if (!wanted) {
            auto const answer = cursor.answer();
            cursor.forget();
            return answer;
        }
        walker.deliver(cursor, walker.read(*wanted), witness);
    }
    cursor.forget();
    return std::nullopt;
}

}  // namespace detail

/// Law 1: a walk of unchanging tables ends. Leaves the books as they were.
template<class W, class Witness, class Books>
constexpr law_report page_walker_ends_law(W& walker, Witness& witness,
                                          std::span<walk_request const> requests, Books& books) {
    law_check law{"a walk of unchanging tables ends"};
    for (auto const& request : requests) {
        auto const answer = detail::bounded_walk(walker, request, witness);
        if (!law.require(answer.has_value(), "no answer after 64 entries")) break;
        if (answer->verdict == walk_verdict::pages)
            books.release(answer->first, answer->pages, request.how);
    }
    return law.report();
}

/// Laws 2, 4 and 5: what an answer may say, that only `pages` holds anything, and that a release
/// gives all of it back.
template<class W, class Witness, class Books>
constexpr law_report page_walker_answer_law(W& walker, Witness& witness,
                                            std::span<walk_request const> requests, Books& books) {
    law_check law{"only pages are held, at least one and at most as many as asked for"};
    for (auto const& request : requests) {
        auto const before = books.total();
        auto const answer =
            detail::bounded_walk(walker, request, witness).value_or(walk_answer::retreat());
        if (answer.verdict == walk_verdict::pages) {
            (void)(law.require(answer.pages >= 1, "an answer of no pages") &&
                   law.require(answer.pages <= request.max_pages, "more pages than asked for"));
            books.release(answer.first, answer.pages, request.how);
        } else {
            (void)law.require(books.total() == before,
                              "an answer other than pages holds something");
        }
        (void)law.require(answer.verdict != walk_verdict::refused || answer.error != errc::ok,
                          "refused without a reason");
        if (!law.require(books.total() == before,
                         "after the release the counts are not what they were"))
            break;
    }
    return law.report();
}

/// A walk that is abandoned half-way – the host lost interest – holds nothing.
template<class W, class Witness, class Books>
constexpr law_report page_walker_abandon_law(W& walker, Witness& witness,
                                             std::span<walk_request const> requests, Books& books) {
    law_check law{"an abandoned walk that has found nothing yet holds nothing"};
    for (auto const& request : requests) {
        auto const before = books.total();
        {
            typename W::cursor cursor{};
            walker.seek(cursor, request, witness);
            cursor.forget();
        }
        if (!law.require(books.total() == before, "seek and forget changed the counts")) break;
    }
    return law.report();
}

/// All of them; the first that is broken.
template<class W, class Witness, class Books>
constexpr law_report page_walker_laws(W& walker, Witness& witness,
                                      std::span<walk_request const> requests, Books& books) {
    return first_broken(page_walker_ends_law(walker, witness, requests, books),
                        page_walker_answer_law(walker, witness, requests, books),
                        page_walker_abandon_law(walker, witness, requests, books));
}

}  // namespace mmhold
