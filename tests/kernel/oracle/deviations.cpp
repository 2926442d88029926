// SPDX-License-Identifier: BSL-1.0
#include "deviations.hpp"

namespace oracle {

using namespace parity;

std::vector<deviation> known_deviations() { return {}; }

std::string still_deviates(deviation const& known, surroundings const& where,
                           std::string const& folder) {
    script steps;
    for (auto const& line : known.lines) {
        step one;
        if (!from_text(line, one)) return "not a step: " + line;
        steps.push_back(one);
    }
    auto const answers = run_both(steps, where, folder);
    if (!known.everywhere && !compare(steps, answers)) return "";
    auto const& linux_says = answers.linux_says.back();
    auto const& model_says = answers.model_says.back();
    if (to_text(linux_says) != known.linux_says) return "Linux says " + to_text(linux_says);
    if (to_text(model_says) != known.model_says) return "the model says " + to_text(model_says);
    auto const what = difference(steps.back(), linux_says, model_says);
    if (what != known.differs_in) return "they differ in: " + (what.empty() ? "nothing" : what);
    return "";
}

}  // namespace oracle
