#include "app/doctor_database.hpp"
#include "app/doctor_files.hpp"
#include "app/doctor_host.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace supd::app {
namespace {

DatabaseFacts healthy() {
    DatabaseFacts facts;
    facts.version_num = 160'004;
    facts.version = "16.4";
    facts.fsync = facts.synchronous_commit = facts.full_page_writes = "on";
    facts.data_checksums = facts.autovacuum = "on";
    facts.encoding = "UTF8";
    facts.role = "supd";
    facts.may_create = true;
    facts.sees_all = true;
    facts.tables = 17;
    facts.connections_max = 97;
    facts.backups_known = true;
    facts.backup_age_s = 3600;
    facts.proof_age_s = 86'400;
    return facts;
}

Verdict verdict_of(const char* name, const DatabaseFacts& facts, const Config& config = {}) {
    const auto checks = database_checks();
    const auto found = std::ranges::find(checks, std::string_view(name),
                                         [](const DatabaseCheck& one) { return std::string_view(one.name); });
    EXPECT_NE(found, checks.end()) << name;
    return found->judge(facts, config).verdict;
}

TEST(DoctorDatabase, AHealthyOneHasNoFinding) {
    for (const auto& check : database_checks())
        EXPECT_EQ(check.judge(healthy(), {}).verdict, Verdict::ok) << check.name;
}

struct Fault {
    const char* check;
    void (*plant)(DatabaseFacts&);
    Verdict expected;
};

class DoctorDatabaseFault : public testing::TestWithParam<Fault> {};

TEST_P(DoctorDatabaseFault, IsFoundByItsCheckAlone) {
    auto facts = healthy();
    GetParam().plant(facts);
    for (const auto& check : database_checks()) {
        const auto judgement = check.judge(facts, {});
        if (std::string_view(check.name) != GetParam().check) {
            EXPECT_LE(judgement.verdict, Verdict::skipped) << check.name << ": " << judgement.found;
            continue;
        }
        EXPECT_EQ(judgement.verdict, GetParam().expected) << judgement.found;
        EXPECT_FALSE(judgement.mend.empty());
    }
}

using Facts = DatabaseFacts;
INSTANTIATE_TEST_SUITE_P(
    All, DoctorDatabaseFault,
    testing::Values(
        Fault{"database.version", [](Facts& f) { f.version_num = 140'019; }, Verdict::failed},
        Fault{"database.writable", [](Facts& f) { f.standby = true; }, Verdict::failed},
        Fault{"database.writable", [](Facts& f) { f.read_only = true; }, Verdict::failed},
        Fault{"database.fsync", [](Facts& f) { f.fsync = "off"; }, Verdict::failed},
        Fault{"database.full_page_writes", [](Facts& f) { f.full_page_writes = "off"; }, Verdict::failed},
        Fault{"database.synchronous_commit", [](Facts& f) { f.synchronous_commit = "off"; }, Verdict::failed},
        Fault{"database.synchronous_commit", [](Facts& f) { f.synchronous_commit = "local"; },
              Verdict::warning},
        Fault{"database.encoding", [](Facts& f) { f.encoding = "SQL_ASCII"; }, Verdict::failed},
        Fault{"database.checksums", [](Facts& f) { f.data_checksums = "off"; }, Verdict::warning},
        Fault{"database.autovacuum", [](Facts& f) { f.autovacuum = "off"; }, Verdict::failed},
        Fault{"database.role", [](Facts& f) { f.superuser = true; }, Verdict::failed},
        Fault{"database.role", [](Facts& f) { f.bypasses_rls = true; }, Verdict::warning},
        Fault{"database.privileges", [](Facts& f) { f.may_create = false; }, Verdict::failed},
        Fault{"database.privileges", [](Facts& f) { f.tables_out_of_reach = 1; }, Verdict::failed},
        Fault{"database.connections", [](Facts& f) { f.connections = 90; }, Verdict::warning},
        Fault{"database.connections", [](Facts& f) { f.connections_max = 5; }, Verdict::failed},
        Fault{"database.age_of_w", [](Facts& f) { f.w_age_s = 20; }, Verdict::warning},
        Fault{"database.age_of_w", [](Facts& f) { f.w_age_s = 61; }, Verdict::failed},
        Fault{"database.age_of_w", [](Facts& f) { f.prepared = 1; }, Verdict::failed},
        Fault{"database.long_transactions", [](Facts& f) { f.longest_s = 3600; }, Verdict::warning},
        Fault{"database.standbys", [](Facts& f) { f.synchronous_standbys = "*"; }, Verdict::failed},
        Fault{"database.standbys", [](Facts& f) { f.standbys = 2; }, Verdict::warning},
        Fault{"database.standbys", [](Facts& f) { f.idle_slot_bytes = 2LL << 30; }, Verdict::warning},
        Fault{"clock.database", [](Facts& f) { f.clock_ahead_s = -2; }, Verdict::warning},
        Fault{"clock.database", [](Facts& f) { f.clock_ahead_s = 45; }, Verdict::failed},
        Fault{"backup.age", [](Facts& f) { f.backup_age_s = 30 * 3600.0; }, Verdict::warning},
        Fault{"backup.age", [](Facts& f) { f.backup_age_s = 80 * 3600.0; }, Verdict::failed},
        Fault{"backup.age", [](Facts& f) { f.backup_age_s = std::nullopt; }, Verdict::warning},
        Fault{"backup.proof", [](Facts& f) { f.proof_age_s = std::nullopt; }, Verdict::warning},
        Fault{"backup.proof", [](Facts& f) { f.proof_age_s = 9 * 86'400.0; }, Verdict::warning}));

TEST(DoctorDatabase, WhatDoesNotApplyIsSkipped) {
    auto facts = healthy();
    facts.embedded = true;
    facts.superuser = true;
    facts.backups_known = false;
    facts.sees_all = false;
    EXPECT_EQ(verdict_of("database.standbys", facts), Verdict::skipped);
    EXPECT_EQ(verdict_of("database.role", facts), Verdict::skipped);
    EXPECT_EQ(verdict_of("backup.age", facts), Verdict::skipped);
    EXPECT_EQ(verdict_of("backup.proof", facts), Verdict::skipped);
}

TEST(DoctorFiles, ASecretIsClosedToOthers) {
    const auto judged = [](unsigned mode) { return judge_secret_file({"/etc/x", false, mode, 0}).verdict; };
    EXPECT_EQ(judged(0600), Verdict::ok);
    EXPECT_EQ(judged(0640), Verdict::ok);
    EXPECT_EQ(judged(0660), Verdict::warning);
    EXPECT_EQ(judged(0604), Verdict::failed);
    EXPECT_EQ(judged(0644), Verdict::failed);
}

TEST(DoctorFiles, TheDataFolderIsItsOwners) {
    const auto judged = [](bool folder, unsigned mode, uid_t owner, uid_t user) {
        return judge_data_folder({"/var/lib/x", folder, mode, owner}, user).verdict;
    };
    EXPECT_EQ(judged(true, 0700, 990, 990), Verdict::ok);
    EXPECT_EQ(judged(true, 0755, 990, 990), Verdict::ok);
    EXPECT_EQ(judged(true, 0700, 990, 0), Verdict::ok);
    EXPECT_EQ(judged(true, 0775, 990, 990), Verdict::failed);
    EXPECT_EQ(judged(true, 0700, 0, 990), Verdict::failed);
    EXPECT_EQ(judged(false, 0700, 990, 990), Verdict::failed);
}

TEST(DoctorHost, Disk) {
    const auto judged = [](double total_gib, double free_gib, double nodes = 0, double free_nodes = 0) {
        return judge_disk({total_gib * (1 << 30), free_gib * (1 << 30), nodes, free_nodes}).verdict;
    };
    EXPECT_EQ(judged(100, 40), Verdict::ok);
    EXPECT_EQ(judged(100, 14), Verdict::warning);
    EXPECT_EQ(judged(100, 4), Verdict::failed);
    EXPECT_EQ(judged(4, 0.9), Verdict::failed);
    EXPECT_EQ(judged(10'000, 60), Verdict::ok) << "one in two hundred, but much";
    EXPECT_EQ(judged(100, 40, 1e6, 100), Verdict::failed);
}

TEST(DoctorHost, Descriptors) {
    Config config;
    config.server.max_connections = 10'000;
    EXPECT_EQ(judge_descriptors(20'000, true, config).verdict, Verdict::ok);
    EXPECT_EQ(judge_descriptors(4096, true, config).verdict, Verdict::warning);
    EXPECT_EQ(judge_descriptors(256, false, config).verdict, Verdict::failed);
}

TEST(DoctorHost, Ports) {
    EXPECT_EQ(judge_port(PortState::supd, 3000).verdict, Verdict::ok);
    EXPECT_EQ(judge_port(PortState::free, 3000).verdict, Verdict::ok);
    EXPECT_EQ(judge_port(PortState::taken, 3000).verdict, Verdict::failed);
    EXPECT_EQ(judge_port(PortState::forbidden, 443).verdict, Verdict::failed);
}

TEST(DoctorHost, MetricsAreReadByTheirWholeName) {
    const std::string text = "# HELP process_max_fds x\nprocess_max_fds_total 9\nprocess_max_fds 1024\n";
    EXPECT_EQ(metric_value(text, "process_max_fds"), 1024);
    EXPECT_EQ(metric_value(text, "process"), std::nullopt);
    EXPECT_EQ(metric_value("", "x"), std::nullopt);
}

TEST(DoctorWords, Bytes) {
    EXPECT_EQ(human_bytes(512), "512 B");
    EXPECT_EQ(human_bytes(1536), "1.5 KiB");
    EXPECT_EQ(human_bytes(3.0 * (1LL << 40)), "3.0 TiB");
}

}  // namespace
}  // namespace supd::app
