// SPDX-License-Identifier: BSL-1.0
#pragma once

// serial_order: is there an order of these operations that explains their answers?
//
// The search of Wing and Gong (Testing and verifying concurrent objects, 1993): take an operation
// that nobody who must come earlier is missing for, let the model answer it, go on if the answer is
// the one that was seen, go back if not. What was tried already is remembered as the set of
// operations taken and the state they led to (Lowe 2017). A model that cannot be copied – a whole
// address space – is built again and led to the same point instead.
//
// Nothing here knows of an exploration; history.hpp does.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mmhold {

/// What each operation does, one after the other, and what it answers then.
template<class Model, class Operation, class Result>
concept AnsweringModel = std::default_initializable<Model> && std::equality_comparable<Result> &&
    requires(Model& model, Operation const& op) {
    { model.apply(op) } -> std::convertible_to<Result>;  // does it, and answers
};

/// The same for a subject that may answer in several ways: it is told what was answered.
template<class Model, class Operation, class Result>
concept AdmittingModel = std::default_initializable<Model> &&
    requires(Model& model, Operation const& op, Result const& answered) {
    // could that be the answer now? Then it does what the answer says
    { model.admits(op, answered) } -> std::same_as<bool>;
};

/// What histories are judged by: the subject as it would be if nothing ever overlapped.
template<class Model, class Operation, class Result>
concept SequentialModel =
    AnsweringModel<Model, Operation, Result> || AdmittingModel<Model, Operation, Result>;

namespace detail {

/// An operation, an answer, or how to say it: text(), to_string(), a number.
template<class T>
[[nodiscard]] std::string in_words(T const& value) {
    if constexpr (requires {
                      { value.text() } -> std::convertible_to<std::string>;
                  }) {
        return value.text();
    } else if constexpr (std::same_as<T, bool>) {
        return value ? "true" : "false";
    } else if constexpr (requires { std::to_string(value); }) {
        return std::to_string(value);
    } else if constexpr (requires { std::string{to_string(value)}; }) {
        return std::string{to_string(value)};
    } else if constexpr (std::is_enum_v<T>) {
        return std::to_string(static_cast<std::underlying_type_t<T>>(value));
    } else {
        return "(no text)";
    }
}

/// One operation of a history, as the search needs it.
template<class Operation, class Result>
struct recorded {
    Operation op{};
    Result answer{};
    int actor{0};
    int called{0};           // moment
    int answered{0};         // moment; 0: never
    std::uint64_t first{0};  // bit k: number k must come before this one
};

/// What became of a search: an order, or how far the best attempt came and why not further.
struct serial_verdict {
    bool explained{false};
    std::vector<std::size_t> order{};  // found, or the longest that fits
    std::string stuck{};               // what would have been answered next
};

/// Builds, copies or replays a model, whichever it can.
template<class Model, class Operation, class Result>
class serial_search {
public:
    using record = recorded<Operation, Result>;
    static constexpr bool copies = std::copyable<Model>;
    static constexpr bool remembers = copies && std::equality_comparable<Model>;

    /// `create` and `destroy`: where models that cannot be copied live.
    template<class Create, class Destroy, class AtEnd>
    [[nodiscard]] static serial_verdict run(std::span<record const> all, Create create,
                                            Destroy destroy, AtEnd at_end) {
        serial_search search{all};
        auto const fits = [&](Model& model) { return at_end(static_cast<Model const&>(model)); };
        if constexpr (copies) {
            search.verdict_.explained = search.extend(0, Model{}, fits);
        } else {
            search.verdict_.explained = search.extend_by_replay(0, create, destroy, fits);
        }
        if (search.verdict_.explained) search.verdict_.order = search.order_;
        return std::move(search.verdict_);
    }

private:
    explicit serial_search(std::span<record const> all) : all_{all} {
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (all[i].answered != 0) required_ |= bit(i);
        }
    }
    [[nodiscard]] static constexpr std::uint64_t bit(std::size_t i) noexcept {
        return std::uint64_t{1} << i;
    }
    [[nodiscard]] bool may_be_next(std::size_t i, std::uint64_t taken) const noexcept {
        return (taken & bit(i)) == 0 && (all_[i].first & ~taken) == 0;
    }
    [[nodiscard]] bool all_taken(std::uint64_t taken) const noexcept {
        return (required_ & ~taken) == 0;
    }

    /// Lets the model do number i. False: it would have answered something else.
    [[nodiscard]] bool answers(Model& model, std::size_t i) {
        record const& r = all_[i];
        if constexpr (AdmittingModel<Model, Operation, Result>) {
            if (r.answered == 0 || model.admits(r.op, r.answer)) return true;
            note_stuck(i, "could not answer that");
            return false;
        } else {
            Result const would = model.apply(r.op);
            if (r.answered == 0 || would == r.answer) return true;
            note_stuck(i, "would answer " + in_words(would));
            return false;
        }
    }
    void note_stuck(std::size_t i, std::string why) {
        if (order_.size() < verdict_.order.size()) return;
        if (order_.size() > verdict_.order.size() || verdict_.order != order_) {
            verdict_.order = order_;
            verdict_.stuck.clear();
        }
        if (!verdict_.stuck.empty()) verdict_.stuck += "; ";
        verdict_.stuck += "T" + std::to_string(all_[i].actor) + " " + in_words(all_[i].op) + " ";
        verdict_.stuck += why;
    }
    [[nodiscard]] bool ends_well(Model& model, auto const& fits) {
        if (fits(model)) return true;
        if (order_.size() >= verdict_.order.size()) {
            verdict_.order = order_;
            verdict_.stuck = "all answers fit, but what is left behind does not";
        }
        return false;
    }

    [[nodiscard]] bool extend(std::uint64_t taken, Model const& now, auto const& fits) {
        if (known(taken, now)) return false;
        if (all_taken(taken)) {
            Model last = now;
            if (ends_well(last, fits)) return true;
        }
        for (std::size_t i = 0; i < all_.size(); ++i) {
            if (!may_be_next(i, taken)) continue;
            Model next = now;
            if (!answers(next, i)) continue;
            order_.push_back(i);
            if (extend(taken | bit(i), next, fits)) return true;
            order_.pop_back();
        }
        return false;
    }
    [[nodiscard]] bool known(std::uint64_t taken, Model const& now) {
        if constexpr (remembers) {
            for (auto const& v : visited_) {
                if (v.first == taken && v.second == now) return true;
            }
            visited_.emplace_back(taken, now);
        }
        return false;
    }

    [[nodiscard]] bool extend_by_replay(std::uint64_t taken, auto const& create,
                                        auto const& destroy, auto const& fits) {
        if (all_taken(taken)) {
            Model* const model = led_here(create);
            bool const good = ends_well(*model, fits);
            destroy(model);
            if (good) return true;
        }
        for (std::size_t i = 0; i < all_.size(); ++i) {
            if (!may_be_next(i, taken)) continue;
            Model* const model = led_here(create);
            bool const good = answers(*model, i);
            destroy(model);
            if (!good) continue;
            order_.push_back(i);
            if (extend_by_replay(taken | bit(i), create, destroy, fits)) return true;
            order_.pop_back();
        }
        return false;
    }
    /// A fresh model that has done what was taken so far.
    [[nodiscard]] Model* led_here(auto const& create) {
        Model* const model = create();
        for (auto const i : order_) (void)answers(*model, i);
        return model;
    }

    using memory = std::vector<std::pair<std::uint64_t, std::conditional_t<copies, Model, int>>>;

    std::span<record const> all_;
    std::uint64_t required_{0};
    std::vector<std::size_t> order_{};
    serial_verdict verdict_{};
    memory visited_{};
};

/// The operations as intervals, one a line, and the best attempt at an order.
template<class Operation, class Result>
[[nodiscard]] std::string intervals_in_words(std::span<recorded<Operation, Result> const> all,
                                             serial_verdict const& found) {
    std::size_t widest = 0;
    int last = 1;
    std::vector<std::string> names;
    for (auto const& r : all) {
        auto name = std::string{"T"}.append(std::to_string(r.actor)).append(1, ' ');
        name += in_words(r.op) + " -> ";
        name += r.answered != 0 ? in_words(r.answer) : std::string{"(no answer)"};
        widest = name.size() > widest ? name.size() : widest;
        last = r.answered > last ? r.answered : r.called > last ? r.called : last;
        names.push_back(std::move(name));
    }
    constexpr int columns = 40;
    auto const column = [&](int moment) {
        return static_cast<std::size_t>(moment * columns / (last + 1));
    };
    std::string text{"  operations, from call to answer:\n"};
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto const begin = column(all[i].called);
        auto const end = all[i].answered != 0 ? column(all[i].answered) : std::size_t{columns};
        text += "    " + names[i] + std::string(widest - names[i].size() + 2 + begin, ' ');
        text += "|" + std::string(end > begin + 1 ? end - begin - 1 : 0, '=') + "|\n";
    }
    text += "  the longest serial order that fits:";
    if (found.order.empty()) text += " none at all";
    for (std::size_t i = 0; i < found.order.size(); ++i)
        text += (i == 0 ? " " : ", then ") + names[found.order[i]];
    if (!found.stuck.empty()) text += "\n  after it: " + found.stuck;
    return text + "\n";
}

}  // namespace detail

}  // namespace mmhold
