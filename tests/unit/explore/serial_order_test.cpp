// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include <mmhold/explore/serial_order.hpp>

using namespace mmhold;
using namespace mmhold::detail;

namespace {

struct request {
    enum { read, write } what{read};
    int value{0};
    [[nodiscard]] std::string text() const {
        return what == read ? "read" : "write " + std::to_string(value);
    }
};
struct plain_register {
    int value{0};
    int apply(request const& r) {
        if (r.what == request::write) value = r.value;
        return r.what == request::read ? value : 0;
    }
    friend bool operator==(plain_register const&, plain_register const&) = default;
};
/// The same as something that cannot be copied.
struct heavy_register : plain_register {
    heavy_register() = default;
    heavy_register(heavy_register const&) = delete;
    heavy_register& operator=(heavy_register const&) = delete;
};
/// A register that may forget a write.
struct lossy_register {
    int value{0};
    bool admits(request const& r, int answered) {
        if (r.what == request::write) {
            value = r.value;
            return true;
        }
        return answered == value || answered == 0;
    }
};

using step = recorded<request, int>;
constexpr request read_it{request::read, 0};
constexpr request write_one{request::write, 1};

template<class Model>
serial_verdict judged(std::vector<step> const& all) {
    return serial_search<Model, request, int>::run(
        std::span<step const>{all}, [] { return new Model; }, [](Model* m) { delete m; },
        [](Model const&) { return true; });
}

}  // namespace

static_assert(serial_search<plain_register, request, int>::remembers);
static_assert(!serial_search<heavy_register, request, int>::copies);

TEST_CASE("serial_search: overlapping operations may go either way", "[explore]") {
    std::vector<step> const all{{write_one, 0, 0, 1, 4, 0}, {read_it, 0, 1, 2, 3, 0}};
    for (auto const& v : {judged<plain_register>(all), judged<heavy_register>(all)}) {
        CHECK(v.explained);
        CHECK(v.order == std::vector<std::size_t>{1, 0});
    }
}

TEST_CASE("serial_search: what was answered before a call stays before it", "[explore]") {
    std::vector<step> const all{{write_one, 0, 0, 1, 2, 0}, {read_it, 0, 1, 3, 4, 1}};
    for (auto const& v : {judged<plain_register>(all), judged<heavy_register>(all)}) {
        CHECK(!v.explained);
        CHECK(v.order == std::vector<std::size_t>{0});
        CHECK(v.stuck == "T1 read would answer 1");
    }
    CHECK(judged<lossy_register>(all).explained);
}

TEST_CASE("serial_search: an operation without an answer may have happened or not", "[explore]") {
    step const pending{write_one, 0, 0, 1, 0, 0};
    CHECK(judged<plain_register>({pending, {read_it, 1, 1, 2, 3, 0}}).explained);
    CHECK(judged<plain_register>({pending, {read_it, 0, 1, 2, 3, 0}}).explained);
    CHECK(!judged<plain_register>({pending, {read_it, 2, 1, 2, 3, 0}}).explained);
}

TEST_CASE("serial_search: remembered states keep sixteen equal writers cheap", "[explore]") {
    std::vector<step> all;
    for (int i = 0; i < 16; ++i) all.push_back({write_one, 0, i % 8, 1 + i, 100 + i, 0});
    all.push_back({read_it, 7, 0, 1, 200, 0});  // nobody wrote 7: every order is tried
    CHECK(!judged<plain_register>(all).explained);
}

TEST_CASE("intervals_in_words: one line per operation, and what does not fit", "[explore]") {
    std::vector<step> const all{{write_one, 0, 0, 1, 2, 0}, {read_it, 0, 1, 3, 4, 1}};
    auto const text = intervals_in_words(std::span<step const>{all}, judged<plain_register>(all));
    CHECK(text.find("T0 write 1 -> 0") != std::string::npos);
    CHECK(text.find("T1 read -> 0") != std::string::npos);
    CHECK(text.find("after it: T1 read would answer 1") != std::string::npos);
}
