// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of reclaim/: protection against retirement, synchronize against sections, leaving
// against reclaiming.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace mmhold_test {

using namespace mmhold;

/// What the reader or the remover leaves out.
enum class reclaim_bug : std::uint8_t {
    none,
    no_recheck,
    no_protect,
    recheck_before_protect,
    cleared_early,
    used_after_section,
    retired_before_unlink,
    no_synchronize,
    synchronize_before_unlink
};

using small_domain = hazard_domain<model_machine, 1>;

/// An object that readers find by a word that holds its key.
struct found_object : retired_object {
    model_machine::plain<int> value{42};
    found_object() {
        free = [](retired_object& o) noexcept {
            model_machine::destroy(static_cast<found_object*>(&o));
        };
    }
};

/// Readers protect and use, a remover unlinks and retires (two rounds).
template<int Readers, int Objects, reclaim_bug Bug = reclaim_bug::none>
struct protect_and_retire {
    using M = model_machine;
    static constexpr int actors = Readers + 1;
    small_domain domain;
    cpu<small_domain> cpus[static_cast<std::size_t>(actors)];
    M::atomic<std::uint64_t> entry{1};
    found_object* objects[Objects + 1]{};

    protect_and_retire()
        : protect_and_retire{std::make_index_sequence<static_cast<std::size_t>(actors)>{}} {}
    void actor(int who) { who < Readers ? read(cpus[who]) : remove(cpus[who]); }

private:
    template<std::size_t... I>
    explicit protect_and_retire(std::index_sequence<I...>)
        : cpus{(static_cast<void>(I), cpu<small_domain>{domain})...} {
        M::name(&entry, "entry");
        for (std::size_t i = 1; i <= Objects; ++i) {
            objects[i] = M::create<found_object>();
            objects[i]->key = i;
            M::name(objects[i], "object", i);
        }
    }
    void read(cpu<small_domain>& me) {
        found_object* found = nullptr;
        {
            irq_section inside{me};
            auto const key = entry.load(acquire("scenario.find"));
            if (key == 0) return;
            bool still = true;
            if constexpr (Bug == reclaim_bug::recheck_before_protect)
                still = entry.load(acquire("scenario.find")) == key;
            if constexpr (Bug != reclaim_bug::no_protect) inside.protect(0, key);
            if constexpr (Bug != reclaim_bug::no_recheck &&
                          Bug != reclaim_bug::recheck_before_protect) {
                still = entry.load(acquire("scenario.find")) == key;
            }
            if (!still) return;
            found = objects[key];
            if constexpr (Bug == reclaim_bug::cleared_early) inside.clear(0);
            if constexpr (Bug != reclaim_bug::used_after_section) use(*found);
        }
        if constexpr (Bug == reclaim_bug::used_after_section) use(*found);
    }
    static void use(found_object const& o) {
        M::expect(o.value.get() == 42, "the object is whole");
    }
    void remove(cpu<small_domain>& me) {
        for (std::uint64_t i = 1; i <= Objects; ++i) {
            if constexpr (Bug == reclaim_bug::retired_before_unlink)
                domain.retire(me.record(), *objects[i]);
            entry.store(i < Objects ? i + 1 : 0, release("scenario.unlink"));
            if constexpr (Bug != reclaim_bug::retired_before_unlink)
                domain.retire(me.record(), *objects[i]);
        }
    }
};

/// A reader looks through a word inside a section; a remover clears the word, synchronizes and
/// frees.
template<reclaim_bug Bug>
struct section_and_synchronize {
    using M = model_machine;
    static constexpr int actors = 2;
    small_domain domain;
    cpu<small_domain> reader{domain};
    cpu<small_domain> remover{domain};
    M::plain<int>* object{M::create<M::plain<int>>(42)};
    M::atomic<M::plain<int>*> entry{object};
    section_and_synchronize() {
        M::name(object, "object");
        M::name(&entry, "entry");
    }
    void actor(int who) {
        if (who == 0) {
            for (int round = 0; round < 2; ++round) {
                irq_section inside{reader};
                auto const* const found = entry.load(acquire("scenario.find"));
                if (found != nullptr) M::expect(found->get() == 42, "the object is whole");
            }
            return;
        }
        if constexpr (Bug == reclaim_bug::synchronize_before_unlink)
            domain.synchronize(remover.record());
        entry.store(nullptr, release("scenario.unlink"));
        if constexpr (Bug == reclaim_bug::none) domain.synchronize(remover.record());
        M::destroy(object);
    }
};

/// A reader protects two objects one after the other at one level of one section; the remover
/// replaces the first.
struct protected_in_turn {
    using M = model_machine;
    static constexpr int actors = 2;
    small_domain domain;
    cpu<small_domain> reader{domain};
    cpu<small_domain> remover{domain};
    found_object* objects[3]{nullptr, M::create<found_object>(), M::create<found_object>()};
    M::atomic<std::uint64_t> entry{1};
    protected_in_turn() {
        M::name(&entry, "entry");
        for (std::size_t i = 1; i <= 2; ++i) {
            objects[i]->key = i;
            M::name(objects[i], "object", i);
        }
    }
    void actor(int who) {
        if (who == 1) {
            entry.store(2, release("scenario.unlink"));
            domain.retire(remover.record(), *objects[1]);
            return;
        }
        irq_section inside{reader};
        for (int round = 0; round < 2; ++round) {
            auto const key = entry.load(acquire("scenario.find"));
            inside.protect(0, key);
            if (entry.load(acquire("scenario.find")) == key) (void)objects[key]->value.get();
        }
    }
    void finish() { M::destroy(objects[2]); }
};

/// A cpu joins, makes an object, retires it and leaves, while another one reads and a third
/// reclaims what is left.
struct leaving_and_reclaiming {
    using M = model_machine;
    static constexpr int actors = 3;
    small_domain domain;
    cpu<small_domain> reader{domain};
    cpu<small_domain> other{domain};
    M::atomic<found_object*> entry{nullptr};
    leaving_and_reclaiming() { M::name(&entry, "entry"); }
    void actor(int who) {
        if (who == 0) {
            irq_section inside{reader};
            auto* const found = entry.load(acquire("scenario.find"));
            if (found == nullptr) return;
            inside.protect(0, 1);
            if (entry.load(acquire("scenario.find")) == found) (void)found->value.get();
        } else if (who == 1) {
            cpu<small_domain> me{domain};
            auto* const object = M::create<found_object>();
            object->key = 1;
            M::name(object, "object");
            entry.store(object, release("scenario.publish"));
            entry.store(nullptr, release("scenario.unlink"));
            domain.retire(me.record(), *object);
        } else {
            (void)domain.reclaim(other.record());
        }
    }
};

/// A reader joins while a remover retires: its place is complete before a scan looks at it.
struct joining_and_retiring {
    using M = model_machine;
    static constexpr int actors = 2;
    small_domain domain;
    cpu<small_domain> remover{domain};
    found_object* object{M::create<found_object>()};
    M::atomic<std::uint64_t> entry{1};
    joining_and_retiring() {
        object->key = 1;
        M::name(object, "object");
        M::name(&entry, "entry");
    }
    void actor(int who) {
        if (who == 1) {
            entry.store(0, release("scenario.unlink"));
            domain.retire(remover.record(), *object);
            return;
        }
        cpu<small_domain> me{domain};
        irq_section inside{me};
        auto const key = entry.load(acquire("scenario.find"));
        if (key == 0) return;
        inside.protect(0, key);
        if (entry.load(acquire("scenario.find")) == key) (void)object->value.get();
    }
};

/// Two cpus join, retire and leave: whoever comes second may take over the place of the first.
struct joining_in_turn {
    using M = model_machine;
    static constexpr int actors = 2;
    small_domain domain;
    void actor(int who) {
        cpu<small_domain> me{domain};
        auto* const object = M::create<found_object>();
        object->key = static_cast<std::uint64_t>(who) + 1;
        domain.retire(me.record(), *object);
    }
};

inline void add_reclaim_scenarios(scenario_book& book) {
    using enum reclaim_bug;
    book.add<protect_and_retire<1, 1>>("reclaim.protect_and_retire", "one reader, one object");
    book.add<protect_and_retire<1, 2>>("reclaim.protect_and_replace",
                                       "one reader, two objects in turn");
    book.add<protect_and_retire<2, 1>>("reclaim.two_readers", "two readers, one object",
                                       reach::tso_only);
    book.add_mutant<protect_and_retire<1, 1, no_recheck>>(
        "reclaim.protect_and_retire", "no_recheck", "does not look at the entry again");
    book.add_mutant<protect_and_retire<1, 1, no_protect>>("reclaim.protect_and_retire",
                                                          "no_protect", "names nothing");
    book.add_mutant<protect_and_retire<1, 1, recheck_before_protect>>(
        "reclaim.protect_and_retire", "recheck_before_protect", "looks again before it publishes");
    book.add_mutant<protect_and_retire<1, 1, cleared_early>>(
        "reclaim.protect_and_retire", "cleared_early", "clears the slot before the use");
    book.add_mutant<protect_and_retire<1, 1, used_after_section>>(
        "reclaim.protect_and_retire", "used_after_section", "uses the object after the section");
    book.add_mutant<protect_and_retire<1, 1, retired_before_unlink>>(
        "reclaim.protect_and_retire", "retired_before_unlink", "scans before it unlinks");
    book.add<section_and_synchronize<none>>("reclaim.section_and_synchronize",
                                            "a section against the broadcast");
    book.add_mutant<section_and_synchronize<no_synchronize>>(
        "reclaim.section_and_synchronize", "no_synchronize", "frees without waiting");
    book.add_mutant<section_and_synchronize<synchronize_before_unlink>>(
        "reclaim.section_and_synchronize", "synchronize_before_unlink", "waits before it unlinks");
    book.add<protected_in_turn>("reclaim.protected_in_turn", "one slot names two objects in turn");
    book.add<leaving_and_reclaiming>("reclaim.leaving_and_reclaiming",
                                     "join, retire and leave against reclaim", reach::tso_only);
    book.add<joining_and_retiring>("reclaim.joining_and_retiring", "join against a scan");
    book.add<joining_in_turn>("reclaim.joining_in_turn", "a vacated place is taken over");
}

}  // namespace mmhold_test
