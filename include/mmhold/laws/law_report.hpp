// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace mmhold {

/// What a law says about a model: it holds, or here is how it is broken. A plain value, usable in
/// constant evaluation and with any test framework:
///
///     static_assert(page_format_laws<my_format>());
///     auto const verdict = mm_lock_laws<my_lock>();
///     if (!verdict) std::printf("%s: %s\n", verdict.law, verdict.failure);
struct [[nodiscard]] law_report {
    char const* law{""};            ///< the law's name, as the concept lists it
    char const* failure{nullptr};   ///< nullptr: it holds; otherwise what was seen

    /// Was nothing seen that breaks it?
    [[nodiscard]] constexpr bool holds() const noexcept { return failure == nullptr; }
    constexpr explicit operator bool() const noexcept { return holds(); }
};

/// Collects one law's observations: the first that is false becomes the report.
///
///     law_check law{"try_* never waits"};
///     law.require(!lock.try_lock(), "try_lock succeeded while a reader holds the lock");
///     return law.report();
class law_check {
public:
    /// Begins to judge the law of this name.
    constexpr explicit law_check(char const* law) noexcept : report_{law, nullptr} {}

    /// `otherwise`: what is wrong if `condition` is false. Answers `condition`, for early exits.
    constexpr bool require(bool condition, char const* otherwise) noexcept {
        if (!condition && report_.failure == nullptr) report_.failure = otherwise;
        return condition;
    }
    /// What was seen so far.
    constexpr law_report report() const noexcept { return report_; }

private:
    law_report report_;
};

/// The first broken law among `reports`; the last report if all hold.
template<class... Reports>
[[nodiscard]] constexpr law_report first_broken(law_report first, Reports... others) noexcept {
    if constexpr (sizeof...(others) == 0) {
        return first;
    } else {
        return first ? first_broken(others...) : first;
    }
}

}  // namespace mmhold
