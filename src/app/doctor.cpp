#include "doctor.hpp"

#include "cli.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

namespace supd::app {
namespace {

Findings examine_mail(const Patient&) {
    return {{"mail.smtp", not_looked_at("this server sends no mail")}};
}

constexpr std::array kGroups = {&examine_secrets, &examine_host,  &examine_database,
                                &examine_redis,   &examine_proxy, &examine_mail};

const char* word(Verdict verdict) {
    switch (verdict) {
        case Verdict::ok:
            return "ok";
        case Verdict::skipped:
            return "skip";
        case Verdict::warning:
            return "warn";
        case Verdict::failed:
            return "fail";
    }
    return "";
}

std::ptrdiff_t count(const Findings& findings, Verdict verdict) {
    return std::ranges::count(findings, verdict,
                              [](const Finding& finding) { return finding.judgement.verdict; });
}

Verdict worst(const Findings& findings) {
    for (const auto verdict : {Verdict::failed, Verdict::warning})
        if (count(findings, verdict) > 0) return verdict;
    return Verdict::ok;
}

void print_text(const Findings& findings) {
    for (const auto& [check, judgement] : findings) {
        std::cout << word(judgement.verdict) << "\t" << check << "\t" << judgement.found << "\n";
        if (!judgement.mend.empty()) std::cout << "\t-> " << judgement.mend << "\n";
    }
    std::cout << findings.size() << " checks: " << count(findings, Verdict::ok) << " ok, "
              << count(findings, Verdict::warning) << " warnings, " << count(findings, Verdict::failed)
              << " failed, " << count(findings, Verdict::skipped) << " skipped\n";
}

void print_json(const Findings& findings) {
    nlohmann::ordered_json out;
    out["verdict"] = word(worst(findings));
    out["checks"] = nlohmann::ordered_json::array();
    for (const auto& [check, judgement] : findings) {
        nlohmann::ordered_json one;
        one["check"] = check;
        one["verdict"] = word(judgement.verdict);
        one["found"] = judgement.found;
        one["mend"] = judgement.mend;
        out["checks"].push_back(std::move(one));
    }
    std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

Findings examine(const std::function<LoadedConfig()>& load, const DoctorOptions& options) {
    Findings all;
    try {
        const auto loaded = load();
        all.push_back({"config", all_well("in order, " + loaded.config.mode + " mode")});
        const Patient patient{loaded, options, process_environment()};
        for (const auto& group : kGroups)
            std::ranges::move(group(patient), std::back_inserter(all));
    } catch (const ConfigError& error) {
        // The rest would look at defaults instead of what is meant.
        for (const auto& fault : error.faults())
            all.push_back({"config", fails(fault, "change the key; `supd config example` explains each")});
    }
    return all;
}

}  // namespace

int run_doctor(const std::function<LoadedConfig()>& load, const DoctorOptions& options) {
    const auto findings = examine(load, options);
    options.json ? print_json(findings) : print_text(findings);
    return worst(findings) == Verdict::failed ? kExitFailed : kExitOk;
}

std::string human_bytes(double bytes) {
    constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit)
        bytes /= 1024;
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
    return text.data();
}

}  // namespace supd::app
