// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/fiber.hpp>

#include <string>

using mmhold::detail::fiber;
using mmhold::detail::fiber_stack;

namespace {

struct conversation {
    fiber host;
    fiber first;
    fiber second;
    std::string said;
};

void speak_first(void* argument) {
    auto& c = *static_cast<conversation*>(argument);
    double const kept = static_cast<double>(c.said.size()) + 0.5;
    c.said += 'a';
    fiber::switch_to(c.first, c.second);
    c.said += kept > 0.4 && kept < 0.6 ? 'c' : '?';
    fiber::switch_to(c.first, c.host);
}

void speak_second(void* argument) {
    auto& c = *static_cast<conversation*>(argument);
    c.said += 'b';
    fiber::switch_to(c.second, c.first);
}

}  // namespace

TEST_CASE("fiber: control and registers come back where they were left", "[explore]") {
    fiber_stack stacks[2];
    conversation c;
    for (int round = 0; round < 3;
         ++round) {  // abandoned fibers are created anew on the same stacks
        c.said.clear();
        c.first.create(stacks[0], &speak_first, &c);
        c.second.create(stacks[1], &speak_second, &c);
        fiber::switch_to(c.host, c.first);
        CHECK(c.said == "abc");
    }
}
