// One PostgreSQL connection driven by an io thread without blocking it: the hot path's way into the database.
// One statement at a time, binary parameters, binary results; a statement outside a transaction block
// is its own transaction, so its answer comes after COMMIT. Not thread-safe: everything on the context's
// thread.
#pragma once

#include <supd/db/transaction.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace supd::db {

namespace asio = boost::asio;

/// Element types and scalars, by their OIDs in PostgreSQL's catalog.
enum class ParamType : std::uint32_t { bytea = 17, int8 = 20, int4 = 23, text = 25, uuid = 2950 };

/// A parameter in PostgreSQL's binary format. The bytes are the caller's.
struct Param {
    std::uint32_t type_oid = 0;
    std::string_view bytes;
    bool null = false;

    /// text, bytea, uuid (16 bytes) and numbers in network order.
    static Param of(ParamType type, std::string_view bytes) {
        return {static_cast<std::uint32_t>(type), bytes, false};
    }
    static Param of(const base::Uuid& id) {
        return of(ParamType::uuid, {reinterpret_cast<const char*>(id.data()), id.size()});
    }
    static Param null_of(ParamType type) { return {static_cast<std::uint32_t>(type), {}, true}; }
};

/// Numbers in network order, as Param takes them.
std::uint32_t network_order(std::int32_t value) noexcept;
std::uint64_t network_order(std::int64_t value) noexcept;

/// A one-dimensional array in PostgreSQL's binary format.
class ArrayParam {
public:
    using Type = ParamType;

    explicit ArrayParam(Type type) : type_(type) { clear(); }
    void clear();
    void add(std::string_view bytes);  ///< text, bytea, uuid (16 bytes)
    void add(const base::Uuid& id) {
        add(std::string_view(reinterpret_cast<const char*>(id.data()), id.size()));
    }
    void add_int8(std::int64_t value);
    void add_int4(std::int32_t value);
    void add_null();

    /// Valid until the next change.
    Param param() const noexcept { return {array_oid(), bytes_, false}; }

private:
    std::uint32_t array_oid() const noexcept;
    void begin_element(std::int32_t size);
    void put32(std::uint32_t value);

    Type type_;
    std::string bytes_;
    std::uint32_t count_ = 0;
};

struct AsyncResult {
    enum class State {
        ok,       ///< committed; rows are there
        refused,  ///< PostgreSQL said no: sqlstate; nothing was changed
        lost,     ///< the connection broke: whether it was committed is unknown
    };
    State state = State::lost;
    std::string sqlstate;
    std::size_t rows = 0;
    std::size_t columns = 0;
    /// Row-major integers (int4, int8); null = kNull. Only integer results are supported.
    std::vector<std::int64_t> values;
    static constexpr std::int64_t kNull = INT64_MIN;

    std::int64_t at(std::size_t row, std::size_t column) const { return values[row * columns + column]; }
};

/// Session options of these connections. Their few statements take arrays of any length and reach each table
/// by an index: one plan is right for every call. Left to choose, PostgreSQL plans anew each time, which for
/// a batch of one message is a fifth of its work, and with empty statistics it would scan tables that later
/// grow.
inline constexpr const char* kFixedPlans =
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c "
    "enable_mergejoin=off "
    "-c jit=off";

class AsyncConnection {
public:
    AsyncConnection(asio::io_context& context, std::string url, std::chrono::milliseconds statement_timeout,
                    std::string application_name);
    ~AsyncConnection();
    AsyncConnection(const AsyncConnection&) = delete;
    AsyncConnection& operator=(const AsyncConnection&) = delete;

    bool is_open() const noexcept;
    /// False when PostgreSQL cannot be reached now.
    asio::awaitable<bool> open();
    void close() noexcept;
    /// The parameters and their bytes must stay until it returns. Prepares the statement on first use.
    asio::awaitable<AsyncResult> exec(const Statement& statement, std::span<const Param> params);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace supd::db
