// `supd doctor`: what was looked at, what was found, and the mend. A check is a pure function from facts to a
// judgement, so that it is tested without the fault; gathering the facts is apart from it.
#pragma once

#include "config.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace supd::app {

enum class Verdict { ok, skipped, warning, failed };

struct Judgement {
    Verdict verdict = Verdict::ok;
    std::string found;
    std::string mend;  ///< what to do; empty when all is well
};

inline Judgement all_well(std::string found) {
    return {Verdict::ok, std::move(found), ""};
}
inline Judgement not_looked_at(std::string why) {
    return {Verdict::skipped, std::move(why), ""};
}
inline Judgement warns(std::string found, std::string mend) {
    return {Verdict::warning, std::move(found), std::move(mend)};
}
inline Judgement fails(std::string found, std::string mend) {
    return {Verdict::failed, std::move(found), std::move(mend)};
}

struct Finding {
    std::string check;  ///< stable: "database.fsync"
    Judgement judgement;
};
using Findings = std::vector<Finding>;

struct DoctorOptions {
    std::string url;         ///< of the server as clients see it; empty = those checks are skipped
    std::string token_file;  ///< an access token for --slow; empty = without
    std::string config_file;
    bool slow = false;
    bool json = false;
};

/// What the checks work on.
struct Patient {
    const LoadedConfig& loaded;
    const DoctorOptions& options;
    std::map<std::string, std::string> environment;

    const Config& config() const { return loaded.config; }
};

/// One group each; none throws for what it came to find. doctor_<group>.cpp.
Findings examine_database(const Patient& patient);
Findings examine_secrets(const Patient& patient);
Findings examine_host(const Patient& patient);
Findings examine_redis(const Patient& patient);
Findings examine_proxy(const Patient& patient);

/// Loads by `load`, so that a refused configuration is a finding too. Prints; exit code 0, or 1 when a check
/// failed.
int run_doctor(const std::function<LoadedConfig()>& load, const DoctorOptions& options);

/// "3.2 GiB"
std::string human_bytes(double bytes);

}  // namespace supd::app
