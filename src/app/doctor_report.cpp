#include "doctor_report.hpp"

#include "cli.hpp"
#include "database_access.hpp"
#include "doctor.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <iostream>

namespace supd::app {
namespace {

constexpr double kFewHits = 0.95;
constexpr double kManyDead = 0.2;           // of a table's rows
constexpr std::int64_t kSomeDead = 10'000;  // fewer are nobody's trouble
constexpr std::int64_t kFarBehind = 1'000'000;

std::string size(std::int64_t bytes) {
    return human_bytes(static_cast<double>(bytes));
}

std::string share(const std::optional<double>& value) {
    return value ? fmt::format("{:.1f} %", *value * 100) : "-";
}

bool bloated(const DatabaseReport::Table& table) {
    return table.dead >= kSomeDead &&
           static_cast<double>(table.dead) > kManyDead * static_cast<double>(table.live + table.dead);
}

void print_slow(const DatabaseReport& report) {
    std::cout << "\nStatements by total time\n";
    if (!report.statements_counted) {
        std::cout << "  not counted here\n  -> " << report.why_not << "\n";
        return;
    }
    std::cout << fmt::format("  {:>10} {:>12} {:>10} {:>10} {:>10} {:>8}  statement\n", "calls", "total ms",
                             "mean ms", "max ms", "rows", "cached");
    for (const auto& one : report.slow)
        std::cout << fmt::format("  {:>10} {:>12.1f} {:>10.3f} {:>10.1f} {:>10} {:>8}  {}\n", one.calls,
                                 one.total_ms, one.mean_ms, one.max_ms, one.rows, share(one.hit_share),
                                 one.statement);
}

void print_tables(const DatabaseReport& report) {
    std::cout << "\nTables by size\n";
    std::cout << fmt::format("  {:<28} {:>10} {:>10} {:>12} {:>12}  last vacuum\n", "table", "rows' size",
                             "indexes", "live rows", "dead rows");
    for (const auto& one : report.tables) {
        std::cout << fmt::format("  {:<28} {:>10} {:>10} {:>12} {:>12}  {}\n", one.name, size(one.bytes),
                                 size(one.index_bytes), one.live, one.dead,
                                 one.vacuumed.empty() ? "never" : one.vacuumed);
        if (bloated(one))
            std::cout << "  -> VACUUM " << one.name << "; and see below what holds dead rows back\n";
    }
    std::cout << "\nIndexes that no statement has used since the counters began\n";
    for (const auto& one : report.unused)
        std::cout << fmt::format("  {:<40} on {:<24} {:>10}\n", one.name, one.table, size(one.bytes));
    if (report.unused.empty()) std::cout << "  none\n";
}

void print_text(const DatabaseReport& report) {
    std::cout << "Database: " << size(report.bytes) << ", pages found in cache: " << share(report.hit_share);
    if (!report.counted_since.empty()) std::cout << ", counted since " << report.counted_since;
    std::cout << "\n";
    if (report.hit_share && *report.hit_share < kFewHits)
        std::cout << "-> raise shared_buffers (a quarter of the memory), or give the machine more memory\n";
    std::cout << "Oldest xmin: ";
    if (report.holder) {
        std::cout << report.holder->kind << " " << report.holder->who << ", " << report.holder->transactions
                  << " transactions ago\n";
        if (report.holder->transactions > kFarBehind)
            std::cout << "-> end it: dead rows of all tables stay until it is gone\n";
    } else {
        std::cout << "nobody holds one\n";
    }
    print_slow(report);
    print_tables(report);
}

void print_json(const DatabaseReport& report) {
    using Json = nlohmann::ordered_json;
    const auto number = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
    Json out;
    out["bytes"] = report.bytes;
    out["cache_hit_share"] = number(report.hit_share);
    out["counted_since"] = report.counted_since;
    out["oldest_xmin"] = nullptr;
    if (report.holder)
        out["oldest_xmin"] = Json{{"kind", report.holder->kind},
                                  {"who", report.holder->who},
                                  {"transactions", report.holder->transactions}};
    out["statements_counted"] = report.statements_counted;
    out["mend"] = report.why_not;
    out["statements"] = Json::array();
    for (const auto& one : report.slow)
        out["statements"].push_back({{"calls", one.calls},
                                     {"total_ms", one.total_ms},
                                     {"mean_ms", one.mean_ms},
                                     {"max_ms", one.max_ms},
                                     {"rows", one.rows},
                                     {"cache_hit_share", number(one.hit_share)},
                                     {"statement", one.statement}});
    out["tables"] = Json::array();
    for (const auto& one : report.tables)
        out["tables"].push_back({{"name", one.name},
                                 {"bytes", one.bytes},
                                 {"index_bytes", one.index_bytes},
                                 {"live_rows", one.live},
                                 {"dead_rows", one.dead},
                                 {"vacuumed_at", one.vacuumed},
                                 {"bloated", bloated(one)}});
    out["unused_indexes"] = Json::array();
    for (const auto& one : report.unused)
        out["unused_indexes"].push_back({{"name", one.name}, {"table", one.table}, {"bytes", one.bytes}});
    std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

}  // namespace

int report_database(const Config& config, const ReportOptions& options) {
    const auto access = DatabaseAccess::for_command(config);
    const auto report = access.connect(config)->transact(
        db::Access::read_only, [&](db::Transaction& tx) { return read_database_report(tx, options.top); });
    options.json ? print_json(report) : print_text(report);
    return kExitOk;
}

}  // namespace supd::app
