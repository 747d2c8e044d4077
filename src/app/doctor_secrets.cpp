// Secrets: how hard they are to guess, and who can read where they stand.
#include "config_keys.hpp"
#include "doctor.hpp"
#include "doctor_files.hpp"

#include <set>

namespace supd::app {
namespace {

constexpr std::string_view kFileSuffix = "_FILE";

Judgement judge_strength(const Config& config) {
    if (config.auth.jwt_secret.empty())
        return all_well("auth.jwt_secret is made by supd (48 random bytes) in data_dir/secrets");
    std::size_t weak = 0;
    for (const auto& former : config.auth.jwt_previous_secrets)
        weak += secret_weakness(former.reveal()).empty() ? 0 : 1;
    const auto why = secret_weakness(config.auth.jwt_secret.reveal());
    if (!why.empty())
        return fails("auth.jwt_secret " + why + ": who guesses it is everybody",
                     "set a new one, e.g. from `openssl rand -base64 48`");
    if (weak > 0)
        return fails(std::to_string(weak) + " of auth.jwt_previous_secrets are too easy to guess",
                     "remove them: what they signed has expired 15 minutes after the change");
    return all_well("auth.jwt_secret is hard to guess");
}

// The worst of several files, or that all is well with them.
Judgement judge_files(const std::set<std::string>& paths) {
    Judgement worst = all_well(std::to_string(paths.size()) + " files, closed to others");
    for (const auto& path : paths) {
        const auto facts = file_facts(path);
        if (!facts) continue;
        auto one = judge_secret_file(*facts);
        if (one.verdict > worst.verdict) worst = std::move(one);
    }
    return worst;
}

// Where secrets stand on this machine.
std::set<std::string> secret_files(const Patient& patient) {
    std::set<std::string> out;
    for (const auto& key : config_keys()) {
        if (!key.secret()) continue;
        const auto& origin = patient.loaded.origins.at(key.full());
        if (origin.ends_with(kFileSuffix)) {
            const auto named = patient.environment.find(origin);
            if (named != patient.environment.end()) out.insert(named->second);
        } else if (origin.find(" line ") != std::string::npos && !patient.options.config_file.empty()) {
            out.insert(patient.options.config_file);
        }
    }
    if (!patient.config().tls.key.empty()) out.insert(patient.config().tls.key);
    const auto own = std::filesystem::path(patient.config().server.data_dir) / "secrets";
    std::error_code error;
    if (std::filesystem::is_directory(own, error)) {
        out.insert(own);
        for (const auto& entry : std::filesystem::directory_iterator(own, error))
            out.insert(entry.path());
    }
    return out;
}

Judgement judge_environment(const Patient& patient) {
    for (const auto& key : config_keys()) {
        if (!key.secret()) continue;
        const auto& origin = patient.loaded.origins.at(key.full());
        if ((origin == key.env() || origin == key.flat_env) && patient.config().production())
            return warns(
                key.full() + " stands in the environment, which child processes and crash reports carry",
                "put it into a file and name that by " + origin + "_FILE");
    }
    return all_well("none stands in the environment of a production server");
}

}  // namespace

Findings examine_secrets(const Patient& patient) {
    return {{"secrets.strength", judge_strength(patient.config())},
            {"secrets.files", judge_files(secret_files(patient))},
            {"secrets.environment", judge_environment(patient)}};
}

}  // namespace supd::app
