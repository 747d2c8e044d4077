#include "report.hpp"

#include "processes.hpp"
#include "ws_load.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <utility>
#include <vector>

namespace bench {
namespace {

double seconds_of(pid_t process) {
    return process > 0 ? cpu_seconds(process) : 0;
}

}  // namespace

Flags::Flags(int argc, char** argv, std::map<std::string, std::string> known) : values_(std::move(known)) {
    for (int i = 1; i < argc; i += 2) {
        const std::string flag = argv[i];
        if (!flag.starts_with("--") || !values_.contains(flag.substr(2)) || i + 1 >= argc) {
            std::string names;
            for (const auto& [name, value] : values_)
                names += " --" + name + " " + value;
            throw std::invalid_argument("flags and their defaults:" + names);
        }
        values_[flag.substr(2)] = argv[i + 1];
    }
}

CpuMeter::CpuMeter(Cost cost)
    : cost_(std::move(cost)),
      start_ns_(static_cast<double>(now_ns())),
      start_server_(servers()),
      start_database_(seconds_of(cost_.database)),
      start_redis_(seconds_of(cost_.redis)),
      start_client_(own_cpu_seconds()) {}

double CpuMeter::servers() const {
    double sum = 0;
    for (const pid_t server : cost_.servers)
        sum += seconds_of(server);
    return sum;
}

nlohmann::json CpuMeter::read(double units) const {
    const double wall = (static_cast<double>(now_ns()) - start_ns_) / 1e9;
    const double client = own_cpu_seconds() - start_client_;
    const double server = servers() - start_server_;
    const double database = seconds_of(cost_.database) - start_database_;
    const double redis = seconds_of(cost_.redis) - start_redis_;
    nlohmann::json out = {{"wall_s", rounded(wall)},
                          {"server_s", rounded(server)},
                          {"database_s", rounded(database)},
                          {"client_s", rounded(client)}};
    if (cost_.redis > 0) out["redis_s"] = rounded(redis);
    if (units > 0) {
        const double scale = 1e4 / units;
        out["server_per_10k_s"] = rounded(server * scale, 4);
        out["database_per_10k_s"] = rounded(database * scale, 4);
        out["server_and_database_per_10k_s"] = rounded((server + database) * scale, 4);
        if (cost_.redis > 0) out["redis_per_10k_s"] = rounded(redis * scale, 4);
        out["client_per_10k_s"] = rounded(client * scale, 4);
    }
    return out;
}

double rounded(double value, int digits) {
    const double scale = std::pow(10.0, digits);
    return std::round(value * scale) / scale;
}

std::string daemon_program() {
    if (const char* set = std::getenv("SUPD_BENCH_DAEMON")) return set;
    const auto here = std::filesystem::canonical("/proc/self/exe").parent_path();
    const std::vector<std::filesystem::path> places = {here / "../../src/supd", here / "../../supd",
                                                       here / "../../src/app/supd", here / "../../bin/supd"};
    for (const auto& place : places)
        if (std::filesystem::exists(place)) return std::filesystem::canonical(place).string();
    throw std::runtime_error("no daemon beside this program; set SUPD_BENCH_DAEMON");
}

int run_benchmark(const char* name, int argc, char** argv, const std::map<std::string, std::string>& known,
                  nlohmann::json (*body)(const Flags&)) try {
    nlohmann::json out = body(Flags(argc, argv, known));
    out["benchmark"] = name;
    std::cout << out.dump() << std::endl;
    return 0;
} catch (const std::exception& e) {
    std::cerr << name << ": " << e.what() << std::endl;
    return 1;
}

}  // namespace bench
