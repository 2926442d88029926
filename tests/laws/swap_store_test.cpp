// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/fault/slow_swap.hpp>
#include <mmhold/laws/swap_store.hpp>
#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/machine/host_machine.hpp>

#include <string_view>

using namespace mmhold;
using machine = checked_host_machine;

namespace {

constexpr bool memory_swap_keeps_the_slots_law() {
    memory_swap<constexpr_machine> store{page_count{4}};
    return swap_slots_law(store).holds();
}
static_assert(memory_swap_keeps_the_slots_law());

/// Makes a slot arrive, as its device would.
template<class M>
auto bring_from(slow_swap<M>& store, task<M>& sleeper) {
    return [&](std::uint64_t slot) {
        auto const place = store.ask(sleeper, slot);
        while (auto const read = store.try_next_read()) (void)store.complete(*read);
        REQUIRE(place.has_value());
    };
}

/// Breaks one rule.
enum class rule : std::uint8_t { one_holder, keeps_contents, last_release };
template<rule Broken>
class broken_swap : public memory_swap<machine> {
public:
    using memory_swap::memory_swap;
    result<std::uint64_t> allocate() {
        if (Broken != rule::one_holder) return memory_swap::allocate();
        if (given_ == 0) first_ = memory_swap::allocate();
        if (given_++ != 0 && given_ < 5) (void)memory_swap::duplicate(*first_);
        return given_ < 5 ? first_ : result<std::uint64_t>{errc::no_memory};
    }
    bool duplicate(std::uint64_t slot) {
        // The reference is not counted, so the first release frees the slot.
        return Broken == rule::last_release || memory_swap::duplicate(slot);
    }
    void release(std::uint64_t slot) {
        if (Broken == rule::last_release && ref_count(slot) == 0) return;
        memory_swap::release(slot);
    }
    void read(std::uint64_t slot, std::span<std::byte> page) const {
        memory_swap::read(Broken == rule::keeps_contents ? 0 : slot, page);
    }

private:
    int given_ = 0;
    result<std::uint64_t> first_{errc::no_memory};
};

template<rule Broken>
law_report judged() {
    broken_swap<Broken> store{page_count{4}, frame_bytes::owned};
    return swap_store_laws(store);
}

}  // namespace

TEST_CASE("swap_store laws: memory_swap and slow_swap keep them") {
    memory_swap<machine> memory{page_count{4}, frame_bytes::owned};
    auto const of_memory = swap_store_laws(memory);
    INFO((of_memory.failure == nullptr ? "" : of_memory.failure));
    CHECK(of_memory.holds());
    task<machine> sleeper;
    slow_swap<machine> slow{page_count{4}, frame_bytes::owned};
    auto const bring = bring_from(slow, sleeper);
    CHECK(swap_store_laws(slow, bring).holds());
    CHECK(swap_arrival_law(slow, bring).holds());
    CHECK(slow.in_use() == 0);
}

TEST_CASE("swap_store laws: a broken store is named by the law it breaks") {
    CHECK(judged<rule::one_holder>().failure ==
          std::string_view{"allocate() gave a slot to two holders"});
    CHECK(judged<rule::keeps_contents>().law == std::string_view{"contents"});
    CHECK(judged<rule::last_release>().failure ==
          std::string_view{"a slot was handed out while somebody held a reference"});
}

TEST_CASE("swap_store laws: a store without room is no store to judge") {
    memory_swap<machine> store{page_count{1}, frame_bytes::owned};
    CHECK(swap_slots_law(store).failure == std::string_view{"no room for two slots"});
    CHECK(swap_contents_law(store).failure == std::string_view{"no room for two slots"});
}
