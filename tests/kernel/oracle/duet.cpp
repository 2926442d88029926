// SPDX-License-Identifier: BSL-1.0
#include "duet.hpp"

#include "../../../examples/linux_parity/linux_process.hpp"
#include "../../../examples/linux_parity/model_process.hpp"
#include "comparison.hpp"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <new>
#include <optional>
#include <sched.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace oracle {

using namespace parity;

namespace {

constexpr int patience_ms = 5000;

/// Whose events the call waits for.
memory faults_of(duet const& script) {
    for (auto const& one : script.before) {
        if (one.what == op::map && has_faults(one.of)) return one.of;
    }
    return memory::faults;
}
bool has_act(duet const& script, auto test) {
    return std::ranges::any_of(script.acts, [&](step const& one) { return test(one.what); });
}
bool is_call(op what) { return what < op::map; }
/// Is somebody ended?
bool ends_a_call(duet const& script) {
    return has_act(script, [](op what) { return what == op::end_call; });
}

/// Does the act wake who waits at `page`, if it succeeds? Letting go of a range wakes those who wait
/// for missing pages only.
bool wakes(step const& act, std::int64_t value, std::uint64_t page) {
    auto const covers = act.at <= page && page < act.at + act.bytes;
    auto const placed = value > 0 ? static_cast<std::uint64_t>(value) : 0;
    switch (act.what) {
        case op::close_faults:
        case op::end_call: return true;
        case op::awaken:
        case op::wp_off: return value == 0 && covers;
        case op::unregister: return value == 0 && covers && act.of != memory::faults_minor;
        case op::fill:
        case op::zero:
        case op::go_on: return act.at <= page && page < act.at + placed;
        default: return false;
    }
}

/// Does the act move a call that is in this state?
bool moves_on(step const& act, act_answer const& now) {
    auto const ends = act.what == op::close_faults || act.what == op::end_call;
    switch (now.call) {
        case caller_state::waits: return wakes(act, now.value, now.waits_at);
        case caller_state::unheard: return ends || (act.what == op::hear && is_notice(now.value));
        default: return false;
    }
}

/// The same on both sides: `Side` runs steps, starts the call, and knows when it waits or ends.
template<class Side>
void play(duet const& script, Side& side, duet_answer& out) {
    for (auto const& one : script.before) side.act(one);
    side.start(script.call);
    out.acts[0] = side.settle();
    auto now = out.acts[0];
    for (std::size_t i = 0; i < script.acts.size() && i < duet_answer::most_acts; ++i) {
        auto const& act = script.acts[i];
        now.value = is_call(act.what) ? side.start_third(act) : side.act(act);
        if (moves_on(act, now)) {
            auto const value = now.value;
            // Who is ended takes its message back first.
            if (act.what == op::end_call) side.wait_for_the_end();
            now = side.settle();
            now.value = value;
        }
        out.acts[i + 1] = now;
    }
    for (auto const& one : script.before) {
        if (one.what == op::map && has_faults(one.of)) side.act({op::close_faults, one.of});
    }
    side.act({op::close_faults, memory::faults_twin});
    side.finish(out);
    out.ran = true;
}

/// Until patience is at an end: asks `done` again and again.
template<class Done>
bool comes_true(Done done) {
    using namespace std::chrono;
    auto const patience = steady_clock::now() + milliseconds{patience_ms};
    while (!done()) {
        if (steady_clock::now() > patience) return false;
        std::this_thread::sleep_for(microseconds{20});
    }
    return true;
}

/// What both sides have in common: threads, and what they have come to.
struct actors {
    std::thread caller{};
    std::thread third{};
    std::atomic<bool> ended{false};
    std::atomic<bool> third_ended{false};
    answer call{};
    answer thirds{};

    /// The third actor's call, which `run` makes, waits at a page or has ended.
    template<class Run, class Waiting>
    std::int64_t start_third(Run run, Waiting waiting) {
        auto const before = waiting();
        third = std::thread{[this, run] {
            run(thirds);
            third_ended.store(true);
        }};
        comes_true([&] { return third_ended.load() || waiting() > before; });
        return third_ended.load() ? thirds.value : -EAGAIN;
    }
    void wait_for_the_end() {
        comes_true([this] { return ended.load(); });
    }
    void join() {
        caller.join();
        if (third.joinable()) third.join();
    }
};

class linux_duet {
public:
    linux_duet(duet const& script, std::string const& folder)
        : first_{folder, fault_counts::ignored},
          second_{folder, fault_counts::ignored},
          of_{faults_of(script)},
          is_ended_{ends_a_call(script)} {
        first_.serve_by_hand();
        if (has_act(script, is_call)) third_.emplace(folder, fault_counts::ignored);
    }

    std::int64_t act(step const& one) { return first_.run_without_a_look(one).value; }
    void start(step const& call) {
        those_.caller = std::thread{[this, call] {
            if (is_ended_) {
                run_in_a_process(call);
            } else {
                those_.call = second_.run_without_a_look(call);
            }
            those_.ended.store(true);
        }};
    }
    std::int64_t start_third(step const& call) {
        return those_.start_third(
            [this, call](answer& out) { out = third_->run_without_a_look(call); },
            [this] { return first_.waiting(); });
    }
    void wait_for_the_end() { those_.wait_for_the_end(); }
    act_answer settle() {
        act_answer now;
        for (int waited = 0; waited < patience_ms; ++waited) {
            if (those_.ended.load()) return now;
            if (is_told(of_) && first_.has_message(1)) {
                now.call = caller_state::unheard;
                return now;
            }
            if (!is_told(of_) && first_.take_event(of_, 1, now.waits_at)) {
                now.call = caller_state::waits;
                return now;
            }
        }
        now.call = caller_state::lost;
        return now;
    }
    void finish(duet_answer& out) {
        those_.join();
        answer last;
        first_.run({op::reap}, last);  // looks at the memory as it is now
        out.call = those_.call;
        out.third = those_.thirds;
        out.call.present = last.present;
        out.call.contents = last.contents;
        first_.end();
        second_.end();
        if (third_) third_->end();
    }

private:
    struct process_call {
        linux_duet* of;
        step call;
    };
    /// A process of its own that shares all memory and all descriptors: it can be killed without us.
    void run_in_a_process(step const& call) {
        static constexpr std::size_t stack_bytes = 1U << 18U;
        auto* const stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        process_call what{this, call};
        auto const run = [](void* argument) {
            auto const& mine = *static_cast<process_call*>(argument);
            mine.of->first_.note_caller(static_cast<int>(syscall(SYS_getpid)));
            mine.of->those_.call = mine.of->second_.run_without_a_look(mine.call);
            syscall(SYS_exit_group, 0);
            return 0;
        };
        // While it lives, this thread sleeps: they have thread-local memory in common.
        auto const child = clone(run, static_cast<std::byte*>(stack) + stack_bytes,
                                 CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, &what);
        if (child > 0) waitpid(child, nullptr, 0);
        munmap(stack, stack_bytes);
    }

    linux_process first_;
    linux_process second_;
    std::optional<linux_process> third_{};
    memory of_;
    bool is_ended_;
    actors those_{};
};

class model_duet {
public:
    model_duet(duet const& script, surroundings const& where)
        : world_{where, script.before}, of_{faults_of(script)} {
        first_.emplace(world_, where);
        first_->serve_by_hand();
        second_.emplace(*first_);
        if (has_act(script, is_call)) third_.emplace(*first_);
    }

    std::int64_t act(step const& one) {
        if (one.what == op::end_call) return end_call();
        return first_->run_without_a_look(one).value;
    }
    void start(step const& call) {
        those_.caller = std::thread{[this, call] {
            those_.call = second_->run_without_a_look(call);
            those_.ended.store(true);
        }};
    }
    std::int64_t start_third(step const& call) {
        return those_.start_third(
            [this, call](answer& out) { out = third_->run_without_a_look(call); },
            [this] { return first_->waiting(); });
    }
    void wait_for_the_end() { those_.wait_for_the_end(); }
    act_answer settle() {
        act_answer now;
        auto const settled = comes_true([&] {
            if (those_.ended.load()) return true;
            if (is_told(of_)) {
                if (first_->has_message()) now.call = caller_state::unheard;
            } else if (first_->take_event(of_, now.waits_at)) {
                now.call = caller_state::waits;
            }
            return now.call != caller_state::ended;
        });
        if (!settled) now.call = caller_state::lost;
        return now;
    }
    void finish(duet_answer& out) {
        those_.join();
        auto const last = first_->run({op::reap});
        if (!is_killed_) out.call = those_.call;
        out.third = those_.thirds;
        out.call.present = last.present;
        out.call.contents = last.contents;
        third_.reset();
        second_.reset();
        first_.reset();
        out.call.lost = world_.lost();
    }

private:
    std::int64_t end_call() {
        if (those_.ended.load()) return -ESRCH;
        is_killed_ = true;
        second_->kill();
        return 0;
    }

    model_world world_;
    std::optional<model_process> first_{};
    std::optional<model_process> second_{};
    std::optional<model_process> third_{};
    memory of_;
    bool is_killed_{false};
    actors those_{};
};

std::string shown(act_answer const& one) {
    std::ostringstream out;
    out << to_text(answer{.value = one.value, .ran = true});
    if (one.call == caller_state::ended) out << ", the call has ended";
    if (one.call == caller_state::unheard) out << ", there is a message";
    if (one.call == caller_state::lost) out << ", the call neither waits nor ends";
    if (one.call == caller_state::waits) {
        out << ", the call waits at " << (one.waits_at - arena_start) / page_bytes;
    }
    return out.str();
}

}  // namespace

duet_answer duet_on_linux(duet const& script, std::string const& folder) {
    auto* const place = mmap(nullptr, sizeof(duet_answer), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return {};
    auto* const shared = new (place) duet_answer{};
    auto const child = fork();
    if (child == 0) {
        alarm(4 * patience_ms / 1000);
        linux_duet side{script, folder};
        play(script, side, *shared);
        _exit(0);
    }
    int status = 0;
    if (child > 0) waitpid(child, &status, 0);
    auto const out = *shared;
    munmap(place, sizeof(duet_answer));
    return out;
}

duet_answer duet_on_model(duet const& script, surroundings const& where) {
    duet_answer out;
    model_duet side{script, where};
    play(script, side, out);
    return out;
}

std::string difference(duet const& script, duet_answer const& linux_says,
                       duet_answer const& model_says) {
    if (!linux_says.ran) return "the kernel's process did not finish";
    for (std::size_t i = 0; i <= script.acts.size() && i < linux_says.acts.size(); ++i) {
        if (linux_says.acts[i] == model_says.acts[i]) continue;
        return i == 0 ? "the call's beginning" : "act " + to_text(script.acts[i - 1]);
    }
    auto kernels = linux_says.call;
    auto models = model_says.call;
    if (auto const& third = linux_says.third; third.value != model_says.third.value ||
                                              third.signal != model_says.third.signal ||
                                              third.bytes != model_says.third.bytes) {
        return "the third actor's call";
    }
    // Who was killed says nothing.
    if (ends_a_call(script)) kernels.ran = models.ran = true;
    kernels.events = models.events = 0;  // compared act by act
    kernels.faults = models.faults = 0;  // the other thread's are among them
    return difference(script.call, kernels, models);
}

std::string side_by_side(duet const& script, duet_answer const& linux_says,
                         duet_answer const& model_says) {
    std::ostringstream out;
    for (auto const& one : script.before) out << to_text(one) << "\n";
    auto const call = [&](answer const& end, act_answer const& begin) {
        out << to_text(end) << ", present " << std::hex << end.present << std::dec << "; "
            << shown(begin) << "\n";
    };
    out << "call " << to_text(script.call) << "\n    # linux: ";
    call(linux_says.call, linux_says.acts[0]);
    out << "    # model: ";
    call(model_says.call, model_says.acts[0]);
    for (std::size_t i = 0; i < script.acts.size(); ++i) {
        out << to_text(script.acts[i]) << "\n    # linux: " << shown(linux_says.acts[i + 1])
            << "\n    # model: " << shown(model_says.acts[i + 1]) << "\n";
    }
    return out.str();
}

}  // namespace oracle
