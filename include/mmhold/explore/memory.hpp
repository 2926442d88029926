// SPDX-License-Identifier: BSL-1.0
#pragma once

// model_memory: the words of one execution, the store buffers before them, and what each actor has
// seen.
//
// Nothing here schedules or judges; it answers what a load may see and does what a store does,
// under the three memory models. The synchronisation clocks are kept as C++20 says in all three: a
// store carries what its actor knew (release) or what it knew at its last release fence (relaxed);
// a read-modify-write continues the release sequence, an ordinary store begins a new one.

#include <mmhold/explore/operation.hpp>
#include <mmhold/explore/plan.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace mmhold {

namespace detail {

/// One word, as this execution knows it.
struct location {
    std::uint64_t value{0};     // newest in memory
    cell const* self{nullptr};  // where the object is (or was)
    sync_clock published{};     // what the newest store teaches those who acquire
    sync_clock touched{};       // last access of each actor
    std::uint32_t born{0};
    std::int32_t newest{-1};  // stale: the newest message
    bool alive{true};

    /// Puts a value into memory: by a store without buffer, a drain, or an update (which continues
    /// the release sequence it found).
    void write(std::uint64_t stored, sync_clock const& teaches) noexcept {
        value = stored;
        published = teaches;
    }
};

/// A store that its actor has done and memory has not seen yet.
struct buffered_store {
    std::uint32_t location{0};
    std::int16_t stored_at{-1};  // step
    std::int16_t served{-1};     // youngest load that was forwarded from it
    std::uint64_t value{0};
    sync_clock published{};
    bool exposed{false};       // no light fence covers it (only where a site is switched off)
    std::uint8_t notified{0};  // how many notify_one were called meanwhile; 255: notify_all
};

/// First in, first out; at most 16.
class store_buffer {
public:
    static constexpr unsigned capacity = 16;

    void clear() noexcept {
        head_ = count_ = 0;
        total_ = 0;
    }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] unsigned size() const noexcept { return count_; }
    [[nodiscard]] buffered_store& oldest() noexcept { return entries_[head_ % capacity]; }
    [[nodiscard]] buffered_store const& operator[](unsigned i) const noexcept {
        return entries_[(head_ + i) % capacity];
    }
    [[nodiscard]] buffered_store& push() noexcept {
        buffered_store& e = entries_[(head_ + count_) % capacity];
        ++count_;
        ++total_;
        return e;
    }
    void pop(std::int16_t step) noexcept {
        drained_at_[head_ % capacity] = step;
        ++head_;
        --count_;
    }
    /// The step that made room for the next store in a buffer of `depth` entries; -1: there was
    /// room from the start.
    [[nodiscard]] std::int16_t room_since(unsigned depth) const noexcept {
        return total_ >= depth ? drained_at_[(total_ - depth) % capacity] : std::int16_t{-1};
    }
    /// The youngest store to `where`, which the actor's own loads see; nullptr: none.
    [[nodiscard]] buffered_store* youngest(std::uint32_t where) noexcept {
        for (unsigned i = count_; i-- > 0;) {
            buffered_store& e = entries_[(head_ + i) % capacity];
            if (e.location == where) return &e;
        }
        return nullptr;
    }
    void expose() noexcept {
        for (unsigned i = 0; i < count_; ++i) entries_[(head_ + i) % capacity].exposed = true;
    }
    /// Is there a store that a heavy fence of somebody else would flush?
    [[nodiscard]] bool stops_heavy_fence() const noexcept {
        for (unsigned i = 0; i < count_; ++i) {
            if (!(*this)[i].exposed) return true;
        }
        return false;
    }

private:
    unsigned head_{0};  // asked for at every choice, so first
    unsigned count_{0};
    unsigned total_{0};
    std::array<std::int16_t, capacity> drained_at_{};
    std::array<buffered_store, capacity> entries_{};
};

/// Stale reads: per location, the oldest store that may still be read (counted from 0, the initial
/// value).
struct view {
    static constexpr std::uint32_t locations = 256;
    std::uint16_t oldest[locations]{};

    void join(view const& other) noexcept {
        for (std::uint32_t i = 0; i < locations; ++i)
            oldest[i] = std::max(oldest[i], other.oldest[i]);
    }
    void raise(std::uint32_t where, std::uint16_t index) noexcept {
        oldest[where] = std::max(oldest[where], index);
    }
};

/// Stale reads: one store, kept for those who may still read it.
struct message {
    std::uint64_t value{0};
    std::int32_t older{-1};
    std::int16_t step{-1};   // that stored it; -1: initial value
    std::uint16_t index{0};  // in modification order
    sync_clock published{};
    view carried{};
};

/// What one actor knows and has seen.
struct actor_memory {
    sync_clock known{};         // happens-before; its own entry is its tick
    sync_clock at_release{};    // known at the last release fence
    sync_clock not_acquired{};  // carried by stores that were read relaxed
    store_buffer buffer{};
    view seen{};
    view seen_at_release{};
    view not_acquired_view{};
    bool exposed{false};  // stale: no light fence since one was switched off
};

class model_memory {
public:
    model_memory(memory_model model, int actors)
        : model_{model}, actors_(static_cast<std::size_t>(actors)) {
        locations_.reserve(64);
    }

    void begin_execution() noexcept {
        locations_.resize(calls_location + 1);  // 0: none
        count_ = calls_location + 1;
        locations_[heap_location] = location{};
        locations_[calls_location] = location{};
        for (std::size_t i = 0; i < actors_.size(); ++i) {
            auto& a = actors_[i];
            a.known = a.at_release = a.not_acquired = sync_clock{};
            a.known.ticks[i] = 1;  // 0 means never
            a.buffer.clear();
            if (model_ == memory_model::stale) {
                a.seen = a.seen_at_release = a.not_acquired_view = view{};
                a.exposed = false;
            }
        }
        if (model_ == memory_model::stale) {
            ordered_view_ = view{};
            messages_.clear();
        }
    }

    [[nodiscard]] memory_model model() const noexcept { return model_; }
    [[nodiscard]] actor_memory& of(process actor) noexcept { return actors_[actor]; }
    [[nodiscard]] location& at(std::uint32_t id) noexcept { return locations_[id]; }
    [[nodiscard]] location const& at(std::uint32_t id) const noexcept { return locations_[id]; }
    /// The entry of a cell that is alive; 0 if it has none (yet, or any more).
    [[nodiscard]] std::uint32_t find(cell const& c) const noexcept {
        auto const id = mark_in(c.id);
        bool const known = id < count_ && locations_[id].self == &c;
        return known && locations_[id].alive ? id : 0;
    }
    /// First use by an actor. Answers 0 if there is no room (stale reads keep track of 255 words).
    [[nodiscard]] std::uint32_t enter(cell& c) {
        auto const id = count_;
        if (model_ == memory_model::stale && id >= view::locations) return 0;
        location& l = locations_.emplace_back();
        l.value = c.initial;
        l.self = &c;
        l.born = c.born;
        c.id = id;
        ++count_;
        if (model_ == memory_model::stale) {
            l.newest = static_cast<std::int32_t>(messages_.size());
            message& first = messages_.emplace_back();
            first.value = c.initial;
        }
        return id;
    }

    // ---- sc and tso ----

    /// What a load of `actor` sees now.
    [[nodiscard]] std::uint64_t visible(process actor, std::uint32_t id) noexcept {
        auto const* own = of(actor).buffer.youngest(id);
        return own != nullptr ? own->value : at(id).value;
    }
    // ---- stale reads ----

    /// The messages that `actor` may read; bit k: the one k back from the newest.
    /// `must_not_be_younger(step)` may rule out those that were overwritten by a step which the
    /// reader could as well have preceded.
    template<class InPast>
    [[nodiscard]] std::uint32_t readable(process actor, std::uint32_t id,
                                         InPast&& overwritten_in_past) noexcept {
        auto const oldest = of(actor).seen.oldest[id];
        std::uint32_t mask = 1;
        auto newer = at(id).newest;
        for (unsigned back = 1; back < 32; ++back) {
            if (message_at(newer).index <= oldest) break;
            auto const here = message_at(newer).older;
            if (here < 0) break;
            if (overwritten_in_past(message_at(newer).step)) mask |= 1U << back;
            newer = here;
        }
        return mask;
    }
    [[nodiscard]] message& back_from_newest(std::uint32_t id, unsigned back) noexcept {
        auto m = at(id).newest;
        for (; back != 0; --back) m = message_at(m).older;
        return message_at(m);
    }
    void read_message(process actor, std::uint32_t id, message const& m,
                      memory_order order) noexcept {
        actor_memory& a = of(actor);
        a.seen.raise(id, m.index);
        (acquires(order) ? a.seen : a.not_acquired_view).join(m.carried);
        if (order == memory_order::seq_cst) ordered_view_.raise(id, m.index);
        learn(actor, m.published, order);
    }
    /// Appends a store. `continued` is the message an update read, or nullptr.
    void append(process actor, std::uint32_t id, std::uint64_t value, memory_order order,
                std::int16_t step, bool continues) {
        actor_memory& a = of(actor);
        location& l = at(id);
        message m;
        m.older = l.newest;
        m.value = value;
        m.step = step;
        m.index = static_cast<std::uint16_t>(message_at(l.newest).index + 1);
        m.published = taught_by(actor, order);
        m.carried = releases(order) ? a.seen : a.seen_at_release;
        if (continues) {
            m.published.join(message_at(l.newest).published);
            m.carried.join(message_at(l.newest).carried);
        }
        m.carried.raise(id, m.index);
        a.seen.raise(id, m.index);
        if (order == memory_order::seq_cst) ordered_view_.raise(id, m.index);
        l.newest = static_cast<std::int32_t>(messages_.size());
        l.value = value;
        messages_.push_back(m);
    }
    /// A seq_cst access sees at least what the last one did.
    void raise_to_ordered(process actor, std::uint32_t id) noexcept {
        of(actor).seen.raise(id, ordered_view_.oldest[id]);
    }
    void ordered_fence(process actor) noexcept {
        ordered_view_.join(of(actor).seen);
        of(actor).seen = ordered_view_;
    }
    void heavy_fence(process caller) noexcept {
        for (auto& a : actors_) {
            if (!a.exposed || &a == &actors_[caller]) ordered_view_.join(a.seen);
        }
        for (auto& a : actors_) {
            if (!a.exposed || &a == &actors_[caller]) a.seen.join(ordered_view_);
        }
    }

    // ---- synchronisation, all models ----

    /// What a store of this order would teach those who acquire it.
    [[nodiscard]] sync_clock const& taught_by(process actor, memory_order order) noexcept {
        return releases(order) ? of(actor).known : of(actor).at_release;
    }
    /// A load of this order read a store that carries `published`.
    void learn(process actor, sync_clock const& published, memory_order order) noexcept {
        actor_memory& a = of(actor);
        (acquires(order) ? a.known : a.not_acquired).join(published);
    }
    /// The part of a fence that happens-before knows.
    void sync_fence(process actor, memory_order order) noexcept {
        actor_memory& a = of(actor);
        if (acquires(order)) {
            a.known.join(a.not_acquired);
            if (model_ == memory_model::stale) a.seen.join(a.not_acquired_view);
        }
        if (releases(order)) {
            a.at_release = a.known;
            if (model_ == memory_model::stale) a.seen_at_release = a.seen;
        }
    }
    /// Is the moment `e` known to happen before what `actor` does now?
    [[nodiscard]] bool happened_before(std::uint32_t e, process actor) noexcept {
        return e == 0 || of(actor).known.covers(epoch_actor(e), epoch_tick(e));
    }

private:
    [[nodiscard]] message& message_at(std::int32_t i) noexcept {
        return messages_[static_cast<std::size_t>(i)];
    }

    memory_model model_;
    std::vector<actor_memory> actors_;
    std::vector<location> locations_{};
    std::uint32_t count_{0};  // of them
    std::vector<message> messages_{};
    view ordered_view_{};
};

}  // namespace detail

}  // namespace mmhold
