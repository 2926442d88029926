// SPDX-License-Identifier: BSL-1.0
// The command line over a tiny book: exit codes, and files that are what they should be.
#include "support/catch.hpp"
#include <mmhold/explore/runner.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace mmhold;

namespace {

using M = model_machine;

struct passed {
    static constexpr int actors = 2;
    M::plain<int> data{0};
    M::atomic<int> flag{0};
    passed() {
        M::name(&data, "data");
        M::name(&flag, "flag \"quoted\"\n\x01<b>");
    }
    void actor(int who) {
        if (who == 0) {
            data.set(1);
            flag.store(1, release("runner.set"));
        } else if (flag.load(acquire("runner.look")) == 1) {
            (void)data.get();
        }
    }
};
struct passed_early : passed {
    void actor(int who) {
        if (who == 0) flag.store(1, release("runner.set"));
        passed::actor(who);
    }
};

scenario_book tiny_book() {
    scenario_book book;
    book.add<passed>("passed", "a message");
    book.add_mutant<passed_early>("passed", "early", "the flag before the data");
    return book;
}
scenario_book wrong_book() {
    scenario_book book;
    book.add<passed_early>("wrong", "a scenario that should be a mutant");
    return book;
}

int run(scenario_book const& book, std::vector<std::string> words) {
    words.insert(words.begin(), "runner_test");
    std::vector<char*> arguments;
    for (auto& w : words) arguments.push_back(w.data());
    return run_explorer(book, static_cast<int>(arguments.size()), arguments.data());
}

/// A file of this test, gone with it.
struct scratch_file {
    std::string path{(std::filesystem::temp_directory_path() /
                      ("mmhold_runner_test_" + std::to_string(std::rand())))
                         .string()};
    scratch_file() = default;
    scratch_file(scratch_file const&) = delete;
    scratch_file& operator=(scratch_file const&) = delete;
    ~scratch_file() { std::remove(path.c_str()); }
    [[nodiscard]] std::string text() const {
        std::ifstream in{path};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
    [[nodiscard]] bool has(std::string_view words) const {
        auto const all = text();
        UNSCOPED_INFO(all);
        return all.find(words) != std::string::npos;
    }
};

/// Is it one JSON value? A reader of the grammar, without the numbers' finer points.
class json_reader {
public:
    explicit json_reader(std::string_view text) : text_{text} {}
    [[nodiscard]] bool whole() { return value() && (space(), at_ == text_.size()); }

private:
    void space() {
        while (at_ < text_.size() &&
               std::string_view{" \n\r\t"}.find(text_[at_]) != std::string_view::npos)
            ++at_;
    }
    bool take(char c) {
        space();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool string() {
        if (!take('"')) return false;
        for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
            if (static_cast<unsigned char>(text_[at_]) < 0x20) return false;
            if (text_[at_] == '\\') ++at_;
        }
        return take('"');
    }
    bool members(char end, bool named) {
        if (take(end)) return true;
        do {
            if (named && !(string() && take(':'))) return false;
            if (!value()) return false;
        } while (take(','));
        return take(end);
    }
    bool word(std::string_view w) {
        if (text_.substr(at_, w.size()) != w) return false;
        at_ += w.size();
        return true;
    }
    bool value() {
        space();
        if (at_ >= text_.size()) return false;
        if (text_[at_] == '"') return string();
        if (take('{')) return members('}', true);
        if (take('[')) return members(']', false);
        if (word("true") || word("false")) return true;
        auto const begin = at_;
        while (at_ < text_.size() &&
               std::string_view{"-0123456789."}.find(text_[at_]) != std::string_view::npos)
            ++at_;
        return at_ != begin;
    }
    std::string_view text_;
    std::size_t at_{0};
};

}  // namespace

TEST_CASE("runner: exit status says whether something was found", "[explore]") {
    CHECK(run(tiny_book(), {"--help"}) == 0);
    CHECK(run(tiny_book(), {"--list"}) == 0);
    CHECK(run(tiny_book(), {"--scenario", "passed"}) == 0);
    CHECK(run(tiny_book(), {"--scenario", "passed", "--search", "pct", "--budget", "50"}) == 0);
    CHECK(run(tiny_book(), {"--scenario", "passed", "--mutant", "early"}) == 1);
    CHECK(run(tiny_book(),
              {"--scenario", "passed", "--without", "runner.set", "--model", "stale"}) == 1);
    CHECK(run(tiny_book(), {"--all"}) == 0);
    CHECK(run(wrong_book(), {"--all"}) == 1);
    CHECK(run(tiny_book(), {"--necessity"}) == 0);
    CHECK(run(tiny_book(), {"--races"}) == 0);
    auto raced = tiny_book();
    raced.add_race(1, "a message", {"passed"});
    CHECK(run(raced, {"--races"}) == 0);
    raced.add_race(2, "another", {"nowhere"});
    CHECK(run(raced, {"--races"}) == 1);
}

TEST_CASE("runner: what it does not understand is status 2", "[explore]") {
    CHECK(run(tiny_book(), {}) == 2);
    CHECK(run(tiny_book(), {"--frobnicate"}) == 2);
    CHECK(run(tiny_book(), {"--scenario", "pased"}) == 2);
    CHECK(run(tiny_book(), {"--scenario", "passed", "--mutant", "erly"}) == 2);
    CHECK(run(tiny_book(), {"--scenario", "passed", "--without", "runner.sett"}) == 2);
    CHECK(run(tiny_book(), {"--scenario", "passed", "--model", "psc"}) == 2);
    CHECK(run(tiny_book(), {"--scenario", "passed", "--replay", "0?"}) == 2);
    CHECK(run(tiny_book(), {"--list", "--json", "/nowhere/at/all.json"}) == 2);
    CHECK(run(tiny_book(), {"--scenario", "passed", "--trace", "/nowhere/at/all.json"}) == 2);
}

TEST_CASE("runner: JSON stays JSON whatever a name contains", "[explore]") {
    scratch_file file;
    CHECK(run(tiny_book(), {"--scenario", "passed", "--mutant", "early", "--json", file.path}) ==
          1);
    CHECK(json_reader{file.text()}.whole());
    CHECK(file.has("\"finding\":\"data race\""));
    CHECK(file.has("\\\"quoted\\\""));
    CHECK(file.has("\"coverage\":\"data race in number"));
    CHECK(run(tiny_book(), {"--list", "--json", file.path}) == 0);
    CHECK(json_reader{file.text()}.whole());
    CHECK(file.has("\"mutant\":\"early\""));
    CHECK(file.has("{\"site\":\"runner.set\",\"kind\":\"store\",\"order\":\"release\"}"));
    CHECK(run(tiny_book(), {"--all", "--json", file.path}) == 0);
    CHECK(json_reader{file.text()}.whole());
    CHECK(file.has("all x86-TSO executions of passed (2 actors, "));
    CHECK(file.has("\"seconds\":0."));
    CHECK(run(tiny_book(), {"--necessity", "--json", file.path}) == 0);
    CHECK(json_reader{file.text()}.whole());
    CHECK(file.has("\"needed_by\":\"passed\""));
}

TEST_CASE("runner: the trace has a track per actor and one for memory", "[explore]") {
    scratch_file file;
    CHECK(run(tiny_book(), {"--scenario", "passed", "--trace", file.path}) == 0);
    CHECK(json_reader{file.text()}.whole());
    for (auto const* name : {"\"T0\"", "\"T1\"", "\"memory\"", "\"site\":\"runner.set\"",
                             "\"name\":\"store buffer\"", "runner_test.cpp:"})
        CHECK(file.has(name));
}

TEST_CASE("runner: the page carries the table, the story and nothing from elsewhere", "[explore]") {
    scratch_file file;
    CHECK(run(tiny_book(), {"--scenario", "passed", "--mutant", "early", "--html", file.path}) ==
          1);
    CHECK(file.has("<table class=\"story\">"));
    CHECK(file.has("<tr class=\"mark\">"));
    CHECK(file.has("&lt;b&gt;"));
    CHECK(file.has("prefers-color-scheme:dark"));
    CHECK(!file.has("http"));
    CHECK(!file.has("<script"));
    CHECK(run(tiny_book(), {"--all", "--html", file.path}) == 0);
    CHECK(file.has("passed / early: data race"));
    CHECK(file.has("none wrong, all searched"));
}

TEST_CASE("runner: the command line of a report shows the finding again", "[explore]") {
    scratch_file file;
    CHECK(run(tiny_book(), {"--scenario", "passed", "--mutant", "early", "--json", file.path}) ==
          1);
    auto const text = file.text();
    auto const begin = text.find("\"replay\":\"") + 10;
    auto const token = text.substr(begin, text.find('"', begin) - begin);
    CHECK(text.find("mmhold_explore --scenario passed --mutant early --model tso --replay " +
                    token) != std::string::npos);
    CHECK(run(tiny_book(), {"--scenario", "passed", "--mutant", "early", "--replay", token}) == 1);
}
