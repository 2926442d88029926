// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace mmhold {

/// Receives text piece by piece: a file, a string, a socket. The pieces live only during the call.
template<class S>
concept TextSink = std::invocable<S&, std::string_view>;

/// Writes one JSON value (RFC 8259) to a sink, in order, without memory of its own.
///
/// Commas, quotes and escapes are its business; that keys and values alternate and that what was
/// begun is ended is the caller's. At most 64 values deep. Text is passed on as it is apart from
/// escaping: bytes that are not UTF-8 stay bytes that are not UTF-8.
template<TextSink S>
class json_writer {
public:
    /// Writes nothing yet.
    constexpr explicit json_writer(S sink) : sink_{std::move(sink)} {}

    /// Begins an object; keys and values follow in turn.
    constexpr void begin_object() { open("{"); }
    /// Ends the innermost object.
    constexpr void end_object() { close("}"); }
    /// Begins an array; values follow.
    constexpr void begin_array() { open("["); }
    /// Ends the innermost array.
    constexpr void end_array() { close("]"); }

    /// The name of the next value of an object.
    constexpr void key(std::string_view name) {
        separate();
        quoted(name);
        sink_(":");
        after_key_ = true;
    }

    /// A text; in two parts where that saves the caller from joining them.
    constexpr void text(std::string_view value, std::string_view more = {}) {
        separate();
        quoted(value, more);
    }
    /// A number from 0 to 2^64 - 1, in full. (Readers that keep numbers as doubles are exact to
    /// 2^53.)
    constexpr void number(std::uint64_t value) {
        separate();
        decimal(value);
    }
    /// A number that may be negative.
    constexpr void signed_number(std::int64_t value) {
        separate();
        auto const magnitude = static_cast<std::uint64_t>(value);
        if (value < 0) sink_("-");
        decimal(value < 0 ? 0 - magnitude : magnitude);
    }
    /// Nanoseconds as microseconds, exactly: 1234567 is written 1234.567.
    constexpr void microseconds(std::uint64_t nanoseconds) {
        separate();
        decimal(nanoseconds / 1000);
        char const fraction[] = {'.', digit(nanoseconds / 100), digit(nanoseconds / 10),
                                 digit(nanoseconds)};
        sink_(std::string_view{fraction, sizeof fraction});
    }
    /// A fraction in millionths: 1500000 is written 1.500000. Seconds, from microseconds.
    constexpr void millionths(std::uint64_t value) {
        separate();
        decimal(value / 1'000'000);
        char fraction[7] = {'.'};
        for (auto at = sizeof fraction; --at != 0; value /= 10) fraction[at] = digit(value);
        sink_(std::string_view{fraction, sizeof fraction});
    }
    /// An address: JSON has no hexadecimal numbers, so it is a text, "0x7f001000".
    constexpr void address(std::uint64_t value) {
        separate();
        sink_("\"0x");
        digits(value, 16);
        sink_("\"");
    }
    /// true or false.
    constexpr void truth(std::same_as<bool> auto value) {
        separate();
        sink_(value ? "true" : "false");
    }
    /// A line break between two values, for the people who look into the file.
    constexpr void new_line() { line_break_ = true; }

private:
    constexpr void open(std::string_view bracket) {
        separate();
        sink_(bracket);
        filled_ <<= 1U;
    }
    constexpr void close(std::string_view bracket) {
        if (std::exchange(line_break_, false)) sink_("\n");
        filled_ >>= 1U;
        sink_(bracket);
    }
    /// What stands between the previous value and this one.
    constexpr void separate() {
        if (std::exchange(after_key_, false)) return;
        if ((filled_ & 1U) != 0) sink_(",");
        if (std::exchange(line_break_, false)) sink_("\n");
        filled_ |= 1U;
    }
    constexpr void decimal(std::uint64_t value) { digits(value, 10); }

    static constexpr char digit(std::uint64_t value, unsigned base = 10) {
        return "0123456789abcdef"[value % base];
    }
    constexpr void digits(std::uint64_t value, unsigned base) {
        char text[20] = {};  // 2^64 has 20 decimal digits
        auto first = sizeof text;
        do {
            text[--first] = digit(value, base);
            value /= base;
        } while (value != 0);
        sink_(std::string_view{text + first, sizeof text - first});
    }
    constexpr void quoted(std::string_view text, std::string_view more = {}) {
        sink_("\"");
        escaped(text);
        escaped(more);
        sink_("\"");
    }
    constexpr void escaped(std::string_view text) {
        while (!text.empty()) {
            auto const plain = plain_prefix(text);
            if (plain != 0) sink_(text.substr(0, plain));
            if (plain == text.size()) break;
            escape(text[plain]);
            text.remove_prefix(plain + 1);
        }
    }
    static constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < ' '; }
    static constexpr std::size_t plain_prefix(std::string_view text) {
        std::size_t count = 0;
        for (char const c : text) {
            if (c == '"' || c == '\\' || is_control(c)) break;
            ++count;
        }
        return count;
    }
    constexpr void escape(char c) {
        if (is_control(c)) {
            char const code[] = {'\\', 'u', '0', '0', digit(static_cast<unsigned char>(c) / 16U),
                                 digit(static_cast<unsigned char>(c), 16)};
            sink_(std::string_view{code, sizeof code});
        } else {
            char const escaped[] = {'\\', c};
            sink_(std::string_view{escaped, sizeof escaped});
        }
    }

    S sink_;
    std::uint64_t filled_{0};  // bit 0: the innermost open value has an element; then outwards
    bool after_key_{false};
    bool line_break_{false};
};

template<class S>
json_writer(S) -> json_writer<S>;

}  // namespace mmhold
