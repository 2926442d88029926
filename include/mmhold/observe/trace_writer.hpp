// SPDX-License-Identifier: BSL-1.0
#pragma once

// trace_writer – a timeline for Perfetto (ui.perfetto.dev) or chrome://tracing, in the JSON trace
// event format.
//
// Every actor gets two tracks, one under the other: what it does (gup, fault, section, own work –
// nested slices) and how it stands with locks (waiting, holding). Two, because the cure that this
// library is about makes them overlap: a lock held when a fault begins is given up before the fault
// ends, and slices of one track must nest.
//
// The writer is fed after the fact, from a ring_buffer; it keeps no state per actor. If the ring
// lost the beginning of something, its end stands alone, and viewers ignore it.

#include <mmhold/machine/order.hpp>
#include <mmhold/observe/json_writer.hpp>
#include <mmhold/observe/observer.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

namespace mmhold {

/// Writes events as one JSON object to a text sink. Give the tracks their names, write the events
/// in any order (viewers sort by time; equal times keep the order of the file), then finish() – or
/// let the destructor do it.
template<TextSink S>
class trace_writer {
public:
    /// `process` is the heading over all tracks; times are written relative to `origin_ns`, and
    /// events before it appear at 0.
    constexpr trace_writer(S sink, std::string_view process, std::uint64_t origin_ns)
        : json_{std::move(sink)}, origin_ns_{origin_ns} {
        json_.begin_object();
        json_.key("displayTimeUnit");
        json_.text("ns");
        json_.key("traceEvents");
        json_.begin_array();
        metadata("process_name", 0, process);
    }
    trace_writer(trace_writer const&) = delete;
    trace_writer& operator=(trace_writer const&) = delete;
    constexpr ~trace_writer() { finish(); }

    /// Names the two tracks of `actor`: "name" and "name: lock". Tracks are shown in the order of
    /// actor numbers.
    constexpr void track(std::uint32_t actor, std::string_view name) {
        for (auto const which : {lane::work, lane::lock}) {
            metadata("thread_name", thread_id(actor, which), name,
                     which == lane::lock ? ": lock" : "");
        }
    }

    /// One event under its own name.
    constexpr void write(event const& what) { write(what, {}); }

    /// One event under a name of the program's choice, for user_begin, user_end and user_mark.
    constexpr void write(event const& what, std::string_view name) {
        auto const how = look_of(what.kind);
        auto const mode = static_cast<lock_mode>(what.value);
        if (what.kind == event_kind::lock_acquired) slice_end(what, lane::lock);
        begin_event(how.phase, what, how.where, !name.empty() ? name : how.name);
        if (how.where == lane::lock) {
            lock_arguments(what.subject, mode);
        } else {
            arguments(what);
        }
        json_.end_object();
    }

    /// Ends the file. Nothing may be written afterwards.
    constexpr void finish() {
        if (std::exchange(finished_, true)) return;
        json_.new_line();
        json_.end_array();
        json_.end_object();
    }

private:
    enum class lane : std::uint8_t { work, lock };
    struct look {
        std::string_view phase;  // B begins a slice, E ends the innermost open one, i is an instant
        lane where;
        std::string_view name;
    };

    static constexpr look look_of(event_kind kind) {
        switch (kind) {
            case event_kind::lock_wait: return {"B", lane::lock, "waits"};
            case event_kind::lock_acquired: return {"B", lane::lock, "holds"};
            case event_kind::lock_abandoned:
            case event_kind::lock_released: return {"E", lane::lock, {}};
            case event_kind::fault_begin: return {"B", lane::work, "fault"};
            case event_kind::gup_begin: return {"B", lane::work, "gup"};
            case event_kind::section_enter: return {"B", lane::work, "interrupts off"};
            case event_kind::user_begin: return {"B", lane::work, "work"};
            case event_kind::fault_end:
            case event_kind::gup_end:
            case event_kind::section_leave:
            case event_kind::user_end: return {"E", lane::work, {}};
            default: return {"i", lane::work, event_name(kind)};
        }
    }

    static constexpr std::uint64_t thread_id(std::uint32_t actor, lane which) {
        if (actor == unattributed) return 0;
        return std::uint64_t{actor} * 2 + 1 + static_cast<std::uint64_t>(which);
    }

    constexpr void metadata(std::string_view what, std::uint64_t thread, std::string_view name,
                            std::string_view suffix = {}) {
        begin_record("M", what, thread);
        json_.key("args");
        json_.begin_object();
        json_.key("name");
        json_.text(name, suffix);
        json_.end_object();
        json_.end_object();
    }
    constexpr void begin_record(std::string_view phase, std::string_view name,
                                std::uint64_t thread) {
        json_.new_line();
        json_.begin_object();
        json_.key("ph");
        json_.text(phase);
        if (!name.empty()) {
            json_.key("name");
            json_.text(name);
        }
        json_.key("pid");
        json_.number(1);
        json_.key("tid");
        json_.number(thread);
    }
    constexpr void begin_event(std::string_view phase, event const& what, lane where,
                               std::string_view name) {
        begin_record(phase, name, thread_id(what.actor, where));
        json_.key("ts");
        json_.microseconds(what.time_ns < origin_ns_ ? 0 : what.time_ns - origin_ns_);
        if (phase == "i") {
            json_.key("s");  // scope of the instant: its own track
            json_.text("t");
        }
        json_.key("args");
        json_.begin_object();
    }
    constexpr void slice_end(event const& what, lane where) {
        begin_event("E", what, where, {});
        json_.end_object();
        json_.end_object();
    }
    constexpr void lock_arguments(std::uint64_t number, lock_mode mode) {
        json_.key("lock");
        json_.number(number);
        json_.key("mode");
        json_.text(mode == lock_mode::shared ? "shared" : "exclusive");
        json_.end_object();
    }
    constexpr void arguments(event const& what) {
        json_.key("subject");
        json_.address(what.subject);
        json_.key("value");
        json_.signed_number(static_cast<std::int64_t>(what.value));
        json_.end_object();
    }

    json_writer<S> json_;
    std::uint64_t origin_ns_;
    bool finished_{false};
};

template<class S>
trace_writer(S, std::string_view, std::uint64_t) -> trace_writer<S>;

}  // namespace mmhold
