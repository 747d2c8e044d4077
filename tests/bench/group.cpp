// 13b: one group of 500; every delivery is compared byte by byte before it counts.
#include "group_load.hpp"
#include "processes.hpp"
#include "report.hpp"
#include "rest.hpp"

#include <nlohmann/json.hpp>

namespace {

nlohmann::json measure(const bench::Flags& flags) {
    bench::allow_open_files(8192);
    const bench::TempFolder folder;
    const bench::Postgres postgres(folder);
    const bench::Daemon daemon(bench::daemon_program(), folder.path() + "/data", postgres.url("supd"));
    bench::Rest rest(daemon.port());
    const auto users =
        bench::register_users(rest, "group", static_cast<std::size_t>(flags.number("members")));
    bench::GroupPlan plan;
    plan.port = daemon.port();
    plan.chat_id = bench::make_group(rest, "benchmark", users);
    plan.senders = static_cast<std::size_t>(flags.number("senders"));
    plan.in_flight = static_cast<std::size_t>(flags.number("in-flight"));
    for (const bench::Device& user : users)
        plan.members.push_back({.token = user.token, .user_id = user.user_id});
    bench::GroupLoad load(plan);
    load.connect();
    load.start();
    load.run(static_cast<double>(flags.number("warm-up")));
    load.reset_latency();
    const std::uint64_t deliveries = load.deliveries();
    const std::uint64_t messages = load.messages();
    const bench::CpuMeter meter(daemon.pid(), postgres.pid());
    load.run(static_cast<double>(flags.number("seconds")));
    const auto count = static_cast<double>(load.deliveries() - deliveries);
    nlohmann::json out = {
        {"members", users.size()}, {"in_flight", plan.in_flight}, {"cpu", meter.read(count)}};
    const double wall = out["cpu"]["wall_s"];
    out["deliveries_per_s"] = bench::rounded(count / wall, 0);
    out["messages_per_s"] = bench::rounded(static_cast<double>(load.messages() - messages) / wall, 0);
    out["last_delivery_p50_ms"] = bench::rounded(load.last_delivery().quantile_ms(0.5));
    out["last_delivery_p99_ms"] = bench::rounded(load.last_delivery().quantile_ms(0.99));
    out["deliveries_per_read"] = bench::rounded(load.deliveries_per_read(), 2);
    load.drain();
    out["echoes"] = load.echoes();
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmark(
        "group", argc, argv,
        {{"members", "500"}, {"senders", "8"}, {"in-flight", "64"}, {"seconds", "10"}, {"warm-up", "2"}},
        measure);
}
