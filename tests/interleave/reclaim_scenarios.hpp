// SPDX-License-Identifier: BSL-1.0
#pragma once

// Scenarios of reclaim/: protection against retirement, synchronize against sections, leaving
// against reclaiming.

#include <mmhold/explore/scenario_book.hpp>
#include <mmhold/lock/spin_lock.hpp>
#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/gather.hpp>
#include <mmhold/reclaim/hazard_domain.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include "weak_machine.hpp"
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

template<Machine M>
using domain_on = hazard_domain<M, 1>;
using small_domain = domain_on<model_machine>;

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
template<int Readers, int Objects, reclaim_bug Bug = reclaim_bug::none, Machine M = model_machine>
struct protect_and_retire {
    using domain_type = domain_on<M>;
    static constexpr int actors = Readers + 1;
    domain_type domain;
    cpu<domain_type> cpus[static_cast<std::size_t>(actors)];
    typename M::template atomic<std::uint64_t> entry{1};
    found_object* objects[Objects + 1]{};

    protect_and_retire()
        : protect_and_retire{std::make_index_sequence<static_cast<std::size_t>(actors)>{}} {}
    void actor(int who) { who < Readers ? read(cpus[who]) : remove(cpus[who]); }

private:
    template<std::size_t... I>
    explicit protect_and_retire(std::index_sequence<I...>)
        : cpus{(static_cast<void>(I), cpu<domain_type>{domain})...} {
        M::name(&entry, "entry");
        for (std::size_t i = 1; i <= Objects; ++i) {
            objects[i] = model_machine::create<found_object>();
            objects[i]->key = i;
            M::name(objects[i], "object", i);
        }
    }
    void read(cpu<domain_type>& me) {
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
    void remove(cpu<domain_type>& me) {
        for (std::uint64_t i = 1; i <= Objects; ++i) {
            if constexpr (Bug == reclaim_bug::retired_before_unlink)
                domain.retire(me.record(), *objects[i]);
            entry.store(i < Objects ? i + 1 : 0, relaxed);
            if constexpr (Bug != reclaim_bug::retired_before_unlink)
                domain.retire(me.record(), *objects[i]);
        }
    }
};

/// A reader looks through a word inside a section; a remover clears the word, synchronizes and
/// frees.
template<reclaim_bug Bug, Machine M = model_machine>
struct section_and_synchronize {
    using field = model_machine::plain<int>;
    static constexpr int actors = 2;
    domain_on<M> domain;
    cpu<domain_on<M>> reader{domain};
    cpu<domain_on<M>> remover{domain};
    field* object{model_machine::create<field>(42)};
    typename M::template atomic<field*> entry{object};
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
        entry.store(nullptr, relaxed);
        if constexpr (Bug == reclaim_bug::none) domain.synchronize(remover.record());
        M::destroy(object);
    }
};

/// A reader protects two objects one after the other at one level of one section; the remover
/// replaces the first.
template<Machine M = model_machine>
struct protected_in_turn {
    static constexpr int actors = 2;
    domain_on<M> domain;
    cpu<domain_on<M>> reader{domain};
    cpu<domain_on<M>> remover{domain};
    found_object* objects[3]{nullptr, model_machine::create<found_object>(),
                             model_machine::create<found_object>()};
    typename M::template atomic<std::uint64_t> entry{1};
    protected_in_turn() {
        M::name(&entry, "entry");
        for (std::size_t i = 1; i <= 2; ++i) {
            objects[i]->key = i;
            M::name(objects[i], "object", i);
        }
    }
    void actor(int who) {
        if (who == 1) {
            entry.store(2, relaxed);
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
            entry.store(nullptr, relaxed);
            domain.retire(me.record(), *object);
        } else {
            (void)domain.reclaim(other.record());
        }
    }
};

/// A reader joins while a remover retires: its place is complete before a scan looks at it.
template<Machine M = model_machine>
struct joining_and_retiring {
    static constexpr int actors = 2;
    domain_on<M> domain;
    cpu<domain_on<M>> remover{domain};
    found_object* object{model_machine::create<found_object>()};
    typename M::template atomic<std::uint64_t> entry{1};
    joining_and_retiring() {
        object->key = 1;
        M::name(object, "object");
        M::name(&entry, "entry");
    }
    void actor(int who) {
        if (who == 1) {
            entry.store(0, relaxed);
            domain.retire(remover.record(), *object);
            return;
        }
        cpu<domain_on<M>> me{domain};
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

/// A remover that cannot wait asks whether somebody is inside, and frees only if nobody is.
template<reclaim_bug Bug>
struct section_and_try_synchronize {
    using M = model_machine;
    static constexpr int actors = 2;
    small_domain domain;
    cpu<small_domain> reader{domain};
    cpu<small_domain> remover{domain};
    M::plain<int>* object{M::create<M::plain<int>>(42)};
    M::atomic<M::plain<int>*> entry{object};
    bool freed{false};
    section_and_try_synchronize() {
        M::name(object, "object");
        M::name(&entry, "entry");
    }
    void actor(int who) {
        if (who == 0) {
            irq_section inside{reader};
            auto const* const found = entry.load(acquire("scenario.find"));
            if (found != nullptr) M::expect(found->get() == 42, "the object is whole");
            return;
        }
        auto early = true;
        if constexpr (Bug == reclaim_bug::synchronize_before_unlink)
            early = domain.try_synchronize(remover.record());
        entry.store(nullptr, relaxed);
        freed = Bug == reclaim_bug::synchronize_before_unlink
                    ? early
                    : domain.try_synchronize(remover.record());
        if (freed || Bug == reclaim_bug::no_synchronize) M::destroy(object);
    }
    void finish() {
        if (!freed && Bug != reclaim_bug::no_synchronize) M::destroy(object);
    }
};

/// Objects that a scan found named go to the domain's list, from which the next scanner takes them
/// over, fields and all.
template<Machine M = model_machine>
struct left_over_and_adopted {
    static constexpr int actors = 2;
    domain_on<M> domain;
    cpu<domain_on<M>> reader{domain};
    cpu<domain_on<M>> first{domain};
    cpu<domain_on<M>> second{domain};
    found_object* object{model_machine::create<found_object>()};
    typename M::template atomic<std::uint32_t> reading{1};

    left_over_and_adopted() {
        object->key = 1;
        M::name(object, "object");
        M::name(&reading, "reading");
        reader.record().enter_section();
        reader.record().protect(0, 1);
    }
    void actor(int who) {
        if (who == 0) {
            object->value.set(42);
            domain.retire(first.record(), *object);  // named: left over
        } else {
            (void)domain.reclaim(second.record());
        }
    }
    void finish() { reader.record().leave_section(); }
};

/// The same when nobody names the object any more by the time it is adopted: it is freed by
/// another cpu than the one that retired it.
template<Machine M = model_machine>
struct adopted_and_freed : left_over_and_adopted<M> {
    using base = left_over_and_adopted<M>;
    void actor(int who) {
        if (who == 0) return base::actor(0);
        base::reader.record().leave_section();
        (void)base::domain.reclaim(base::second.record());
    }
    void finish() {}
};

/// How a gather gives back what it collected.
enum class gather_bug : std::uint8_t { none, releases_before_flush, retires_before_clear };

/// An unmapper collects a page and a table; a cpu walks the table inside a section and uses the page
/// by a cached translation.
template<gather_bug Bug>
struct gathered {
    using M = model_machine;
    static constexpr int actors = 2;
    small_domain domain;
    cpu<small_domain> reader{domain};
    cpu<small_domain> remover{domain};
    found_object* table{M::create<found_object>()};
    M::plain<int> page{0};
    M::atomic<std::uint64_t> entry{1};
    spin_lock<M> running{};        // the cpu cannot be interrupted by a flush meanwhile
    M::plain<bool> cached{false};  // guarded by `running`

    gathered() {
        table->key = 1;
        M::name(table, "table");
        M::name(&page, "page");
        M::name(&entry, "entry");
    }
    void actor(int who) { who == 0 ? use() : unmap(); }
    void use() {
        {
            spin_guard<M> const accessing{running};
            if (entry.load(acquire("scenario.find")) != 0) cached.set(true);
            if (cached.get()) page.set(1);
        }
        irq_section inside{reader};
        if (entry.load(acquire("scenario.find")) == 0) return;
        inside.protect(0, 1);
        if (entry.load(acquire("scenario.find")) != 0) (void)table->value.get();
    }
    void unmap() {
        auto const flush = [this] {
            spin_guard<M> const interrupted{running};
            cached.set(false);
        };
        auto const reuse = [this](pfn) { page.set(2); };
        if constexpr (Bug == gather_bug::retires_before_clear)
            domain.retire(remover.record(), *table);
        (void)entry.exchange(0, relaxed);
        if constexpr (Bug == gather_bug::releases_before_flush) reuse(pfn{1});
        gather all{remover, flush, reuse};
        if constexpr (Bug != gather_bug::retires_before_clear) all.add(*table);
        if constexpr (Bug != gather_bug::releases_before_flush) all.add(pfn{1});
    }
};

inline void add_gather_scenarios(scenario_book& book) {
    book.add<gathered<gather_bug::none>>("gather.unmap", "flush, then release, then retire");
    book.add_mutant<gathered<gather_bug::releases_before_flush>>(
        "gather.unmap", "releases_before_flush", "releases the page before the flush");
    book.add_mutant<gathered<gather_bug::retires_before_clear>>(
        "gather.unmap", "retires_before_clear", "retires the table before its entry is cleared");
}

/// The hazard domain's own source on machines that lack one of its orders.
inline void add_weak_reclaim_mutants(scenario_book& book) {
    using enum reclaim_bug;
    auto const of = std::string{"reclaim.protect_and_retire"};
    book.add_mutant<protect_and_retire<1, 1, none, machine_without<"hazard.publish_fence">>>(
        of, "no_publish_fence", "publishes without a fence before the second look");
    book.add_mutant<protect_and_retire<1, 1, none, machine_without<"hazard.scan_fence">>>(
        of, "no_scan_fence", "scans without the heavy fence");
    book.add_mutant<protect_and_retire<1, 1, none, machine_without<"hazard.leave">>>(
        of, "leave_relaxed", "closes the section before its reads are over");
    book.add_mutant<protect_and_retire<1, 1, none, machine_without<"hazard.scan_section">>>(
        of, "section_read_relaxed", "frees without having seen the reads end");
    book.add_mutant<protected_in_turn<machine_without<"hazard.publish">>>(
        "reclaim.protected_in_turn", "publish_relaxed", "names the next object before it is done");
    book.add_mutant<protected_in_turn<machine_without<"hazard.scan">>>(
        "reclaim.protected_in_turn", "scan_relaxed", "frees without having seen the reads end");
    book.add_mutant<section_and_synchronize<none, machine_without<"hazard.enter_fence">>>(
        "reclaim.section_and_synchronize", "no_enter_fence", "reads before it has entered");
    book.add_mutant<section_and_synchronize<none, machine_without<"hazard.synchronize_fence">>>(
        "reclaim.section_and_synchronize", "no_synchronize_fence", "waits without the heavy fence");
    book.add_mutant<section_and_synchronize<none, machine_without<"hazard.enter">>>(
        "reclaim.section_and_synchronize", "enter_relaxed",
        "a new section hides the old one's reads");
    book.add_mutant<section_and_synchronize<none, machine_without<"hazard.section_over">>>(
        "reclaim.section_and_synchronize", "over_relaxed", "does not see the section's reads end");
    book.add_mutant<left_over_and_adopted<machine_without<"hazard.leave_over">>>(
        "reclaim.left_over_and_adopted", "leave_over_relaxed",
        "hands objects over whose links nobody else need see yet");
    book.add_mutant<left_over_and_adopted<machine_without<"hazard.adopt">>>(
        "reclaim.left_over_and_adopted", "adopt_relaxed",
        "follows links without having seen them set");
    book.add_mutant<joining_and_retiring<machine_without<"hazard.add_place">>>(
        "reclaim.joining_and_retiring", "add_place_relaxed",
        "publishes a place that is not complete");
}

inline void add_leftover_scenarios(scenario_book& book) {
    using enum reclaim_bug;
    book.add<section_and_try_synchronize<none>>("reclaim.section_and_try_synchronize",
                                                "a section against a remover that cannot wait");
    book.add_mutant<section_and_try_synchronize<no_synchronize>>(
        "reclaim.section_and_try_synchronize", "answer_ignored",
        "frees although somebody is inside");
    book.add_mutant<section_and_try_synchronize<synchronize_before_unlink>>(
        "reclaim.section_and_try_synchronize", "asked_before_unlink", "asks before it unlinks");
    book.add<left_over_and_adopted<>>("reclaim.left_over_and_adopted",
                                      "a named object changes hands");
    book.add<adopted_and_freed<>>("reclaim.adopted_and_freed",
                                  "another cpu frees what was left over");
}

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
    book.add<protected_in_turn<>>("reclaim.protected_in_turn",
                                  "one slot names two objects in turn");
    book.add<leaving_and_reclaiming>("reclaim.leaving_and_reclaiming",
                                     "join, retire and leave against reclaim", reach::tso_only);
    book.add<joining_and_retiring<>>("reclaim.joining_and_retiring", "join against a scan");
    book.add<joining_in_turn>("reclaim.joining_in_turn", "a vacated place is taken over");
    add_leftover_scenarios(book);
    add_weak_reclaim_mutants(book);
    add_gather_scenarios(book);
}

}  // namespace mmhold_test
