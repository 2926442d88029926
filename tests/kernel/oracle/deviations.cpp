// SPDX-License-Identifier: BSL-1.0
#include "deviations.hpp"

namespace oracle {

using namespace parity;

std::vector<deviation> known_deviations() {
    return {
        {.name = "O_DIRECT with memory that is not aligned to the block",
         .lines = {"map of=own prot=rw at=0 bytes=4096", "tw at=0 bytes=4096",
                   "DR at=0+1 bytes=512"},
         .linux_says = "512",
         .model_says = "EINVAL",
         .differs_in = "result, memory",
         .reason = "6.18 leaves the memory's alignment to the driver, so the answer depends on how "
                   "pages happen to lie in physical memory; the model keeps the documented rule",
         .section = "8.3",
         .everywhere = false},
        {.name = "O_DIRECT with such memory that is not mapped",
         .lines = {"DR at=0+1 bytes=512"},
         .linux_says = "EFAULT",
         .model_says = "EINVAL",
         .differs_in = "result",
         .reason = "the same: Linux pins before it looks at the alignment",
         .section = "8.3",
         .everywhere = false},
    };
}

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
