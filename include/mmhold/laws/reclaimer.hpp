// SPDX-License-Identifier: BSL-1.0
#pragma once

// The laws of Reclaimer, as functions that judge a model.
//
//   reclaimer_laws<R>()                     one actor; works in constant evaluation
//   reclaimer_race_laws<R>(run, rounds)     a reader against a remover. `run(f, g)` calls both
//                                           functions, at the same time if it can, and returns when
//                                           both have returned: threads, an explorer's actors, or
//                                           simply one after the other.
//
// What is judged is never memory that was really freed: the objects stay and only say that they
// were freed. So a broken model is reported, not a crash.

#include <mmhold/laws/law_report.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/irq_section.hpp>
#include <mmhold/reclaim/reclaimer.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace mmhold {

namespace detail {

/// An object that counts how often it was freed.
struct law_object : retired_object {
    unsigned freed{0};

    static constexpr void count(retired_object& object) noexcept {
        ++static_cast<law_object&>(object).freed;
    }
    constexpr law_object() noexcept { retired_object::free = count; }
    constexpr explicit law_object(std::uint64_t its_key) noexcept : law_object{} { key = its_key; }
};

template<Reclaimer R>
constexpr law_report law_protected_objects_stay() {
    law_check law{"protected objects stay"};
    law_object named{1};
    law_object other{2};
    {
        R domain;
        cpu reader{domain};
        cpu remover{domain};
        auto const joined = reader.valid() && remover.valid();
        if (!law.require(joined, "a cpu cannot join")) return law.report();
        {
            irq_section inside{reader};
            inside.protect(0, named.key);
            domain.retire(remover.record(), named);
            domain.retire(remover.record(), other);
            (void)domain.reclaim(remover.record());
            law.require(named.freed == 0, "reclaim() freed an object that a slot names");
            (void)domain.drain();
            law.require(named.freed == 0, "drain() freed an object that a slot names");
            inside.protect(R::levels - 1, other.key);
            (void)domain.reclaim(reader.record());
            law.require(named.freed == 0, "protecting one level ended another");
        }
        (void)domain.drain();
    }
    law.require(named.freed == 1 && other.freed == 1, "an object was not freed exactly once");
    return law.report();
}

template<Reclaimer R>
constexpr law_report law_nothing_is_lost() {
    law_check law{"nothing is lost"};
    law_object objects[]{law_object{5}, law_object{6}, law_object{7}};
    R domain;
    cpu one{domain};
    cpu two{domain};
    domain.retire(one.record(), objects[0]);
    domain.retire(two.record(), objects[1]);
    domain.retire(two.record(), objects[2]);
    auto const before = domain.statistics();
    law.require(before.retired == 3, "statistics do not count what was retired");
    law.require(before.retired == before.freed + before.held_back, "statistics do not add up");
    law.require(domain.drain() == 0, "drain() left something though no section is open");
    for (auto const& object : objects) {
        law.require(object.freed == 1, "drain() did not free an object exactly once");
    }
    law.require(domain.statistics() == reclaim_statistics{.retired = 3, .freed = 3, .held_back = 0},
                "statistics are wrong at rest");
    law.require(domain.drain() == 0, "a second drain() finds something");
    return law.report();
}

template<Reclaimer R>
constexpr law_report law_leaving_hands_over() {
    law_check law{"leaving hands over"};
    law_object left_behind{9};
    R domain;
    cpu stays{domain};
    {
        irq_section inside{stays};
        inside.protect(1, left_behind.key);
        cpu leaves{domain};
        domain.retire(leaves.record(), left_behind);
    }
    law.require(left_behind.freed == 0, "leaving freed an object that a slot names");
    (void)domain.reclaim(stays.record());
    law.require(left_behind.freed == 1 || domain.drain() == 0, "drain() did not finish");
    law.require(left_behind.freed == 1, "what a cpu left behind was not freed exactly once");
    return law.report();
}

template<Reclaimer R>
constexpr law_report law_bounded_garbage() {
    using M = typename R::machine;
    law_check law{"bounded garbage"};
    constexpr std::size_t bound = 2 * R::held_back_per_cpu;
    constexpr std::size_t count = 2 * bound + R::levels;
    auto* const objects = M::template create_array<law_object>(count);
    if (!law.require(objects != nullptr, "memory exhausted")) return law.report();
    {
        R domain;
        cpu stalled{domain};
        cpu remover{domain};
        irq_section inside{stalled};
        for (std::size_t index = 0; index < count; ++index) {
            objects[index].key = index + 1;
            if (index < R::levels) inside.protect(static_cast<unsigned>(index), index + 1);
            domain.retire(remover.record(), objects[index]);
            law.require(domain.statistics().held_back <= bound,
                        "a stalled reader holds back more than the bound");
        }
        for (std::size_t index = 0; index < R::levels; ++index) {
            law.require(objects[index].freed == 0, "an object that a slot names was freed");
        }
    }
    for (std::size_t index = 0; index < count; ++index) {
        law.require(objects[index].freed == 1, "an object was not freed exactly once");
    }
    M::destroy_array(objects, count);
    return law.report();
}

template<Reclaimer R>
constexpr law_report law_sections_are_waited_for() {
    law_check law{"sections are waited for"};
    R domain;
    cpu reader{domain};
    cpu waiter{domain};
    domain.synchronize(waiter.record());
    law.require(domain.try_synchronize(waiter.record()), "try_synchronize() waits for nobody");
    {
        irq_section outer{reader};
        law.require(!domain.try_synchronize(waiter.record()), "an open section is not seen");
        {
            irq_section inner{reader};
            law.require(!domain.try_synchronize(waiter.record()), "a nested section is not seen");
        }
        law.require(reader.interrupts_off(), "the end of a nested section ends the outer one");
        law.require(!domain.try_synchronize(waiter.record()), "the outer section is forgotten");
    }
    law.require(domain.try_synchronize(waiter.record()), "a closed section is still seen");
    domain.synchronize(waiter.record());
    return law.report();
}

template<Reclaimer R>
constexpr law_report law_cpus_are_strangers() {
    law_check law{"cpus are strangers"};
    law_object mine{3};
    R domain;
    cpu one{domain};
    cpu two{domain};
    law.require(one.id() != two.id(), "two cpus have one id");
    {
        irq_section inside{one};
        inside.protect(0, mine.key);
        law.require(!two.record().in_section(), "one cpu's section is seen on the other");
        {
            irq_section others{two};
            others.protect(0, mine.key + 1);
            others.clear(0);
        }
        law.require(one.record().in_section(), "one cpu's section ended with the other's");
        domain.retire(two.record(), mine);
        (void)domain.reclaim(two.record());
        law.require(mine.freed == 0, "one cpu's slot was cleared by the other");
    }
    (void)domain.drain();
    return law.report();
}

/// One word that names the current object; a remover that replaces it; a reader that follows it.
template<Reclaimer R>
class reclaim_race {
    using M = typename R::machine;
    static constexpr std::uint32_t unused = 0;
    static constexpr std::uint32_t in_use = 1;

    struct node : retired_object {
        typename M::template atomic<std::uint32_t> is{unused};

        static constexpr void mark_unused(retired_object& object) noexcept {
            static_cast<node&>(object).is.store(unused, relaxed);
        }
        constexpr node() noexcept { retired_object::free = mark_unused; }
    };

public:
    /// Who keeps the objects alive: the readers' slots, or the remover's synchronize().
    enum class kept_by { slots, sections };

    constexpr reclaim_race(kept_by how, char const* law)
        : how_{how}, law_{law}, nodes_{M::template create_array<node>(count)} {
        if (!law_.require(nodes_ != nullptr, "memory exhausted")) return;
        for (std::size_t index = 0; index < count; ++index) nodes_[index].key = index + 1;
        nodes_[0].is.store(in_use, relaxed);
    }
    reclaim_race(reclaim_race const&) = delete;
    reclaim_race& operator=(reclaim_race const&) = delete;
    constexpr ~reclaim_race() {
        (void)domain_.drain();
        if (nodes_ != nullptr) M::destroy_array(nodes_, count);
    }

    constexpr void read(unsigned rounds) {
        cpu me{domain_};
        if (nodes_ == nullptr || !me.valid()) return;
        for (unsigned round = 0; round < rounds; ++round) {
            irq_section inside{me};
            auto key = current_.load(relaxed);
            if (how_ == kept_by::slots) inside.protect(0, key);
            // (law.look) acquire: the object is complete; pairs with (law.replace).
            auto const again = current_.load(acquire("law.look"));
            if (how_ == kept_by::slots && again != key) continue;
            if (nodes_[again - 1].is.load(relaxed) != in_use) {
                used_after_free_.store(1, relaxed);
            }
        }
    }

    constexpr void remove(unsigned rounds) {
        cpu me{domain_};
        if (nodes_ == nullptr || !me.valid()) return;
        for (unsigned round = 0; round < rounds; ++round) {
            auto* const fresh = unused_node();
            if (fresh == nullptr) return out_of_nodes_.store(1, relaxed);
            fresh->is.store(in_use, relaxed);
            // (law.replace) acq_rel: publishes the object; pairs with (law.look).
            auto const old = current_.exchange(fresh->key, acq_rel("law.replace"));
            if (how_ == kept_by::slots) {
                domain_.retire(me.record(), nodes_[old - 1]);
            } else {
                domain_.synchronize(me.record());
                node::mark_unused(nodes_[old - 1]);
            }
        }
    }

    constexpr law_report report() {
        law_.require(used_after_free_.load(relaxed) == 0, "a reader met an object that was freed");
        law_.require(out_of_nodes_.load(relaxed) == 0, "more garbage than the bound allows");
        return law_.report();
    }

private:
    static constexpr std::size_t count = 2 * R::held_back_per_cpu + 2;

    constexpr node* unused_node() noexcept {
        for (std::size_t tries = 0; tries < count; ++tries) {
            next_ = (next_ + 1) % count;
            if (nodes_[next_].is.load(relaxed) == unused) return &nodes_[next_];
        }
        return nullptr;
    }

    kept_by how_;
    law_check law_;
    R domain_{};
    node* nodes_;
    std::size_t next_{0};  // used by the remover alone
    typename M::template atomic<std::uint64_t> current_{1};
    typename M::template atomic<std::uint32_t> used_after_free_{0};
    typename M::template atomic<std::uint32_t> out_of_nodes_{0};
};

}  // namespace detail

/// Judges a Reclaimer with one actor: the first broken law, or the last one if all hold.
template<Reclaimer R>
    requires std::default_initializable<R>
[[nodiscard]] constexpr law_report reclaimer_laws() {
    return first_broken(
        detail::law_protected_objects_stay<R>(), detail::law_nothing_is_lost<R>(),
        detail::law_leaving_hands_over<R>(), detail::law_bounded_garbage<R>(),
        detail::law_sections_are_waited_for<R>(), detail::law_cpus_are_strangers<R>());
}

/// Judges what takes two actors, with `rounds` steps of each: objects survive while a slot names
/// them, and while a section is open that synchronize() must wait for.
template<Reclaimer R, class Run>
    requires std::default_initializable<R>
[[nodiscard]] constexpr law_report reclaimer_race_laws(Run run, unsigned rounds) {
    using race = detail::reclaim_race<R>;
    auto const judge = [&run, rounds](typename race::kept_by how, char const* law) {
        race both{how, law};
        run([&] { both.read(rounds); }, [&] { both.remove(rounds); });
        return both.report();
    };
    return first_broken(judge(race::kept_by::slots, "protected objects stay, in a race"),
                        judge(race::kept_by::sections, "sections are waited for, in a race"));
}

}  // namespace mmhold
