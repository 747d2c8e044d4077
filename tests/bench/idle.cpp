// 13c: what an idle authenticated connection costs. The devices are made with one daemon, then a fresh one
// takes over the data, so that what registration left in the heap does not hide what connections need.
#include "processes.hpp"
#include "report.hpp"
#include "rest.hpp"
#include "ws_load.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <stdexcept>

namespace {

using bench::Device;
using nlohmann::json;

constexpr std::int64_t kConnectNs = 120'000'000'000;
constexpr std::size_t kAtOnce =
    200;  // handshakes on their way: the figure is of idle connections, not of a storm

class Idle : public bench::Handler {
public:
    std::size_t live = 0;
    void on_text(std::uint32_t, const char* data, std::size_t size) override {
        if (bench::frame_type(data, size) == "caught_up") ++live;
    }
};

void rest_for(bench::Connections& connections, double seconds) {
    const std::int64_t end = bench::now_ns() + static_cast<std::int64_t>(seconds * 1e9);
    for (std::int64_t left = end - bench::now_ns(); left > 0; left = end - bench::now_ns())
        connections.poll(left);
}

json measure(const bench::Flags& flags) {
    const auto count = static_cast<std::size_t>(flags.number("connections"));
    const auto seconds = static_cast<double>(flags.number("seconds"));
    const std::size_t per_user = std::min<std::size_t>(10, count);
    const std::size_t user_count = (count + per_user - 1) / per_user;
    bench::allow_open_files(count + 1024);
    const bench::TempFolder folder;
    const bench::Postgres postgres(folder);
    const std::string data = folder.path() + "/data";
    const std::string program = bench::daemon_program();
    std::vector<Device> devices;
    {
        bench::Daemon first(program, data, postgres.url("supd"));
        bench::Rest rest(first.port());
        devices = bench::register_users(rest, "idle", user_count);
        const auto more = bench::more_devices(rest, "idle", user_count, per_user - 1);
        devices.insert(devices.end(), more.begin(), more.end());
        devices.resize(count);
        if (const int status = first.stop(); status != 0)
            throw std::runtime_error("the daemon stopped with wait status " + std::to_string(status));
    }
    const bench::Daemon daemon(program, data, postgres.url("supd"));
    Idle idle;
    bench::Connections connections(daemon.port(), idle);
    json out = {{"connections", count}};
    rest_for(connections, 2);
    {
        const bench::CpuMeter meter(daemon.pid(), postgres.pid());
        rest_for(connections, seconds);
        out["at_rest_cpu"] = meter.read();
    }
    const std::uint64_t before = bench::resident_bytes(daemon.pid());
    out["at_rest_rss_mib"] = bench::rounded(static_cast<double>(before) / 1048576, 1);
    const std::int64_t start = bench::now_ns();
    for (const Device& device : devices) {
        connections.open(device.token);
        do {
            connections.poll(connections.size() - idle.live < kAtOnce ? 0 : 100'000'000);
            if (bench::now_ns() - start > kConnectNs)
                throw std::runtime_error("not every connection is live in time");
        } while (connections.size() - idle.live >= kAtOnce);
    }
    while (idle.live < count) {
        connections.poll(100'000'000);
        if (bench::now_ns() - start > kConnectNs)
            throw std::runtime_error("not every connection is live in time");
    }
    out["connects_per_s"] =
        bench::rounded(static_cast<double>(count) / (static_cast<double>(bench::now_ns() - start) / 1e9), 0);
    rest_for(connections, 2);
    {
        const bench::CpuMeter meter(daemon.pid(), postgres.pid());
        rest_for(connections, seconds);
        out["idle_cpu"] = meter.read();
    }
    const std::uint64_t after = bench::resident_bytes(daemon.pid());
    out["rss_mib"] = bench::rounded(static_cast<double>(after) / 1048576, 1);
    out["rss_per_connection_bytes"] = bench::rounded(
        (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(count), 0);
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmark("idle", argc, argv, {{"connections", "10000"}, {"seconds", "10"}}, measure);
}
