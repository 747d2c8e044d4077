// The limits of this machine, in the same invocation as the daemon's figures: what PostgreSQL takes
// without the product's rules, and what one thread can fan out without a database.
#include "bare_fanout.hpp"
#include "group_load.hpp"
#include "processes.hpp"
#include "raw_inserts.hpp"
#include "report.hpp"

#include <nlohmann/json.hpp>

#include <string_view>

namespace {

using nlohmann::json;

json fan_out(const bench::TempFolder& folder, const std::string& server, const bench::Flags& flags) {
    bench::Child child({.command = {"/proc/self/exe", "--serve", server},
                        .environment = {},
                        .log = folder.path() + "/" + server + ".log",
                        .pipe_stdout = true,
                        .stop_signal = 9});
    bench::GroupPlan plan;
    plan.port = static_cast<std::uint16_t>(std::stoi(child.line(10)));
    plan.chat_id = bench::kBareChat;
    plan.waits_for_caught_up = false;
    plan.in_flight = static_cast<std::size_t>(flags.number("in-flight"));
    plan.members.assign(static_cast<std::size_t>(flags.number("members")),
                        {.token = {}, .user_id = std::string(bench::kBareUser)});
    bench::GroupLoad load(plan);
    load.connect();
    load.start();
    load.run(1);
    const std::uint64_t before = load.deliveries();
    load.reset_latency();
    const bench::CpuMeter meter(child.pid(), 0);
    load.run(static_cast<double>(flags.number("seconds")));
    const auto count = static_cast<double>(load.deliveries() - before);
    json out = {{"cpu", meter.read(count)}};
    out["deliveries_per_s"] = bench::rounded(count / out["cpu"]["wall_s"].get<double>(), 0);
    out["last_delivery_p50_ms"] = bench::rounded(load.last_delivery().quantile_ms(0.5));
    out["deliveries_per_read"] = bench::rounded(load.deliveries_per_read(), 2);
    load.drain();
    return out;
}

json measure(const bench::Flags& flags) {
    if (flags.text("serve") == "beast") bench::serve_bare_beast();
    if (flags.text("serve") == "epoll") bench::serve_bare_epoll(false);
    bench::allow_open_files(4096);
    const bench::TempFolder folder;
    json out;
    out["fan_out_beast"] = fan_out(folder, "beast", flags);
    out["fan_out_epoll"] = fan_out(folder, "epoll", flags);
    const bench::Postgres postgres(folder);
    bench::InsertPlan paced;
    paced.url = postgres.url("supd");
    paced.keyed = true;
    paced.seconds = static_cast<double>(flags.number("seconds"));
    // The quiet one first, as in `direct`.
    out["inserts_paced"] =
        bench::measure_paced_inserts(paced, static_cast<double>(flags.number("open-rate")));
    for (const bool keyed : {false, true})
        for (const int rows : {50, 100, 200}) {
            bench::InsertPlan plan;
            plan.url = postgres.url("supd");
            plan.rows = rows;
            plan.keyed = keyed;
            plan.seconds = static_cast<double>(flags.number("seconds"));
            out[keyed ? "inserts_keyed" : "inserts_bare"][std::to_string(rows)] =
                bench::measure_inserts(plan);
        }
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmark(
        "limits", argc, argv,
        {{"serve", ""}, {"seconds", "5"}, {"members", "500"}, {"in-flight", "64"}, {"open-rate", "1500"}},
        measure);
}
