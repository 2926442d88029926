// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/work_tree.hpp>

#include <thread>

using namespace mmhold::detail;

namespace {

using before = work_tree::before;

/// Gives the whole search to one worker and lets it share its first step, where 0 is under way.
shared_step* shared_at_start(work_tree& tree, process_set enabled, process_set owed) {
    job whole;
    REQUIRE(tree.next(whole, before::nothing));
    REQUIRE(whole.at == nullptr);
    return tree.share(nullptr, choice{}, 0, enabled, only(3), owed);
}

}  // namespace

TEST_CASE("work_tree: a branch sleeps what was begun before it", "[explore]") {
    work_tree tree;
    auto* const step = shared_at_start(tree, 0b111, only(0) | only(1));
    job first;
    REQUIRE(tree.next(first, before::nothing));
    CHECK(first.at == step);
    CHECK(first.who == 1);
    CHECK(first.sleep == (only(0) | only(3)));
    tree.owe(*step, only(2), 2);
    job second;
    REQUIRE(tree.next(second, before::nothing));
    CHECK(second.who == 2);
    CHECK(second.sleep == (only(0) | only(1) | only(3)));
}

TEST_CASE("work_tree: an alternative is owed once, and not if another of its kind is",
          "[explore]") {
    work_tree tree;
    auto* const step = shared_at_start(tree, 0b1111, only(0));
    tree.owe(*step, only(1) | only(2), 1);
    tree.owe(*step, only(1), 1);
    tree.owe(*step, only(2) | only(1), 2);
    tree.owe(*step, only(3), 3);  // known from elsewhere: it sleeps
    job branch;
    REQUIRE(tree.next(branch, before::nothing));
    CHECK(branch.who == 1);
    bool other_has_more = true;
    std::thread other{[&] {
        job none;
        other_has_more = tree.next(none, before::a_job);
    }};
    CHECK_FALSE(tree.next(branch, before::a_job));
    other.join();
    CHECK_FALSE(other_has_more);
}

TEST_CASE("work_tree: further stores of a branch keep the sleep set of the branch", "[explore]") {
    work_tree tree;
    auto* const step = shared_at_start(tree, 0b11, only(0));
    tree.share_stores(step, 0, only(3), 0b110);
    job branch;
    REQUIRE(tree.next(branch, before::nothing));
    CHECK(branch.who == 0);
    CHECK(branch.stores == 0b110);
    CHECK(branch.sleep == only(3));
}

TEST_CASE("work_tree: the last one to finish ends the search, and giving up ends it at once",
          "[explore]") {
    work_tree done;
    job branch;
    REQUIRE(done.next(branch, before::nothing));
    CHECK_FALSE(done.next(branch, before::a_job));
    work_tree left;
    (void)shared_at_start(left, 0b11, only(0) | only(1));
    left.give_up();
    CHECK_FALSE(left.next(branch, before::nothing));
}
