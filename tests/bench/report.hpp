// Command-line flags `--name value` and the one JSON line that every benchmark prints.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <sys/types.h>

#include <map>
#include <string>

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

// The CPU of server, database and client over a stretch of a benchmark.
class CpuMeter {
public:
    CpuMeter(pid_t server, pid_t database);
    // Seconds since the constructor, as {"wall_s", "server_s", "database_s", "client_s"}; with units > 0
    // also the CPU seconds per 10,000 units.
    nlohmann::json read(double units = 0) const;

private:
    pid_t server_;
    pid_t database_;
    double start_ns_;
    double start_server_;
    double start_database_;
    double start_client_;
};

// The daemon's binary: $SUPD_BENCH_DAEMON, or where the build puts it beside this program.
std::string daemon_program();

// Runs `body`, prints its JSON on one line and turns an exception into exit status 1.
int run_benchmark(const char* name, int argc, char** argv, const std::map<std::string, std::string>& known,
                  nlohmann::json (*body)(const Flags&));

double rounded(double value, int digits = 3);

}  // namespace bench
