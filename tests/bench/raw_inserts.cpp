#include "raw_inserts.hpp"

#include "histogram.hpp"
#include "report.hpp"
#include "traffic.hpp"
#include "ws_load.hpp"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

namespace bench {
namespace {

constexpr Oid kUuid = 2950;
constexpr Oid kInt8 = 20;
constexpr Oid kText = 25;
constexpr Oid kUuidArray = 2951;
constexpr Oid kInt8Array = 1016;
constexpr Oid kTextArray = 1009;
constexpr int kChats = 500;

// A one-dimensional array in PostgreSQL's binary format (array_send): fixed header, then length + bytes.
class BinaryArray {
public:
    BinaryArray(Oid element, int rows) {
        for (const std::uint32_t word : {1U, 0U, element, static_cast<std::uint32_t>(rows), 1U})
            put(word);
    }
    void add(const void* bytes, std::size_t size) {
        put(static_cast<std::uint32_t>(size));
        data_.append(static_cast<const char*>(bytes), size);
    }
    void add_number(std::uint64_t v) {
        std::array<char, 8> big{};
        for (unsigned i = 0; i < 8; ++i)
            big[i] = static_cast<char>(v >> (56U - 8 * i));
        add(big.data(), big.size());
    }
    void add_uuid(std::uint64_t high, std::uint64_t low) {
        std::array<std::uint64_t, 2> raw{high, low};
        add(raw.data(), sizeof raw);
    }
    const std::string& bytes() const { return data_; }

private:
    void put(std::uint32_t v) {
        const std::uint32_t big = htonl(v);
        data_.append(reinterpret_cast<const char*>(&big), 4);
    }
    std::string data_;
};

struct Closer {
    void operator()(PGconn* c) const { PQfinish(c); }
    void operator()(PGresult* r) const { PQclear(r); }
};

class Writer {
public:
    Writer(const InsertPlan& plan, int shard) : shard_(shard), texts_(plan.text_bytes) {
        connection_.reset(PQconnectdb(plan.url.c_str()));
        if (PQstatus(connection_.get()) != CONNECTION_OK)
            throw std::runtime_error(PQerrorMessage(connection_.get()));
        const std::array<Oid, 5> types{kUuidArray, kInt8Array, kUuidArray, kUuidArray, kTextArray};
        check(PQprepare(connection_.get(), "append",
                        "INSERT INTO raw (chat_id, seq, id, sender_id, body) "
                        "SELECT * FROM unnest($1, $2, $3, $4, $5)",
                        static_cast<int>(types.size()), types.data()));
    }
    int fd() const { return PQsocket(connection_.get()); }

    void start(int rows) {
        BinaryArray chats(kUuid, rows), seqs(kInt8, rows), ids(kUuid, rows), senders(kUuid, rows),
            bodies(kText, rows);
        std::string body(texts_.length(), ' ');
        for (int i = 0; i < rows; ++i) {
            const std::uint64_t n = next_++;
            const std::uint64_t chat = n % kChats * 2 + static_cast<std::uint64_t>(shard_);
            chats.add_uuid(mix(chat), mix(chat + 1));
            seqs.add_number(n / kChats);
            ids.add_uuid(mix(n * 2 + static_cast<std::uint64_t>(shard_)), mix(~n));
            senders.add_uuid(mix(chat), mix(chat + 2));
            texts_.put(body.data(), chat & 0xffffU, n);
            bodies.add(body.data(), body.size());
        }
        std::array<const char*, 5> values{};
        std::array<int, 5> sizes{};
        std::array<int, 5> formats{1, 1, 1, 1, 1};
        std::size_t at = 0;
        for (const BinaryArray* array : {&chats, &seqs, &ids, &senders, &bodies}) {
            values[at] = array->bytes().data();
            sizes[at++] = static_cast<int>(array->bytes().size());
        }
        started_ns_ = now_ns();
        if (PQsendQueryPrepared(connection_.get(), "append", 5, values.data(), sizes.data(), formats.data(),
                                1) != 1)
            throw std::runtime_error(PQerrorMessage(connection_.get()));
        PQflush(connection_.get());
    }

    // True when the commit has been reported.
    bool take() {
        if (PQconsumeInput(connection_.get()) != 1)
            throw std::runtime_error(PQerrorMessage(connection_.get()));
        while (PQisBusy(connection_.get()) == 0) {
            PGresult* result = PQgetResult(connection_.get());
            if (result == nullptr) return true;
            check(result);
        }
        return false;
    }

    void check(PGresult* raw) {
        const std::unique_ptr<PGresult, Closer> result(raw);
        if (PQresultStatus(raw) != PGRES_COMMAND_OK && PQresultStatus(raw) != PGRES_TUPLES_OK)
            throw std::runtime_error(PQresultErrorMessage(raw));
    }

    void command(const char* sql) { check(PQexec(connection_.get(), sql)); }
    std::uint64_t rows() const { return next_; }
    std::int64_t started_ns() const { return started_ns_; }

private:
    int shard_;
    Texts texts_;
    std::unique_ptr<PGconn, Closer> connection_;
    std::uint64_t next_ = 0;
    std::int64_t started_ns_ = 0;
};

void make_table(const InsertPlan& plan) {
    const std::unique_ptr<PGconn, Closer> connection(PQconnectdb(plan.url.c_str()));
    std::string sql =
        "DROP TABLE IF EXISTS raw; CREATE TABLE raw (chat_id uuid NOT NULL, seq bigint NOT NULL, id uuid NOT "
        "NULL, "
        "sender_id uuid NOT NULL, body text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()";
    sql += plan.keyed ? ", PRIMARY KEY (chat_id, seq), UNIQUE (id))" : ")";
    const std::unique_ptr<PGresult, Closer> result(PQexec(connection.get(), sql.c_str()));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
        throw std::runtime_error(PQresultErrorMessage(result.get()));
}

std::vector<std::unique_ptr<Writer>> make_writers(const InsertPlan& plan) {
    make_table(plan);
    std::vector<std::unique_ptr<Writer>> writers;
    for (int i = 0; i < plan.connections; ++i)
        writers.push_back(std::make_unique<Writer>(plan, i));
    return writers;
}

std::vector<pollfd> waits_of(const std::vector<std::unique_ptr<Writer>>& writers) {
    std::vector<pollfd> waits;
    for (const auto& writer : writers)
        waits.push_back({writer->fd(), POLLIN, 0});
    return waits;
}

}  // namespace

nlohmann::json measure_paced_inserts(const InsertPlan& plan, double per_second) {
    wake_on_time();
    const auto writers = make_writers(plan);
    auto waits = waits_of(writers);
    std::vector<std::vector<std::int64_t>> under_way(writers.size());  // when its rows were due
    std::vector<std::int64_t> due;
    std::mt19937_64 random(1);
    std::exponential_distribution<double> gap(per_second / 1e9);
    Histogram latency;
    const std::int64_t warm = now_ns() + 500'000'000;
    const std::int64_t end = warm + static_cast<std::int64_t>(plan.seconds * 1e9);
    std::int64_t next = now_ns();
    for (std::int64_t now = next; now < end; now = now_ns()) {
        for (; next <= now; next += static_cast<std::int64_t>(gap(random)))
            due.push_back(next);
        for (std::size_t i = 0; i < writers.size() && !due.empty(); ++i)
            if (under_way[i].empty()) {
                writers[i]->start(static_cast<int>(due.size()));
                under_way[i].swap(due);
            }
        const timespec patience{0,
                                static_cast<long>(std::clamp<std::int64_t>(next - now_ns(), 0, 999'999'999))};
        ::ppoll(waits.data(), waits.size(), &patience, nullptr);
        for (std::size_t i = 0; i < writers.size(); ++i) {
            if (under_way[i].empty() || !writers[i]->take()) continue;
            for (const auto since : under_way[i])
                if (since >= warm) latency.add(now_ns() - since);
            under_way[i].clear();
        }
    }
    return {{"rows_per_s", rounded(static_cast<double>(latency.count()) / plan.seconds, 0)},
            {"p50_ms", rounded(latency.quantile_ms(0.5))},
            {"p99_ms", rounded(latency.quantile_ms(0.99))}};
}

nlohmann::json measure_inserts(const InsertPlan& plan) {
    const auto writers = make_writers(plan);
    auto waits = waits_of(writers);
    Histogram latency;
    std::uint64_t before = 0;
    const std::int64_t warm = now_ns() + 500'000'000;
    std::int64_t start = 0;
    std::int64_t end = warm + static_cast<std::int64_t>(plan.seconds * 1e9);
    for (auto& writer : writers)
        writer->start(plan.rows);
    for (std::int64_t now = now_ns(); now < end; now = now_ns()) {
        if (start == 0 && now >= warm) {
            start = now;
            latency.clear();
            for (const auto& writer : writers)
                before += writer->rows();
        }
        ::poll(waits.data(), waits.size(), 1000);
        for (auto& writer : writers) {
            if (!writer->take()) continue;
            latency.add(now_ns() - writer->started_ns());
            writer->start(plan.rows);
        }
    }
    std::uint64_t after = 0;
    const double seconds = static_cast<double>(now_ns() - start) / 1e9;
    for (const auto& writer : writers)
        after += writer->rows();
    return {{"rows_per_s", rounded(static_cast<double>(after - before) / seconds, 0)},
            {"commits_per_s", rounded(static_cast<double>(latency.count()) / seconds, 0)},
            {"p50_ms", rounded(latency.quantile_ms(0.5))},
            {"p99_ms", rounded(latency.quantile_ms(0.99))}};
}

}  // namespace bench
