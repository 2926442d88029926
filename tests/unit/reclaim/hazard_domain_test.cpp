// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/last_words.hpp"
#include "unit/reclaim/reclaim_objects.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace mmhold;
using namespace mmhold_test;

namespace {

using usual_domain = hazard_domain<checked_host_machine>;

/// Objects with the keys 1, 2, ... count.
std::deque<tracked> objects_with_keys(std::size_t count) {
    std::deque<tracked> objects;
    for (std::size_t key = 1; key <= count; ++key) objects.emplace_back(key);
    return objects;
}

std::size_t freed_among(std::deque<tracked> const& objects) {
    return static_cast<std::size_t>(std::count_if(
        objects.begin(), objects.end(), [](tracked const& object) { return object.freed == 1; }));
}

std::string words_of(void (*act)()) {
    auto const end = last_words(act);
    return end.died ? end.words : "";
}

bool contains(std::string const& text, char const* part) {
    return text.find(part) != std::string::npos;
}

/// Retires, protects, reclaims, leaves and drains; the tables' memory comes from the machine.
constexpr bool a_table_outlives_its_reader() {
    using M = constexpr_machine;
    struct table : retired_object {
        M::atomic<std::uint64_t> entry{11};
        static constexpr void destroy(retired_object& object) noexcept {
            M::destroy(&static_cast<table&>(object));
        }
        constexpr explicit table(std::uint64_t its_key) {
            key = its_key;
            retired_object::free = destroy;
        }
    };
    hazard_domain<M, 2> domain;
    cpu reader{domain};
    bool right = true;
    {
        cpu remover{domain};
        M::atomic<table*> root{M::create<table>(1U)};
        irq_section inside{reader};
        auto* const seen = root.load(relaxed);
        inside.protect(0, seen->key);
        right = right && root.load(acquire("test.again")) == seen;

        auto* const old = root.exchange(M::create<table>(2U), relaxed);
        domain.retire(remover.record(), *old);
        right = right && domain.reclaim(remover.record()) == 0;
        right = right && seen->entry.load(relaxed) == 11;  // still alive: checked by the compiler
        domain.retire(remover.record(), *root.exchange(nullptr, relaxed));
        right = right && domain.statistics().held_back == 2;
        right = right && domain.drain() == 1;
        right = right && seen->entry.load(relaxed) == 11;
    }
    domain.synchronize(reader.record());
    right = right && domain.reclaim(reader.record()) == 1;
    return right && domain.statistics() == reclaim_statistics{.retired = 2, .freed = 2};
}
static_assert(a_table_outlives_its_reader());

}  // namespace

TEST_CASE("objects are freed in batches") {
    auto objects = objects_with_keys(8);
    small_domain domain;
    cpu me{domain};
    for (std::size_t index = 0; index < 3; ++index) domain.retire(me.record(), objects[index]);
    CHECK(freed_among(objects) == 0);
    CHECK(domain.statistics().held_back == 3);
    domain.retire(me.record(), objects[3]);
    CHECK(freed_among(objects) == 4);
    domain.retire(me.record(), objects[4]);
    CHECK(domain.reclaim(me.record()) == 1);
    CHECK(domain.reclaim(me.record()) == 0);
    CHECK(domain.statistics() == reclaim_statistics{.retired = 5, .freed = 5, .held_back = 0});
}

TEST_CASE("an object named by a slot is kept until the section ends") {
    tracked named{7};
    small_domain domain;
    cpu reader{domain};
    cpu remover{domain};
    {
        irq_section inside{reader};
        inside.protect(3, 7);
        domain.retire(remover.record(), named);
        CHECK(domain.reclaim(remover.record()) == 0);
        CHECK(domain.reclaim(remover.record()) == 0);
        CHECK(domain.statistics().held_back == 1);
    }
    // The slot still says 7, but a closed section protects nothing.
    CHECK(domain.reclaim(remover.record()) == 1);
    CHECK(named.freed == 1);
}

TEST_CASE("a cpu's own slots count when it reclaims inside its section") {
    tracked named{7};
    small_domain domain;
    cpu me{domain};
    irq_section inside{me};
    inside.protect(0, 7);
    domain.retire(me.record(), named);
    CHECK(domain.reclaim(me.record()) == 0);
    inside.clear(0);
    CHECK(domain.reclaim(me.record()) == 1);
}

TEST_CASE("objects with one key hold each other back") {
    tracked one{7};
    tracked two{7};
    small_domain domain;
    cpu reader{domain};
    cpu remover{domain};
    domain.retire(remover.record(), one);
    domain.retire(remover.record(), two);
    {
        irq_section inside{reader};
        inside.protect(0, 7);
        CHECK(domain.reclaim(remover.record()) == 0);
    }
    CHECK(domain.reclaim(remover.record()) == 2);
}

TEST_CASE("a stalled reader holds back what its slots name, and nothing else") {
    constexpr std::size_t bound = small_domain::levels + small_domain::batch;
    STATIC_REQUIRE(small_domain::held_back_per_cpu == bound);
    auto objects = objects_with_keys(2000);
    small_domain domain;
    cpu stalled{domain};
    cpu remover{domain};
    irq_section inside{stalled};
    for (unsigned level = 0; level < small_domain::levels; ++level) {
        inside.protect(level, 100 * (level + 1));
    }
    std::size_t most = 0;
    for (auto& object : objects) {
        domain.retire(remover.record(), object);
        most = std::max<std::size_t>(most, domain.statistics().held_back);
    }
    CHECK(most <= bound);
    (void)domain.reclaim(remover.record());
    CHECK(domain.statistics().held_back == small_domain::levels);
    for (unsigned level = 0; level < small_domain::levels; ++level) {
        CHECK(objects[100 * (level + 1) - 1].freed == 0);
    }
}

TEST_CASE("an idle cpu keeps nothing of others once their scans have found it named") {
    auto objects = objects_with_keys(4);
    small_domain domain;
    cpu reader{domain};
    cpu idle{domain};
    cpu busy{domain};
    {
        irq_section inside{reader};
        for (unsigned level = 0; level < 4; ++level) inside.protect(level, level + 1);
        for (auto& object : objects) domain.retire(idle.record(), object);
        CHECK(freed_among(objects) == 0);
    }
    CHECK(domain.reclaim(busy.record()) == 4);
}

TEST_CASE("the scan is right for any number of slots") {
    for (std::size_t const cpus : {1U, 12U, 13U, 26U, 64U, 1000U}) {
        INFO(cpus << " cpus with " << cpus * usual_domain::levels << " slots");
        std::size_t const named = cpus * usual_domain::levels;
        auto objects = objects_with_keys(named + 500);
        usual_domain domain;
        std::deque<cpu<usual_domain>> machines;
        std::deque<irq_section<usual_domain>> sections;
        // Every other key of the first 2 * named, so that named and free objects alternate.
        auto const key_of = [&](std::size_t slot) {
            return named >= 500 ? slot + 1 : 2 * slot + 1;
        };
        for (std::size_t index = 0; index < cpus; ++index) {
            auto& section = sections.emplace_back(machines.emplace_back(domain));
            for (unsigned level = 0; level < usual_domain::levels; ++level) {
                section.protect(level, key_of(index * usual_domain::levels + level));
            }
        }
        cpu remover{domain};
        for (auto& object : objects) domain.retire(remover.record(), object);
        (void)domain.reclaim(remover.record());
        CHECK(freed_among(objects) == 500);
        bool kept_all = true;
        for (std::size_t slot = 0; slot < named; ++slot) {
            kept_all = kept_all && objects[key_of(slot) - 1].freed == 0;
        }
        CHECK(kept_all);
        sections.clear();
        CHECK(domain.drain() == 0);
        CHECK(freed_among(objects) == objects.size());
    }
}

TEST_CASE("what a leaving cpu could not free is freed by the next that reclaims") {
    tracked named{1};
    tracked unnamed{2};
    small_domain domain;
    cpu reader{domain};
    {
        irq_section inside{reader};
        inside.protect(0, 1);
        {
            cpu leaving{domain};
            domain.retire(leaving.record(), named);
            domain.retire(leaving.record(), unnamed);
        }
        CHECK(unnamed.freed == 1);
        CHECK(named.freed == 0);
        CHECK(domain.statistics().held_back == 1);
    }
    CHECK(domain.reclaim(reader.record()) == 1);
    CHECK(named.freed == 1);
}

TEST_CASE("places are reused, ids stay small") {
    small_domain domain;
    for (int round = 0; round < 100; ++round) {
        cpu one{domain};
        cpu two{domain};
        CHECK(one.id() < 2);
        CHECK(two.id() < 2);
    }
}

TEST_CASE("a domain without memory refuses cpus and works on") {
    poor_machine::creations_left = 1;
    tracked object{1};
    hazard_domain<poor_machine, 1> domain;
    auto* const mine = domain.join();
    REQUIRE(mine != nullptr);
    CHECK(domain.join() == nullptr);
    domain.retire(*mine, object);
    CHECK(object.freed == 1);
    domain.leave(*mine);
    auto* const again = domain.join();
    CHECK(again == mine);
    domain.leave(*again);
}

TEST_CASE("drain frees what nobody names and counts the rest") {
    auto objects = objects_with_keys(6);
    small_domain domain;
    cpu one{domain};
    cpu two{domain};
    {
        irq_section inside{one};
        inside.protect(0, 1);
        inside.protect(1, 4);
        for (std::size_t index = 0; index < 3; ++index) {
            domain.retire(one.record(), objects[index]);
            domain.retire(two.record(), objects[index + 3]);
        }
        CHECK(domain.drain() == 2);
        CHECK(domain.drain() == 2);
        CHECK(freed_among(objects) == 4);
    }
    CHECK(domain.drain() == 0);
    CHECK(freed_among(objects) == 6);
}

TEST_CASE("a free function may retire further objects") {
    struct chain : retired_object {
        small_domain* domain{nullptr};
        small_domain::record* place{nullptr};
        chain* child{nullptr};
        unsigned freed{0};

        static void release(retired_object& object) noexcept {
            auto& self = static_cast<chain&>(object);
            ++self.freed;
            if (self.child != nullptr) self.domain->retire(*self.place, *self.child);
        }
    };
    std::deque<chain> links(1000);
    {
        small_domain domain;
        cpu me{domain};
        for (std::size_t index = 0; index < links.size(); ++index) {
            auto& link = links[index];
            link.key = index + 1;
            link.free = chain::release;
            link.domain = &domain;
            link.place = &me.record();
            link.child = index + 1 < links.size() ? &links[index + 1] : nullptr;
        }
        domain.retire(me.record(), links.front());
        CHECK(domain.reclaim(me.record()) == 1);
        CHECK(domain.reclaim(me.record()) == 1);
        CHECK(domain.drain() == 0);
    }
    CHECK(std::all_of(links.begin(), links.end(), [](chain const& link) { return link.freed == 1; }));
}

TEST_CASE("leaving finishes what free functions retire") {
    struct parent : retired_object {
        small_domain* domain{nullptr};
        small_domain::record* place{nullptr};
        tracked* child{nullptr};

        static void release(retired_object& object) noexcept {
            auto& self = static_cast<parent&>(object);
            self.domain->retire(*self.place, *self.child);
        }
    };
    tracked child{2};
    small_domain domain;
    {
        cpu me{domain};
        parent first;
        first.key = 1;
        first.free = parent::release;
        first.domain = &domain;
        first.place = &me.record();
        first.child = &child;
        domain.retire(me.record(), first);
        domain.leave(me.record());
        CHECK(child.freed == 1);
        CHECK(domain.join() == &me.record());  // so that the cpu can leave, too
    }
}

TEST_CASE("two domains know nothing of each other") {
    tracked object{1};
    small_domain here;
    small_domain there;
    cpu me{here};
    cpu reader{there};
    irq_section inside{reader};
    inside.protect(0, 1);
    here.synchronize(me.record());
    here.retire(me.record(), object);
    CHECK(here.reclaim(me.record()) == 1);
}

TEST_CASE("try_synchronize sees open sections of others, nested or not") {
    small_domain domain;
    cpu reader{domain};
    cpu waiter{domain};
    CHECK(domain.try_synchronize(waiter.record()));
    {
        irq_section outer{reader};
        irq_section inner{reader};
        CHECK_FALSE(domain.try_synchronize(waiter.record()));
    }
    CHECK(domain.try_synchronize(waiter.record()));
}

TEST_CASE("synchronize waits for the sections entered before it, not for later ones") {
    small_domain domain;
    std::atomic<int> step{0};
    std::atomic<bool> returned{false};
    bool returned_too_early = false;
    std::thread reader{[&] {
        cpu me{domain};
        {
            irq_section first{me};
            step = 1;
            while (step != 2) std::this_thread::yield();
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
            returned_too_early = returned;
        }
        // At once into the next section, which stays open until synchronize() has returned.
        irq_section second{me};
        while (!returned) std::this_thread::yield();
    }};
    cpu me{domain};
    while (step != 1) std::this_thread::yield();
    step = 2;
    domain.synchronize(me.record());
    returned = true;
    reader.join();
    CHECK_FALSE(returned_too_early);
}

TEST_CASE("what a section did is visible after synchronize") {
    small_domain domain;
    std::atomic<bool> inside{false};
    int written = 0;
    std::thread reader{[&] {
        cpu me{domain};
        irq_section section{me};
        inside = true;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
        written = 42;
    }};
    cpu me{domain};
    while (!inside) std::this_thread::yield();
    domain.synchronize(me.record());
    CHECK(written == 42);
    reader.join();
}

TEST_CASE("threads join, work and leave while others do") {
    constexpr int threads = 4;
    constexpr int rounds = 200;
    std::deque<std::deque<tracked>> objects;
    for (int index = 0; index < threads; ++index) objects.push_back(objects_with_keys(rounds * 3));
    {
        small_domain domain;
        std::vector<std::thread> all;
        for (int index = 0; index < threads; ++index) {
            all.emplace_back([&domain, &mine = objects[static_cast<std::size_t>(index)]] {
                for (std::size_t round = 0; round < rounds; ++round) {
                    cpu me{domain};
                    for (std::size_t one = 0; one < 3; ++one) {
                        domain.retire(me.record(), mine[round * 3 + one]);
                    }
                    irq_section inside{me};
                    inside.protect(0, round + 1);
                }
            });
        }
        for (auto& thread : all) thread.join();
        CHECK(domain.statistics().retired == threads * rounds * 3);
        CHECK(domain.drain() == 0);
        CHECK(domain.statistics().freed == threads * rounds * 3);
    }
    for (auto const& mine : objects) CHECK(freed_among(mine) == mine.size());
}

TEST_CASE("a misused domain stops a checked host") {
    CHECK(contains(words_of([] {
                       std::optional<small_domain> domain{std::in_place};
                       cpu me{*domain};
                       domain.reset();
                   }),
                   "destroyed while a cpu is joined"));
    CHECK(contains(words_of([] {
                       small_domain domain;
                       cpu me{domain};
                       irq_section inside{me};
                       domain.synchronize(me.record());
                   }),
                   "would never end"));
    CHECK(contains(words_of([] {
                       small_domain domain;
                       cpu me{domain};
                       irq_section inside{me};
                       (void)domain.try_synchronize(me.record());
                   }),
                   "would never end"));
    CHECK(contains(words_of([] {
                       small_domain domain;
                       auto* const mine = domain.join();
                       mine->enter_section();
                       domain.leave(*mine);
                   }),
                   "leaves its domain inside a section"));
    CHECK(contains(words_of([] {
                       small_domain domain;
                       cpu me{domain};
                       tracked nameless{0};
                       domain.retire(me.record(), nameless);
                   }),
                   "needs a key"));
    CHECK(contains(words_of([] {
                       small_domain domain;
                       cpu me{domain};
                       retired_object object;
                       object.key = 1;
                       domain.retire(me.record(), object);
                   }),
                   "needs a free function"));
}
