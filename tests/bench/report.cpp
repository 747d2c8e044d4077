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
#include <vector>

namespace bench {

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

CpuMeter::CpuMeter(pid_t server, pid_t database)
    : server_(server),
      database_(database),
      start_ns_(static_cast<double>(now_ns())),
      start_server_(server > 0 ? cpu_seconds(server) : 0),
      start_database_(database > 0 ? cpu_seconds(database) : 0),
      start_client_(own_cpu_seconds()) {}

nlohmann::json CpuMeter::read(double units) const {
    const double wall = (static_cast<double>(now_ns()) - start_ns_) / 1e9;
    const double client = own_cpu_seconds() - start_client_;
    const double server = server_ > 0 ? cpu_seconds(server_) - start_server_ : 0;
    const double database = database_ > 0 ? cpu_seconds(database_) - start_database_ : 0;
    nlohmann::json out = {{"wall_s", rounded(wall)},
                          {"server_s", rounded(server)},
                          {"database_s", rounded(database)},
                          {"client_s", rounded(client)}};
    if (units > 0) {
        const double scale = 1e4 / units;
        out["server_per_10k_s"] = rounded(server * scale, 4);
        out["database_per_10k_s"] = rounded(database * scale, 4);
        out["server_and_database_per_10k_s"] = rounded((server + database) * scale, 4);
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
