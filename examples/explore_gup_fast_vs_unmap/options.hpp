// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <mmhold/explore/plan.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace unmap {

/// What the command line asks for.
struct options {
    mmhold::memory_model model{mmhold::memory_model::tso};
    std::string replay{};  // a token; empty: search
    std::string json{};    // where the numbers go; empty: nowhere
    bool whole{false};
    bool help{false};
};

inline constexpr std::string_view help_text =
    R"(explore_gup_fast_vs_unmap - gup_fast against munmap, in every execution there is

Searches all executions of a caller that holds a page with gup_fast and another that unmaps it,
over the library's own address space. Then the same with a walk that does not look twice: finds
what goes wrong, tells it, and plays it again from its token.

usage: explore_gup_fast_vs_unmap [options]

  --model sc|tso|stale  what a load may see                   (default: tso)
                          sc     one step after the other
                          tso    x86: stores wait in a buffer
                          stale  C++ release/acquire: old values
  --replay TOKEN        only the one execution, of the walk that does not look twice, that a
                        story ended with; under the model it was found in
  --whole               every step of a story, not only those about the page and its entry
  --json FILE           write the numbers as JSON; - is the terminal
  --help                this text

exit status: 0 all came out as the text says, 1 something did not, 2 the program could not run as
asked
)";

struct parsed_options {
    options wanted{};
    std::string error{};  // empty: understood
};

namespace detail {

[[nodiscard]] inline std::optional<mmhold::memory_model> model_named(std::string_view name) {
    using enum mmhold::memory_model;
    for (auto const model : {sc, tso, stale}) {
        if (to_string(model) == name) return model;
    }
    return std::nullopt;
}

/// Could the explorer have written it? Actors are digits, their store buffers letters; 'k follows
/// the load that read the store k back.
[[nodiscard]] inline bool looks_like_a_token(std::string_view text) {
    constexpr std::string_view known = "01234567abcdefgh'89ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text.find_first_not_of(known) == text.npos;
}

/// Takes in the value of an option. Answers what is wrong with it; empty: nothing.
[[nodiscard]] inline std::string take(options& to, std::string_view name, std::string value) {
    if (name == "--model") {
        auto const model = model_named(value);
        if (!model) return "--model is sc, tso or stale, not '" + value + "'";
        to.model = *model;
    } else if (name == "--replay") {
        if (!looks_like_a_token(value)) return "--replay: '" + value + "' is no token of a story";
        to.replay = std::move(value);
    } else {
        to.json = std::move(value);
    }
    return {};
}

}  // namespace detail

/// Reads the command line without the program's name.
[[nodiscard]] inline parsed_options parse_options(std::span<char const* const> arguments) {
    parsed_options out;
    for (std::size_t i = 0; i < arguments.size() && out.error.empty(); ++i) {
        std::string_view const name = arguments[i];
        if (name == "--help") {
            out.wanted.help = true;
        } else if (name == "--whole") {
            out.wanted.whole = true;
        } else if (name != "--model" && name != "--replay" && name != "--json") {
            out.error = "unknown option '" + std::string{name} + "'";
        } else if (i + 1 == arguments.size() || std::string_view{arguments[i + 1]}.empty()) {
            out.error = std::string{name} + " needs a value";
        } else {
            out.error = detail::take(out.wanted, name, arguments[++i]);
        }
    }
    if (!out.wanted.replay.empty() && !out.wanted.json.empty() && out.error.empty())
        out.error = "--replay has no numbers to write: leave out --json";
    return out;
}

}  // namespace unmap
