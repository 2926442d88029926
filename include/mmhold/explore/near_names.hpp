// SPDX-License-Identifier: BSL-1.0
#pragma once

// near_names: "did you mean": which known names look like one that is not known.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmhold {

namespace detail {

/// How many letters must be put in, left out or exchanged to make `b` of `a` (Levenshtein).
[[nodiscard]] inline std::size_t letters_apart(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            auto const exchanged = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, exchanged});
        }
    }
    return row.back();
}

/// At most three of `known` that are near to `name` or contain it, the nearest first.
[[nodiscard]] inline std::vector<std::string> near_names(std::string_view name,
                                                         std::vector<std::string> const& known) {
    std::vector<std::pair<std::size_t, std::string>> found;
    for (auto const& k : known) {
        bool const inside = !name.empty() && k.find(name) != std::string::npos;
        auto const apart = inside ? 1 : letters_apart(name, k);
        bool const twice =
            std::any_of(found.begin(), found.end(), [&](auto const& f) { return f.second == k; });
        if (!twice && apart <= std::max<std::size_t>(2, k.size() / 3)) found.emplace_back(apart, k);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](auto const& a, auto const& b) { return a.first < b.first; });
    std::vector<std::string> names;
    for (std::size_t i = 0; i < found.size() && i < 3; ++i) names.push_back(found[i].second);
    return names;
}

/// " (did you mean a or b?)"; empty if nothing is near.
[[nodiscard]] inline std::string did_you_mean(std::string_view name,
                                              std::vector<std::string> const& known) {
    std::string text;
    for (auto const& n : near_names(name, known))
        text += (text.empty() ? " (did you mean " : " or ") + n;
    return text.empty() ? text : text + "?)";
}

}  // namespace detail

}  // namespace mmhold
