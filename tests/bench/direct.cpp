// 13a: one-to-one chats, every message durable. A message counts when its sender has the ack and the
// other side has the message with every byte right. Three stretches: closed loop with a fixed number in
// flight (throughput), open arrivals at half of that, open arrivals at 1,500 messages/s (latencies from
// the time a message was due, so a stall is not hidden).
#include "bare_fanout.hpp"
#include "direct_load.hpp"
#include "processes.hpp"
#include "report.hpp"
#include "rest.hpp"

#include <nlohmann/json.hpp>

namespace {

using bench::Device;
using nlohmann::json;

// The generator's own ceiling: the same client against a server that only hands messages across.
json measure_bare(const bench::Flags& flags) {
    const bench::TempFolder folder;
    bench::Child child({.command = {"/proc/self/exe", "--against", "serve-bare"},
                        .environment = {},
                        .log = folder.path() + "/bare.log",
                        .pipe_stdout = true,
                        .stop_signal = 9});
    const auto port = static_cast<std::uint16_t>(std::stoi(child.line(10)));
    const auto count = static_cast<std::size_t>(flags.number("users"));
    const std::vector<Device> users(count,
                                    {.user_id = std::string(bench::kBareUser), .device_id = {}, .token = {}});
    const std::vector<std::string> chats(count / 2, std::string(bench::kBareChat));
    bench::DirectLoad load({port}, users, chats, static_cast<std::size_t>(flags.number("text-bytes")),
                           static_cast<int>(flags.number("id-version")));
    return bench::measure_direct(load, {.servers = {child.pid()}}, flags);
}

json measure(const bench::Flags& flags) {
    if (flags.text("against") == "serve-bare") bench::serve_bare_epoll(true);
    bench::allow_open_files(8192);
    if (flags.text("against") == "bare") return measure_bare(flags);
    const bench::TempFolder folder;
    const bench::Postgres postgres(folder);
    const bench::Daemon daemon(bench::daemon_program(), folder.path() + "/data", postgres.url("supd"));
    bench::Rest rest(daemon.port());
    const auto users = bench::register_users(rest, "direct", static_cast<std::size_t>(flags.number("users")));
    const auto chats = bench::make_direct_chats(rest, users);
    bench::DirectLoad load({daemon.port()}, users, chats,
                           static_cast<std::size_t>(flags.number("text-bytes")),
                           static_cast<int>(flags.number("id-version")));
    return bench::measure_direct(load, {.servers = {daemon.pid()}, .database = postgres.pid()}, flags);
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmark("direct", argc, argv,
                                {{"against", "daemon"},
                                 {"users", "200"},
                                 {"in-flight", "2000"},
                                 {"seconds", "10"},
                                 {"warm-up", "3"},
                                 {"text-bytes", "200"},
                                 {"id-version", "4"},
                                 {"open-rate", "1500"}},
                                measure);
}
