// SPDX-License-Identifier: BSL-1.0
//
// Real threads against hazard_domain: tables and leaves whose memory is really freed, so that ASan
// and TSan see what a wrong order does.
#include "support/catch.hpp"
#include "support/skip.hpp"
#include "support/stress.hpp"

#include <mmhold/machine/host_machine.hpp>
#include <mmhold/reclaim/gather.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

using namespace mmhold;

namespace {

using membarrier_host = basic_host_machine<asymmetric_fence::membarrier, expectation::fatal>;
using locked_host = basic_host_machine<asymmetric_fence::locked, expectation::fatal>;

constexpr std::uint64_t alive = 0x600d'600d;
constexpr std::uint64_t dead = 0xdead'dead;
constexpr std::size_t width = 4;

std::atomic<std::int64_t> objects_alive{0};

/// Its payload is plain memory: any access that races with freeing it is a data race for TSan.
struct leaf : retired_object {
    std::uint64_t payload{alive};

    leaf() {
        key = reinterpret_cast<std::uint64_t>(this);
        retired_object::free = destroy;
        ++objects_alive;
    }
    static void destroy(retired_object& object) noexcept {
        auto& self = static_cast<leaf&>(object);
        self.payload = dead;
        --objects_alive;
        delete &self;
    }
};

template<class M>
struct table : retired_object {
    std::array<typename M::template atomic<leaf*>, width> entries{};

    table() {
        key = reinterpret_cast<std::uint64_t>(this);
        retired_object::free = destroy;
        ++objects_alive;
        for (auto& entry : entries) entry.store(new leaf, relaxed);
    }
    static void destroy(retired_object& object) noexcept {
        --objects_alive;
        delete &static_cast<table&>(object);
    }
};

/// Two levels, as the last two of a page table.
template<class M>
struct tree {
    using domain_type = hazard_domain<M, 16>;
    using table_entry = typename M::template atomic<table<M>*>;

    domain_type domain;
    std::array<table_entry, width> root{};
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> walks{0};
    std::atomic<std::uint64_t> removals{0};
    std::atomic<std::uint64_t> dead_seen{0};

    tree() {
        for (auto& entry : root) entry.store(new table<M>, relaxed);
    }
    ~tree() {
        for (auto& entry : root) {
            auto* const last = entry.load(relaxed);
            for (auto& below : last->entries) {
                if (auto* const it = below.load(relaxed); it != nullptr) leaf::destroy(*it);
            }
            table<M>::destroy(*last);
        }
    }
};

/// Walks down with a hazard per level; true if a leaf was read.
template<class M>
bool walk(tree<M>& of, irq_section<typename tree<M>::domain_type>& inside, unsigned where) {
    auto& upper = of.root[where % width];
    auto* const below = upper.load(acquire("test.table"));
    inside.protect(1, reinterpret_cast<std::uint64_t>(below));
    if (upper.load(acquire("test.table_again")) != below) return false;
    auto& lower = below->entries[where / width % width];
    auto* const it = lower.load(acquire("test.leaf"));
    if (it == nullptr) return false;
    inside.protect(0, reinterpret_cast<std::uint64_t>(it));
    if (lower.load(acquire("test.leaf_again")) != it) return false;
    if (it->payload != alive) ++of.dead_seen;
    return true;
}

template<class M>
void reader(tree<M>& of, unsigned seed) {
    std::minstd_rand random{seed};
    while (!of.over) {
        cpu me{of.domain};  // joins and leaves again and again
        for (int call = 0; call < 200; ++call) {
            irq_section inside{me};
            for (int step = 0; step < 4; ++step) {
                of.walks += walk(of, inside, static_cast<unsigned>(random() >> 8U));
            }
        }
    }
}

/// Replaces leaves and whole tables, in the order of an unmap.
template<class M>
void remover(tree<M>& of, unsigned seed) {
    std::minstd_rand random{seed};
    while (!of.over) {
        cpu me{of.domain};
        for (int call = 0; call < 50; ++call) {
            gather batch{me, [] {}};
            auto const where = static_cast<unsigned>(random() >> 8U);
            auto* const old = of.root[where % width].exchange(new table<M>, acq_rel("test.swap"));
            for (auto& entry : old->entries) {
                auto* const it = entry.exchange(nullptr, acq_rel("test.clear"));
                if (it != nullptr) batch.add(*it);
            }
            batch.add(*old);
            ++of.removals;
        }
    }
}

template<class M>
void run_hazards() {
    auto const before = objects_alive.load();
    {
        tree<M> of;
        std::vector<std::thread> threads;
        for (unsigned seed = 1; seed <= 2; ++seed) {
            threads.emplace_back([&of, seed] { reader(of, seed); });
            threads.emplace_back([&of, seed] { remover(of, seed + 10); });
        }
        std::this_thread::sleep_for(mmhold_test::stress_time());
        of.over = true;
        for (auto& thread : threads) thread.join();
        INFO(of.walks << " walks, " << of.removals << " removals");
        CHECK(of.dead_seen == 0);
        CHECK(of.walks > 0);
        CHECK(of.removals > 0);
        CHECK(of.domain.drain() == 0);
        auto const sum = of.domain.statistics();
        CHECK(sum.retired == sum.freed);
        CHECK(sum.retired == of.removals * (width + 1));
    }
    CHECK(objects_alive == before);
}

/// Readers without hazards; the remover waits for their sections instead (collapse, §5.5 item 2).
template<class M>
void run_sections() {
    hazard_domain<M, 16> domain;
    typename M::template atomic<leaf*> current{new leaf};
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> dead_seen{0};
    std::vector<std::thread> threads;
    for (int index = 0; index < 2; ++index) {
        threads.emplace_back([&] {
            while (!over) {
                cpu me{domain};
                for (int call = 0; call < 100; ++call) {
                    irq_section outer{me};
                    irq_section inner{me};
                    if (current.load(acquire("test.current"))->payload != alive) ++dead_seen;
                    ++reads;
                }
            }
        });
    }
    std::uint64_t swaps = 0;
    auto const end = std::chrono::steady_clock::now() + mmhold_test::stress_time();
    {
        cpu me{domain};
        while (std::chrono::steady_clock::now() < end) {
            auto* const old = current.exchange(new leaf, acq_rel("test.replace"));
            domain.synchronize(me.record());
            leaf::destroy(*old);
            ++swaps;
        }
    }
    over = true;
    for (auto& thread : threads) thread.join();
    leaf::destroy(*current.load(relaxed));
    INFO(reads << " reads, " << swaps << " swaps");
    CHECK(dead_seen == 0);
    CHECK(reads > 0);
    CHECK(swaps > 0);
}

}  // namespace

TEST_CASE("stress: hazards keep tables and leaves alive, automatic fence") {
    run_hazards<checked_host_machine>();
}

TEST_CASE("stress: hazards keep tables and leaves alive, locked fence") {
    run_hazards<locked_host>();
}

TEST_CASE("stress: hazards keep tables and leaves alive, membarrier") {
    if (!membarrier_available()) {
        mmhold_test::skip("the kernel offers no expedited membarrier to this program");
        return;
    }
    run_hazards<membarrier_host>();
}

TEST_CASE("stress: synchronize waits for sections, automatic fence") {
    run_sections<checked_host_machine>();
}

TEST_CASE("stress: synchronize waits for sections, locked fence") { run_sections<locked_host>(); }
