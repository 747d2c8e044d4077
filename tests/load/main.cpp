// The load of the longest fault tests, driven by tests/rig/fast_load.py. Its standard input is JSON lines:
//   the setting: {"ports": [...], "rate": per second, "body": bytes, "seed": n, "tell_acks": bool, "chats":
//   [id, ...],
//                 "devices": [{"name", "user", "token", "cursor", "chats": {id: last seq}}, ...]}
//   then {"do": "run"} {"do": "stop"} {"do": "seat", "at": [port's index of each device, or null]}
//        {"do": "lose", "count": n} {"do": "tell_waiting", "since": seconds} {"do": "level", "heads": {chat:
//        seq}}
//        {"do": "write", "to": path} {"do": "end"}
// Its output: the state five times a second; "settled" in it once it was stopped and every outcome is known,
// "level" once every device has what was asked for; the report when the history is written. What should not
// be ends it with status 1.
#include "fleet.hpp"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

using nlohmann::json;
using Heads = std::unordered_map<std::string, std::uint64_t>;

constexpr double kTellEveryS = 0.2;
constexpr std::size_t kReadSize = 1U << 16;

void tell(const json& what) {
    std::cout << what << std::endl;
}

// Lines of standard input, without waiting for one.
class Commands {
public:
    Commands() { fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK); }

    std::optional<json> next() {
        for (;;) {
            if (const auto end = read_.find('\n'); end != std::string::npos) {
                auto out = json::parse(read_.begin(), read_.begin() + static_cast<std::ptrdiff_t>(end));
                read_.erase(0, end + 1);
                return out;
            }
            std::string more(kReadSize, '\0');
            const auto size = ::read(STDIN_FILENO, more.data(), more.size());
            if (size < 0) return std::nullopt;
            if (size == 0) throw std::runtime_error("whoever started this is gone");
            read_.append(more, 0, static_cast<std::size_t>(size));
        }
    }

private:
    std::string read_;
};

int drive() {
    const auto setting = json::parse([] {
        std::string line;
        std::getline(std::cin, line);
        return line;
    }());
    load::Fleet fleet(setting);
    Commands commands;
    bool stopped = false;
    Heads heads;
    double told_at = 0;
    for (;;) {
        while (const auto command = commands.next()) {
            const std::string what = command->at("do");
            if (what == "run") {
                fleet.run();
            } else if (what == "seat") {
                std::vector<std::optional<std::size_t>> nodes;
                for (const auto& at : command->at("at"))
                    nodes.push_back(at.is_null() ? std::nullopt : std::optional(at.get<std::size_t>()));
                fleet.seat(nodes);
            } else if (what == "tell_waiting") {
                fleet.tell_waiting(command->at("since"));
            } else if (what == "lose") {
                fleet.lose_network(command->at("count"));
            } else if (what == "stop") {
                fleet.stop();
                stopped = true;
            } else if (what == "level") {
                heads = command->at("heads").get<Heads>();
            } else if (what == "write") {
                fleet.write(command->at("to"));
                tell({{"report", fleet.report()}});
            } else if (what == "end") {
                return 0;
            } else {
                throw std::runtime_error("no such command: " + what);
            }
        }
        fleet.turn();
        if (const double now = load::now_s(); now - told_at > kTellEveryS) {
            told_at = now;
            auto state = fleet.state();
            state["settled"] = stopped && fleet.settled();
            state["level"] = !heads.empty() && fleet.level(heads);
            tell(state);
        }
    }
}

}  // namespace

int main() {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return drive();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "supd_fleet: %s\n", error.what());
        return 1;
    }
}
