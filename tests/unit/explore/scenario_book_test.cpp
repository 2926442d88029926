// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/scenario_book.hpp>

using namespace mmhold;

namespace {

struct counted {
    static constexpr int actors = 2;
    model_machine::atomic<int> flag{0};
    model_machine::plain<int> data{0};
    void actor(int who) {
        if (who == 0) {
            data.set(1);
            flag.store(1, release("book.set"));
        } else if (flag.load(acquire("book.look")) == 1) {
            (void)data.get();
        }
    }
};

}  // namespace

TEST_CASE("scenario_book: entries by name, and necessity names who breaks", "[explore]") {
    scenario_book book;
    book.add<counted>("counted", "publication");
    book.add_mutant<counted>("counted", "harmless", "the same");
    REQUIRE(book.find("counted") != nullptr);
    CHECK(book.find("counted", "harmless")->is_mutant());
    CHECK(book.find("nobody") == nullptr);
    auto const table = necessity(book);
    REQUIRE(table.size() == 2);
    for (auto const& need : table) {
        CHECK(need.scenario == "counted");
        CHECK(need.finding == finding_kind::data_race);
    }
}

TEST_CASE("scenario_book: races name scenarios, excuses name sites", "[explore]") {
    scenario_book book;
    book.add<counted>("counted", "publication");
    book.add_mutant<counted>("counted", "first", "the same");
    book.add_mutant<counted>("counted", "second", "the same");
    book.add_race(7, "a race", {"counted"});
    book.excuse("some.site", weakening::off, "because");
    REQUIRE(book.races().size() == 1);
    CHECK(book.races().front().number == 7);
    CHECK(book.mutants_of("counted") == std::vector<std::string>{"first", "second"});
    CHECK(book.mutants_of("nobody").empty());
    CHECK(book.excuse_of("some.site", weakening::off) == "because");
    CHECK(book.excuse_of("some.site", weakening::to_acquire).empty());
    CHECK(book.excuse_of("other.site", weakening::off).empty());
}
