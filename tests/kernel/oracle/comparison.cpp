// SPDX-License-Identifier: BSL-1.0
#include "comparison.hpp"

#include "script_watch.hpp"
#include <algorithm>
#include <iomanip>
#include <sstream>

namespace oracle {

using namespace parity;

std::string difference(step const& one, answer const& linux_says, answer const& model_says) {
    if (!linux_says.ran) return "the kernel's process did not get there";
    auto out = parity::difference(linux_says, model_says);
    auto const note = [&](char const* what) {
        out += (out.empty() ? "" : ", ") + std::string{what};
    };
    auto const tracer = one.what == op::peek || one.what == op::poke;
    auto const alone = !tracer && linux_says.events == 0 && one.what < op::map;
    if (alone && linux_says.faults != model_says.faults) note("minor faults");
    auto const same_pins =
        linux_says.pinned == model_says.pinned && linux_says.unpinned == model_says.unpinned;
    if (linux_says.counts_pins && !same_pins) note("pins");
    return out;
}

both_answers run_both(script const& steps, surroundings const& where, std::string const& folder) {
    auto const counts = where.counts_pins ? fault_counts::exact_with_pins : fault_counts::exact;
    both_answers out{run_on_linux(steps, folder, counts), {}};
    script_watch const watch{steps};
    out.model_says = run_on_model(steps, where);
    return out;
}

std::optional<mismatch> compare(script const& steps, both_answers const& answers) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
        auto what = difference(steps[i], answers.linux_says[i], answers.model_says[i]);
        if (!what.empty()) return mismatch{i, std::move(what)};
    }
    return std::nullopt;
}

namespace {

std::string shown(answer const& one) {
    std::ostringstream out;
    out << to_text(one) << ", present " << std::hex << one.present << std::dec;
    if (one.large != 0) out << ", large arena " << one.large;
    if (one.faults != 0) out << ", faults " << one.faults;
    if (one.events != 0) out << ", events " << one.events;
    if (one.lost != 0) out << ", lost frames " << one.lost;
    if (one.pinned != 0 || one.unpinned != 0) {
        out << ", pins +" << one.pinned << " -" << one.unpinned;
    }
    return out.str();
}

/// Shrinking: a candidate is taken if it still differs.
class shrinker {
public:
    shrinker(script steps, surroundings const& where, std::string const& folder, int tries)
        : best_{std::move(steps)}, where_{where}, folder_{folder}, tries_{tries} {}

    script run() {
        for (auto before = script{}; before != best_ && tries_ > 0;) {
            before = best_;
            drop_steps();
            simplify_steps();
        }
        return best_;
    }

private:
    bool differs(script const& candidate) {
        if (tries_ <= 0) return false;
        --tries_;
        auto const found = compare(candidate, run_both(candidate, where_, folder_));
        if (!found) return false;
        best_ = candidate;
        best_.resize(found->step + 1);  // what comes after the difference is of no interest
        return true;
    }
    void drop_steps() {
        for (std::size_t i = best_.size(); i-- > 0;) {
            if (i >= best_.size()) continue;
            auto shorter = best_;
            shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
            if (!shorter.empty()) differs(shorter);
        }
    }
    void simplify_steps() {
        for (std::size_t i = 0; i < best_.size(); ++i) {
            try_step(i, [](step& one) { one.at = one.at / page_bytes * page_bytes; });
            try_step(i, [](step& one) { one.bytes = page_bytes; });
            try_step(i, [](step& one) { one.bytes = one.bytes / 2 / page_bytes * page_bytes; });
            try_step(i, [](step& one) { one.prot = 3; });
            if (best_[i].what == op::map && !is_large(best_[i].of))
                try_step(i, [](step& one) { one.of = memory::own; });
        }
    }
    template<class Change>
    void try_step(std::size_t index, Change change) {
        if (index >= best_.size()) return;
        auto simpler = best_;
        change(simpler[index]);
        auto const zero = simpler[index].what == op::map && simpler[index].bytes == 0;
        if (!zero && simpler != best_) differs(simpler);
    }

    script best_;
    surroundings const& where_;
    std::string const& folder_;
    int tries_;
};

}  // namespace

std::string side_by_side(script const& steps, both_answers const& answers) {
    std::ostringstream out;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        auto const what = difference(steps[i], answers.linux_says[i], answers.model_says[i]);
        out << to_text(steps[i]) << "\n    # linux: " << shown(answers.linux_says[i])
            << "\n    # model: " << shown(answers.model_says[i]);
        if (!what.empty()) out << "\n    # DIFFERENT: " << what;
        out << "\n";
    }
    return out.str();
}

script shrink(script steps, surroundings const& where, std::string const& folder, int tries) {
    return shrinker{std::move(steps), where, folder, tries}.run();
}

}  // namespace oracle
