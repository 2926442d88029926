// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/last_words.hpp"
#include "unit/reclaim/reclaim_objects.hpp"

#include <mmhold/machine/constexpr_machine.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <string>
#include <type_traits>

using namespace mmhold;
using namespace mmhold_test;

namespace {

using section = irq_section<small_domain>;

template<class Act>
std::string last_words_of(Act act) {
    auto const end = last_words([&act] {
        small_domain domain;
        cpu me{domain};
        act(me);
    });
    return end.died ? end.words : "";
}

bool contains(std::string const& text, char const* part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("interrupts are off exactly while a section is open") {
    small_domain domain;
    cpu me{domain};
    CHECK_FALSE(me.interrupts_off());
    {
        irq_section inside{me};
        CHECK(me.interrupts_off());
        CHECK(me.irq_depth() == 1);
        CHECK(me.record().in_section());
        CHECK(&inside.on() == &me);
    }
    CHECK_FALSE(me.interrupts_off());
    CHECK_FALSE(me.record().in_section());
}

TEST_CASE("sections nest and the outermost one counts") {
    small_domain domain;
    cpu me{domain};
    irq_section outer{me};
    {
        irq_section middle{me};
        irq_section inner{me};
        CHECK(me.irq_depth() == 3);
    }
    CHECK(me.irq_depth() == 1);
    CHECK(me.record().in_section());
}

TEST_CASE("two simulated cpus on one host thread do not see each other's sections") {
    tracked named_by_one{1};
    small_domain domain;
    cpu one{domain};
    cpu two{domain};
    {
        irq_section inside{one};
        inside.protect(0, 1);
        CHECK(one.interrupts_off());
        CHECK_FALSE(two.interrupts_off());
        CHECK_FALSE(two.record().in_section());
        {
            irq_section others{two};
            others.protect(0, 2);
            CHECK(two.irq_depth() == 1);
        }
        CHECK(one.interrupts_off());
        domain.retire(two.record(), named_by_one);
        CHECK(domain.reclaim(two.record()) == 0);
    }
    CHECK(domain.reclaim(two.record()) == 1);
    CHECK(named_by_one.freed == 1);
}

TEST_CASE("what a nested section protected ends with it, what the outer one did stays") {
    tracked by_outer{1};
    tracked by_inner{2};
    small_domain domain;
    cpu me{domain};
    cpu remover{domain};
    irq_section outer{me};
    outer.protect(0, 1);
    {
        irq_section inner{me};
        inner.protect(1, 2);
        domain.retire(remover.record(), by_outer);
        domain.retire(remover.record(), by_inner);
        CHECK(domain.reclaim(remover.record()) == 0);
    }
    CHECK(domain.reclaim(remover.record()) == 1);
    CHECK(by_inner.freed == 1);
    CHECK(by_outer.freed == 0);
    outer.protect(1, 3);  // the level is free again
}

TEST_CASE("clear() ends the protection of one level, and only of the section's own") {
    tracked first{1};
    tracked second{2};
    small_domain domain;
    cpu me{domain};
    cpu remover{domain};
    irq_section outer{me};
    outer.protect(0, 1);
    outer.protect(1, 2);
    domain.retire(remover.record(), first);
    domain.retire(remover.record(), second);
    outer.clear(1);
    outer.clear(1);
    outer.clear(4);
    {
        irq_section inner{me};
        inner.clear(0);  // not the inner section's to clear
    }
    CHECK(domain.reclaim(remover.record()) == 1);
    CHECK(second.freed == 1);
    CHECK(first.freed == 0);
}

TEST_CASE("a level names one object at a time") {
    tracked first{1};
    tracked second{2};
    small_domain domain;
    cpu me{domain};
    cpu remover{domain};
    irq_section inside{me};
    inside.protect(2, 1);
    inside.protect(2, 2);
    domain.retire(remover.record(), first);
    domain.retire(remover.record(), second);
    CHECK(domain.reclaim(remover.record()) == 1);
    CHECK(first.freed == 1);
    CHECK(second.freed == 0);
}

TEST_CASE("a section is pinned in place") {
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<section>);
    STATIC_REQUIRE_FALSE(std::is_move_constructible_v<section>);
    STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<section>);
    STATIC_REQUIRE_FALSE(std::is_move_assignable_v<section>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<cpu<small_domain>&, section>);
}

TEST_CASE("misused sections stop a checked host") {
    CHECK(contains(last_words_of([](auto& me) {
                       irq_section inside{me};
                       inside.protect(5, 1);
                   }),
                   "protect: no such level"));
    CHECK(contains(last_words_of([](auto& me) {
                       irq_section inside{me};
                       inside.clear(5);
                   }),
                   "clear: no such level"));
    CHECK(contains(last_words_of([](auto& me) {
                       irq_section inside{me};
                       inside.protect(0, 0);
                   }),
                   "0 names nothing"));
    CHECK(contains(last_words_of([](auto& me) {
                       irq_section outer{me};
                       outer.protect(3, 1);
                       irq_section inner{me};
                       inner.protect(3, 2);
                   }),
                   "an outer section is using this level"));
    CHECK(contains(last_words_of([](auto& me) {
                       auto* const outer = new irq_section{me};
                       irq_section inner{me};
                       delete outer;
                   }),
                   "innermost first"));
}
