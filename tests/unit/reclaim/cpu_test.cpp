// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/last_words.hpp"
#include "unit/reclaim/reclaim_objects.hpp"

#include <mmhold/reclaim/cpu.hpp>
#include <mmhold/reclaim/irq_section.hpp>

#include <type_traits>

using namespace mmhold;
using namespace mmhold_test;

TEST_CASE("a cpu joins on construction and leaves on destruction") {
    small_domain domain;
    std::uint32_t first_id = 99;
    {
        cpu me{domain};
        REQUIRE(me.valid());
        CHECK(&me.domain() == &domain);
        CHECK(me.id() == me.record().id());
        first_id = me.id();
    }
    cpu another{domain};
    CHECK(another.id() == first_id);  // the place was given back
}

TEST_CASE("cpus that are joined together have different ids") {
    small_domain domain;
    cpu one{domain};
    cpu two{domain};
    cpu three{domain};
    CHECK(one.id() != two.id());
    CHECK(two.id() != three.id());
    CHECK(one.id() != three.id());
}

TEST_CASE("a cpu that finds no memory is not valid, and nothing is lost") {
    hazard_domain<poor_machine, 4> domain;
    poor_machine::creations_left = 1;
    {
        cpu rich{domain};
        cpu poor{domain};
        CHECK(rich.valid());
        CHECK_FALSE(poor.valid());
        CHECK(poor.id() == ~std::uint32_t{0});
        CHECK_FALSE(poor.interrupts_off());
    }
    cpu next{domain};  // takes the place that was given back
    CHECK(next.valid());
}

TEST_CASE("a cpu that is not valid cannot be used") {
    CHECK(last_words([] {
              hazard_domain<poor_machine, 4> domain;
              poor_machine::creations_left = 0;
              cpu poor{domain};
              irq_section inside{poor};
          }).words.find("could not join") != std::string::npos);
}

TEST_CASE("a cpu runs a task of its own until it is given another") {
    small_domain domain;
    cpu me{domain};
    auto& own = me.current();
    task<checked_host_machine> other;
    me.run(other);
    CHECK(&me.current() == &other);
    other.kill();
    CHECK(me.current().fatal_signal_pending());
    me.run(own);
    CHECK_FALSE(me.current().fatal_signal_pending());
}

TEST_CASE("a cpu carries its protection-key rights and its counters") {
    small_domain domain;
    cpu me{domain};
    cpu other{domain};
    CHECK(me.key_rights() == protection_key_rights{});
    me.set_key_rights(protection_key_rights{}.with(1, 3));
    CHECK_FALSE(me.key_rights().permit(1, access::read));
    CHECK(other.key_rights().permit(1, access::read));
    me.stats().faults += 2;
    auto const& readable = me;
    CHECK(readable.stats().faults == 2);
    CHECK(other.stats() == cpu_statistics{});
}

TEST_CASE("a cpu stays where it is") {
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<cpu<small_domain>>);
    STATIC_REQUIRE_FALSE(std::is_move_constructible_v<cpu<small_domain>>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<small_domain&, cpu<small_domain>>);
    STATIC_REQUIRE(std::is_same_v<cpu<small_domain>::machine, checked_host_machine>);
}

TEST_CASE("a cpu neither ends nor switches tasks inside a section") {
    CHECK(last_words([] {
              small_domain domain;
              auto* const me = new cpu{domain};
              auto* const inside = new irq_section{*me};
              (void)inside;
              delete me;
          }).words.find("destroyed inside an irq_section") != std::string::npos);
    CHECK(last_words([] {
              small_domain domain;
              cpu me{domain};
              task<checked_host_machine> other;
              irq_section inside{me};
              me.run(other);
          }).words.find("switches tasks inside") != std::string::npos);
}
