// `supd doctor db`: what is slow, large, dead or in the way in the database.
#pragma once

#include "config.hpp"

#include <supd/db/transaction.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace supd::app {

struct ReportOptions {
    int top = 10;  ///< rows of each list
    bool json = false;
};

struct DatabaseReport {
    struct Slow {
        std::int64_t calls = 0;
        double total_ms = 0, mean_ms = 0, max_ms = 0;
        std::int64_t rows = 0;
        std::optional<double> hit_share;  ///< of its pages; none: it read none
        std::string statement;            ///< normalised by PostgreSQL: $1 stands where values were
    };
    struct Table {
        std::string name;
        std::int64_t bytes = 0, index_bytes = 0, live = 0, dead = 0;
        std::string vacuumed;  ///< RFC 3339; empty = never
    };
    struct Index {
        std::string name, table;
        std::int64_t bytes = 0;
    };
    struct Holder {
        std::string kind, who;
        std::int64_t transactions = 0;  ///< how many have begun since
    };
    bool statements_counted = false;
    std::string why_not;  ///< and the mend
    std::vector<Slow> slow;
    std::vector<Table> tables;
    std::vector<Index> unused;
    std::optional<double> hit_share;
    std::int64_t bytes = 0;
    std::string counted_since;
    std::optional<Holder> holder;
};

/// `tx`: read only.
DatabaseReport read_database_report(db::Transaction& tx, int top);

/// Prints; exit code 0. Throws like every command when the database is away.
int report_database(const Config& config, const ReportOptions& options);

}  // namespace supd::app
