// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/heap.hpp>

using namespace mmhold;
using namespace mmhold::detail;

TEST_CASE("model_heap: every execution gets the same addresses", "[explore]") {
    model_heap heap{heap_reuse::never};
    void* first = nullptr;
    for (int execution = 0; execution < 3; ++execution) {
        heap.begin_execution();
        void* const one = heap.allocate(24, 16, 0);
        void* const large = heap.allocate(std::size_t{3} << 20U, 64, 0);
        CHECK(one != large);
        if (execution == 0) first = one;
        CHECK(one == first);
        heap.release(*heap.find(one), 0);
        CHECK(heap.allocate(24, 16, 0) != one);
    }
}

TEST_CASE("model_heap: reuse hands out the newest free block of that size", "[explore]") {
    model_heap heap{heap_reuse::always};
    heap.begin_execution();
    void* const one = heap.allocate(24, 16, 0);
    CHECK(heap.containing(one) == heap.find(one));
    heap.release(*heap.find(one), 0);
    CHECK(heap.allocate(32, 16, 0) != one);
    CHECK(heap.allocate(24, 16, 0) == one);
    CHECK(heap.find(nullptr) == nullptr);
}
