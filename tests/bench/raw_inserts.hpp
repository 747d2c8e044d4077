// How fast this PostgreSQL takes rows when nothing is asked of it but to keep them: prepared
// INSERT ... SELECT FROM unnest(binary arrays), pipelined by two connections of one thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace bench {

struct InsertPlan {
    std::string url;
    int connections = 2;
    int rows = 50;       // per transaction (one statement, one commit)
    bool keyed = false;  // with (chat_id, seq) as primary key and a unique index on id
    double seconds = 5;
    std::size_t text_bytes = 200;
};

// {"rows_per_s", "commits_per_s", "p50_ms", "p99_ms"}
nlohmann::json measure_inserts(const InsertPlan& plan);

// The same with rows that are due by a Poisson process: a connection that is free takes all that are due,
// `plan.rows` is not looked at. The latency counts from the due time to the commit. {"rows_per_s", "p50_ms",
// "p99_ms"}
nlohmann::json measure_paced_inserts(const InsertPlan& plan, double per_second);

}  // namespace bench
