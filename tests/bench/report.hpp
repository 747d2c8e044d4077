// Command-line flags `--name value` and the one JSON line that every benchmark prints.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace bench {

class Flags {
public:
    // Throws for anything that is no `--name value` with a name of `known`.
    Flags(int argc, char** argv, std::map<std::string, std::string> known);
    const std::string& text(const std::string& name) const { return values_.at(name); }
    long number(const std::string& name) const { return std::stol(values_.at(name)); }

private:
    std::map<std::string, std::string> values_;
};

// Whose CPU a benchmark counts; 0 = there is none.
struct Cost {
    std::vector<pid_t> servers = {};
    pid_t database = 0;
    pid_t redis = 0;
};

// The CPU of servers, database, Redis and client over a stretch of a benchmark.
class CpuMeter {
public:
    explicit CpuMeter(Cost cost);
    CpuMeter(pid_t server, pid_t database) : CpuMeter(Cost{.servers = {server}, .database = database}) {}
    // Seconds since the constructor, as {"wall_s", "server_s", "database_s", "client_s"}, with a Redis also
    // "redis_s"; with units > 0 also the CPU seconds per 10,000 units.
    nlohmann::json read(double units = 0) const;

private:
    double servers() const;

    Cost cost_;
    double start_ns_;
    double start_server_;
    double start_database_;
    double start_redis_;
    double start_client_;
};

// The daemon's binary: $SUPD_BENCH_DAEMON, or where the build puts it beside this program.
std::string daemon_program();

// Runs `body`, prints its JSON on one line and turns an exception into exit status 1.
int run_benchmark(const char* name, int argc, char** argv, const std::map<std::string, std::string>& known,
                  nlohmann::json (*body)(const Flags&));

double rounded(double value, int digits = 3);

}  // namespace bench
