// SPDX-License-Identifier: BSL-1.0
#include "duet.hpp"

#include "../../../examples/linux_parity/linux_process.hpp"
#include "../../../examples/linux_parity/model_process.hpp"
#include "comparison.hpp"
#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <new>
#include <optional>
#include <sstream>
#include <sys/mman.h>
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

/// Does the act wake who waits at `page`, if it succeeds? Letting go of a range wakes those who wait
/// for missing pages only.
bool wakes(step const& act, std::int64_t value, std::uint64_t page) {
    auto const covers = act.at <= page && page < act.at + act.bytes;
    auto const placed = value > 0 ? static_cast<std::uint64_t>(value) : 0;
    switch (act.what) {
        case op::close_faults: return true;
        case op::awaken:
        case op::wp_off: return value == 0 && covers;
        case op::unregister: return value == 0 && covers && act.of != memory::faults_minor;
        case op::fill:
        case op::zero:
        case op::go_on: return act.at <= page && page < act.at + placed;
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
        now.value = side.act(script.acts[i]);
        auto const woken =
            now.call == caller_state::waits && wakes(script.acts[i], now.value, now.waits_at);
        if (woken) {
            auto const value = now.value;
            now = side.settle();
            now.value = value;
        }
        out.acts[i + 1] = now;
    }
    if (now.call != caller_state::ended) side.act({op::close_faults, faults_of(script)});
    out.call = side.finish();
    out.ran = true;
}

class linux_duet {
public:
    linux_duet(duet const& script, std::string const& folder)
        : first_{folder, fault_counts::ignored},
          second_{folder, fault_counts::ignored},
          of_{faults_of(script)} {
        first_.serve_by_hand();
    }

    std::int64_t act(step const& one) {
        answer out;
        first_.run(one, out);
        return out.value;
    }
    void start(step const& call) {
        thread_ = std::thread{[this, call] {
            second_.run(call, call_);
            ended_.store(true);
        }};
    }
    act_answer settle() {
        act_answer now;
        for (int waited = 0; waited < patience_ms; ++waited) {
            if (first_.take_event(of_, 1, now.waits_at)) {
                now.call = caller_state::waits;
                return now;
            }
            if (ended_.load()) return now;
        }
        now.call = caller_state::lost;
        return now;
    }
    answer finish() {
        thread_.join();
        answer last;
        first_.run({op::reap}, last);  // looks at the memory as it is now
        call_.present = last.present;
        call_.contents = last.contents;
        first_.end();
        second_.end();
        return call_;
    }

private:
    linux_process first_;
    linux_process second_;
    memory of_;
    std::thread thread_{};
    std::atomic<bool> ended_{false};
    answer call_{};
};

class model_duet {
public:
    model_duet(duet const& script, surroundings const& where)
        : world_{where, script.before}, of_{faults_of(script)} {
        first_.emplace(world_, where);
        first_->serve_by_hand();
    }

    std::int64_t act(step const& one) { return first_->run_without_a_look(one).value; }
    void start(step const& call) {
        thread_ = std::thread{[this, call] {
            model_process second{*first_};
            call_ = second.run_without_a_look(call);
            ended_.store(true);
        }};
    }
    act_answer settle() {
        using namespace std::chrono;
        act_answer now;
        auto const patience = steady_clock::now() + milliseconds{patience_ms};
        while (steady_clock::now() < patience) {
            if (first_->take_event(of_, now.waits_at)) {
                now.call = caller_state::waits;
                return now;
            }
            if (ended_.load()) return now;
            std::this_thread::sleep_for(microseconds{20});
        }
        now.call = caller_state::lost;
        return now;
    }
    answer finish() {
        thread_.join();
        auto const last = first_->run({op::reap});
        call_.present = last.present;
        call_.contents = last.contents;
        first_.reset();
        call_.lost = world_.lost();
        return call_;
    }

private:
    model_world world_;
    std::optional<model_process> first_{};
    memory of_;
    std::thread thread_{};
    std::atomic<bool> ended_{false};
    answer call_{};
};

std::string shown(act_answer const& one) {
    std::ostringstream out;
    out << to_text(answer{.value = one.value, .ran = true});
    if (one.call == caller_state::ended) out << ", the call has ended";
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
    kernels.events = models.events = 0;  // compared act by act
    kernels.faults = models.faults = 0;  // the other thread's are among them
    return difference(script.call, kernels, models);
}

std::string side_by_side(duet const& script, duet_answer const& linux_says,
                         duet_answer const& model_says) {
    std::ostringstream out;
    for (auto const& one : script.before) out << to_text(one) << "\n";
    out << "call " << to_text(script.call) << "\n    # linux: " << to_text(linux_says.call) << "; "
        << shown(linux_says.acts[0]) << "\n    # model: " << to_text(model_says.call) << "; "
        << shown(model_says.acts[0]) << "\n";
    for (std::size_t i = 0; i < script.acts.size(); ++i) {
        out << to_text(script.acts[i]) << "\n    # linux: " << shown(linux_says.acts[i + 1])
            << "\n    # model: " << shown(model_says.acts[i + 1]) << "\n";
    }
    return out.str();
}

}  // namespace oracle
