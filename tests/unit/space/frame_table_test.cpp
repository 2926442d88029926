// SPDX-License-Identifier: BSL-1.0
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>
#include <mmhold/space/frame_pool.hpp>
#include <mmhold/space/frame_table.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <thread>

using namespace mmhold;

namespace {

/// A table alone: frames nobody can hold.
template<Machine M>
struct bare_table : frame_table<M> {
    constexpr bare_table(std::uint32_t capacity, pfn first) : frame_table<M>{capacity, first} {}
};

struct destitute_machine : checked_host_machine {
    template<class T>
    [[nodiscard]] static T* create_array(std::size_t) {
        return nullptr;
    }
};

constexpr bool works_in_constant_evaluation() {
    bare_table<constexpr_machine> table{4, pfn{10}};
    table.set_exclusive(pfn{11});
    table.mark_dirty(pfn{12});
    return table.zero_page() == pfn{14} && table.exclusive(pfn{11}) && !table.exclusive(pfn{10})
           && table.dirty(pfn{12}) && table.head_of(pfn{13}) == pfn{13};
}
static_assert(works_in_constant_evaluation());

}  // namespace

TEST_CASE("a table begins with free frames and ends with the zero page") {
    bare_table<checked_host_machine> table{4, pfn{10}};
    REQUIRE(table.valid());
    for (std::uint64_t i = 10; i < 14; ++i) CHECK(table.kind(pfn{i}) == frame_kind::free);
    CHECK(table.kind(table.zero_page()) == frame_kind::zero);
    CHECK(table.zero_page() == pfn{14});
    CHECK_FALSE(table.contains(pfn{9}));
    CHECK_FALSE(table.contains(pfn{15}));
}

TEST_CASE("without memory the table contains nothing") {
    bare_table<destitute_machine> table{4, pfn{10}};
    CHECK_FALSE(table.valid());
    CHECK_FALSE(table.contains(pfn{10}));
    CHECK_FALSE(table.contains(table.zero_page()));
}

TEST_CASE("facts about frames are set and cleared one by one") {
    bare_table<checked_host_machine> table{4, pfn{10}};
    auto const page = pfn{12};
    table.set_exclusive(page);
    table.mark_dirty(page);
    table.mark_accessed(page);
    table.add_attributes(page, {frame_attribute::secret, frame_attribute::shmem});
    table.remove_attributes(page, frame_attribute::secret);
    CHECK(table.exclusive(page));
    CHECK(table.dirty(page));
    CHECK(table.accessed(page));
    CHECK(table.attributes(page) == frame_attribute::shmem);
    table.clear_exclusive(page);
    table.clear_exclusive(page);
    CHECK_FALSE(table.exclusive(page));
    CHECK(table.dirty(page));
    CHECK(table.kind(page) == frame_kind::free);
    CHECK(table.generation(page) == 0);
    CHECK(table.order_of(page) == 0);
    table.add_mappings(page, 3);
    table.remove_mappings(page);
    CHECK(table.map_count(page) == 2);
}

TEST_CASE("write-back takes the dirty mark and nothing else") {
    bare_table<checked_host_machine> table{4, pfn{10}};
    auto const page = pfn{12};
    table.mark_accessed(page);
    CHECK_FALSE(table.take_dirty(page));
    table.mark_dirty(page);
    CHECK(table.take_dirty(page));
    CHECK_FALSE(table.dirty(page));
    CHECK(table.accessed(page));
    CHECK_FALSE(table.take_dirty(page));
}

TEST_CASE("a page moves until it does not, and who waits for it goes on") {
    frame_pool<checked_host_machine> pool{page_count{2}};
    auto const page = *pool.allocate(frame_kind::anonymous);
    pool.await_moved(page);  // returns at once
    pool.set_exclusive(page);
    pool.set_moving(page);
    std::thread mover{[&] { pool.clear_moving(page); }};
    pool.await_moved(page);
    mover.join();
    CHECK(pool.exclusive(page));
    CHECK(pool.kind(page) == frame_kind::anonymous);
    pool.put(page);
}
