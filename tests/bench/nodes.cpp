// Several daemons on one PostgreSQL and one Redis, against one daemon without Redis on the same machine: the
// load of the direct benchmark, with the two people of each chat at different daemons, so that every delivery
// crosses.
#include "direct_load.hpp"
#include "processes.hpp"
#include "report.hpp"
#include "rest.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <stdexcept>

namespace {

using nlohmann::json;

json measure_daemons(std::size_t count, const bench::Flags& flags) {
    const bench::TempFolder folder;
    const bench::Postgres postgres(folder);
    std::unique_ptr<bench::RedisServer> redis;
    bench::Environment environment = {{"JWT_SECRET", "only for a benchmark, on one machine, for minutes"}};
    if (count > 1) {
        redis = std::make_unique<bench::RedisServer>(folder);
        environment.emplace_back("REDIS_URL", redis->url());
    }
    std::vector<std::unique_ptr<bench::Daemon>> daemons;
    std::vector<std::uint16_t> ports;
    bench::Cost cost{.servers = {}, .database = postgres.pid(), .redis = redis ? redis->pid() : 0};
    for (std::size_t i = 0; i < count; ++i) {
        daemons.push_back(std::make_unique<bench::Daemon>(bench::daemon_program(),
                                                          folder.path() + "/data" + std::to_string(i),
                                                          postgres.url("supd"), environment));
        ports.push_back(daemons.back()->port());
        cost.servers.push_back(daemons.back()->pid());
    }
    bench::Rest rest(ports.front());
    const auto users = bench::register_users(rest, "nodes", static_cast<std::size_t>(flags.number("users")));
    const auto chats = bench::make_direct_chats(rest, users);
    bench::DirectLoad load(ports, users, chats, static_cast<std::size_t>(flags.number("text-bytes")),
                           static_cast<int>(flags.number("id-version")));
    return bench::measure_direct(load, cost, flags);
}

json measure(const bench::Flags& flags) {
    bench::allow_open_files(8192);
    const auto count = static_cast<std::size_t>(flags.number("nodes"));
    if (count < 2) throw std::invalid_argument("--nodes is at least 2");
    json out;
    out["one"] = measure_daemons(1, flags);
    out["several"] = measure_daemons(count, flags);
    out["nodes"] = count;
    out["throughput_ratio"] = bench::rounded(out["several"]["full"]["messages_per_s"].get<double>() /
                                             out["one"]["full"]["messages_per_s"].get<double>());
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmark("nodes", argc, argv,
                                {{"nodes", "2"},
                                 {"users", "200"},
                                 {"in-flight", "2000"},
                                 {"seconds", "10"},
                                 {"warm-up", "3"},
                                 {"text-bytes", "200"},
                                 {"id-version", "4"},
                                 {"open-rate", "2000"}},
                                measure);
}
