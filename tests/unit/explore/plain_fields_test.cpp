// SPDX-License-Identifier: BSL-1.0
// The table of noted fields alone, and what searches make of notes.
#include "support/catch.hpp"
#include <mmhold/explore/explore.hpp>
#include <mmhold/explore/plain_fields.hpp>

#include <cstdint>
#include <string>

using namespace mmhold;

namespace {

using M = model_machine;

/// A class that knows no machine.
struct machineless {
    int value{0};
    int other{0};
};
void write(machineless& object) {
    M::note(claim::plain_written, &object.value);
    ++object.value;
}
[[nodiscard]] int read(machineless const& object) {
    M::note(claim::plain_read, &object.value);
    return object.value;
}

enum class handed_over : std::uint8_t { by_release, by_nothing };

/// One writes the field and says so; the other reads it then.
template<handed_over How>
struct field_changes_hands {
    static constexpr int actors = 2;
    machineless object{};
    M::atomic<std::uint32_t> ready{0};
    field_changes_hands() { M::name(&object.value, "the field"); }
    void actor(int who) {
        if (who == 0) {
            write(object);
            if (How == handed_over::by_release) return ready.store(1, release("test.hand"));
            return ready.store(1, relaxed);
        }
        if (ready.load(acquire("test.take")) == 1) M::expect(read(object) == 1, "it was written");
    }
};

/// Both only read, and one writes what lies beside it.
struct read_by_two {
    static constexpr int actors = 2;
    machineless object{};
    void actor(int who) {
        (void)read(object);
        if (who == 1) M::note(claim::plain_written, &object.other);
    }
};

/// A field is used after the memory that it lies in has gone.
struct used_after_its_memory {
    static constexpr int actors = 1;
    machineless* object{M::create<machineless>()};
    void actor(int) {
        write(*object);
        M::destroy(object);
        M::note(claim::plain_read, &object->value);
    }
};

/// Its memory goes while the other may be reading it.
struct freed_while_read {
    static constexpr int actors = 2;
    machineless* object{M::create<machineless>()};
    void actor(int who) { who == 0 ? (void)read(*object) : M::destroy(object); }
};

/// What stands in memory that is used again is another field.
struct born_again {
    static constexpr int actors = 1;
    void actor(int) {
        for (int life = 0; life < 2; ++life) {
            auto* const object = M::create<machineless>();
            write(*object);
            M::destroy(object);
        }
    }
};

}  // namespace

TEST_CASE("a noted field is found by its address until its memory ends") {
    machineless objects[2]{};
    detail::noted_fields fields;
    CHECK(fields.find(&objects[0].value) == nullptr);
    fields.add(&objects[0].value).written = 7;
    fields.add(&objects[1].value).written = 8;
    REQUIRE(fields.find(&objects[0].value) != nullptr);
    CHECK(fields.find(&objects[0].value)->written == 7);
    std::uint32_t ended = 0;
    fields.end(&objects[0], sizeof objects[0],
               [&](auto& cell, void const*) { ended += cell.written; });
    CHECK(ended == 7);
    CHECK(fields.find(&objects[0].value) == nullptr);
    CHECK(fields.find(&objects[1].value) != nullptr);
    fields.begin_execution();
    CHECK(fields.find(&objects[1].value) == nullptr);
}

TEST_CASE("noted accesses race unless something orders them") {
    CHECK(explore<field_changes_hands<handed_over::by_release>>().complete());
    CHECK(explore<read_by_two>().complete());
    auto const raced = explore<field_changes_hands<handed_over::by_nothing>>();
    CHECK(raced.found(finding_kind::data_race));
    CHECK(raced.first.headline.find("the field") != std::string::npos);
}

TEST_CASE("a noted field ends with its memory") {
    CHECK(explore<used_after_its_memory>().found(finding_kind::use_after_free));
    CHECK(explore<freed_while_read>().found(finding_kind::data_race));
    plan again;
    again.reuse = heap_reuse::always;
    CHECK(explore<born_again>(again).complete());
}
