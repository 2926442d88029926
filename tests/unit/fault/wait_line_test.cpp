// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/wait_line.hpp>
#include <mmhold/machine/constexpr_machine.hpp>

#include <string>

namespace {

struct node;
using line = mmhold::wait_line<mmhold::constexpr_machine, node>;
struct node : line::link {
    char name;
    constexpr explicit node(char called) : name{called} {}
};

std::string names(line const& nodes) {
    std::string all;
    for (auto* at = nodes.first(); at != nullptr; at = at->next.get()) all += at->name;
    return all;
}

}  // namespace

TEST_CASE("nodes stand in the order they joined", "[fault][wait-line]") {
    line nodes;
    CHECK(nodes.first() == nullptr);
    node a{'a'};
    node b{'b'};
    node c{'c'};
    nodes.join(a);
    nodes.join(b);
    nodes.join(c);
    CHECK(names(nodes) == "abc");
    CHECK(nodes.size() == 3);
}

TEST_CASE("any node may leave, wherever it stands", "[fault][wait-line]") {
    for (std::string const order : {"abc", "acb", "bac", "bca", "cab", "cba"}) {
        line nodes;
        node all[] = {node{'a'}, node{'b'}, node{'c'}};
        for (auto& each : all) nodes.join(each);
        std::string left = "abc";
        for (char const leaver : order) {
            line::leave(all[leaver - 'a']);
            left.erase(left.find(leaver), 1);
            CHECK(names(nodes) == left);
            CHECK(nodes.size() == left.size());
        }
    }
}

TEST_CASE("leaving twice, or without having joined, is no error", "[fault][wait-line]") {
    line nodes;
    node a{'a'};
    line::leave(a);
    nodes.join(a);
    line::leave(a);
    line::leave(a);
    CHECK(nodes.size() == 0);
    nodes.join(a);
    CHECK(names(nodes) == "a");
}

TEST_CASE("a node can change from one line to another", "[fault][wait-line]") {
    line first;
    line second;
    node a{'a'};
    node b{'b'};
    first.join(a);
    first.join(b);
    line::leave(a);
    second.join(a);
    CHECK(names(first) == "b");
    CHECK(names(second) == "a");
    line::leave(a);
    CHECK(second.first() == nullptr);
}
