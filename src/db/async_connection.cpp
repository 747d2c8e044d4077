#include "connection.hpp"

#include <supd/db/async_connection.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <libpq-fe.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <unordered_set>

namespace supd::db {
namespace {

constexpr std::chrono::seconds kConnectTimeout{3};
// A statement that neither ends nor fails: PostgreSQL's own statement_timeout comes first, this is for a dead
// host.
constexpr std::chrono::seconds kAnswerGrace{5};
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

std::int64_t read_integer(const char* data, int size) {
    if (size == 8) {
        std::uint64_t value;
        std::memcpy(&value, data, 8);
        return static_cast<std::int64_t>(__builtin_bswap64(value));
    }
    std::uint32_t value;
    std::memcpy(&value, data, 4);
    return static_cast<std::int32_t>(__builtin_bswap32(value));
}

}  // namespace

std::uint32_t network_order(std::int32_t value) noexcept {
    return __builtin_bswap32(static_cast<std::uint32_t>(value));
}

std::uint64_t network_order(std::int64_t value) noexcept {
    return __builtin_bswap64(static_cast<std::uint64_t>(value));
}

void ArrayParam::put32(std::uint32_t value) {
    const auto big = network_order(static_cast<std::int32_t>(value));
    bytes_.append(reinterpret_cast<const char*>(&big), 4);
}

void ArrayParam::clear() {
    count_ = 0;
    bytes_.clear();
    put32(1);                                  // dimensions
    put32(1);                                  // may hold nulls
    put32(static_cast<std::uint32_t>(type_));  // element type
    put32(0);                                  // elements, kept up to date
    put32(1);                                  // lower bound
}

void ArrayParam::begin_element(std::int32_t size) {
    const auto count = network_order(static_cast<std::int32_t>(++count_));
    std::memcpy(bytes_.data() + 12, &count, 4);
    put32(static_cast<std::uint32_t>(size));
}

void ArrayParam::add(std::string_view bytes) {
    begin_element(static_cast<std::int32_t>(bytes.size()));
    bytes_ += bytes;
}

void ArrayParam::add_int8(std::int64_t value) {
    begin_element(8);
    const auto big = network_order(value);
    bytes_.append(reinterpret_cast<const char*>(&big), 8);
}

void ArrayParam::add_int4(std::int32_t value) {
    begin_element(4);
    put32(static_cast<std::uint32_t>(value));
}

void ArrayParam::add_null() {
    begin_element(-1);
}

std::uint32_t ArrayParam::array_oid() const noexcept {
    switch (type_) {
        case Type::bytea:
            return 1001;
        case Type::int8:
            return 1016;
        case Type::int4:
            return 1007;
        case Type::text:
            return 1009;
        case Type::uuid:
            return 2951;
    }
    return 0;
}

struct AsyncConnection::Impl {
    asio::io_context& context;
    std::string conninfo;
    std::chrono::milliseconds statement_timeout;
    PGconn* link = nullptr;
    // Wraps libpq's own descriptor: released, never closed, before PQfinish.
    std::optional<asio::posix::stream_descriptor> descriptor;
    std::unordered_set<std::string> prepared;
    asio::steady_timer watchdog;

    explicit Impl(asio::io_context& ctx) : context(ctx), watchdog(ctx) {}

    void close() noexcept {
        watchdog.cancel();
        if (descriptor) {
            if (descriptor->is_open()) descriptor->release();
            descriptor.reset();
        }
        if (link) PQfinish(link);
        link = nullptr;
        prepared.clear();
    }

    void adopt_socket() {
        // Each time: going on to the next address, libpq closes its socket and may get the same number again,
        // which the reactor would not know.
        if (descriptor && descriptor->is_open()) descriptor->release();
        descriptor.emplace(context);
        descriptor->assign(PQsocket(link));
    }

    asio::awaitable<bool> ready(asio::posix::stream_descriptor::wait_type what) {
        auto [error] = co_await descriptor->async_wait(what, kTuple);
        co_return !error;
    }

    void guard(std::chrono::milliseconds limit) {
        watchdog.expires_after(limit);
        watchdog.async_wait([this](const boost::system::error_code& error) {
            if (!error && descriptor && descriptor->is_open()) descriptor->cancel();
        });
    }

    asio::awaitable<bool> flush() {
        for (;;) {
            const int left = PQflush(link);
            if (left == 0) co_return true;
            if (left < 0) co_return false;
            if (!co_await ready(asio::posix::stream_descriptor::wait_write)) co_return false;
        }
    }

    /// The last result of a query, after all were read; null when the connection broke.
    asio::awaitable<PGresult*> answer() {
        PGresult* last = nullptr;
        for (;;) {
            while (PQisBusy(link)) {
                const bool readable = co_await ready(asio::posix::stream_descriptor::wait_read);
                if (!readable || !PQconsumeInput(link)) {
                    PQclear(last);
                    co_return nullptr;
                }
            }
            PGresult* next = PQgetResult(link);
            if (!next) break;
            PQclear(last);
            last = next;
        }
        co_return last;
    }
};

AsyncConnection::AsyncConnection(asio::io_context& context, std::string url,
                                 std::chrono::milliseconds statement_timeout, std::string application_name)
    : impl_(std::make_unique<Impl>(context)) {
    impl_->conninfo =
        with_session_options(url, statement_timeout, application_name, std::string(" ") + kFixedPlans);
    impl_->statement_timeout = statement_timeout;
}

AsyncConnection::~AsyncConnection() {
    close();
}

bool AsyncConnection::is_open() const noexcept {
    return impl_->link && PQstatus(impl_->link) == CONNECTION_OK;
}

void AsyncConnection::close() noexcept {
    impl_->close();
}

asio::awaitable<bool> AsyncConnection::open() {
    close();
    impl_->link = PQconnectStart(impl_->conninfo.c_str());
    if (!impl_->link || PQstatus(impl_->link) == CONNECTION_BAD) {
        close();
        co_return false;
    }
    impl_->guard(kConnectTimeout);
    auto wanted = PGRES_POLLING_WRITING;
    for (;;) {
        impl_->adopt_socket();
        const auto what = wanted == PGRES_POLLING_READING ? asio::posix::stream_descriptor::wait_read
                                                          : asio::posix::stream_descriptor::wait_write;
        if (!co_await impl_->ready(what)) {
            close();
            co_return false;
        }
        wanted = PQconnectPoll(impl_->link);
        if (wanted == PGRES_POLLING_OK) break;
        if (wanted == PGRES_POLLING_FAILED) {
            close();
            co_return false;
        }
    }
    impl_->watchdog.cancel();
    impl_->adopt_socket();
    PQsetnonblocking(impl_->link, 1);
    co_return true;
}

asio::awaitable<AsyncResult> AsyncConnection::exec(const Statement& statement,
                                                   std::span<const Param> params) {
    AsyncResult out;
    if (!is_open()) co_return out;
    impl_->guard(impl_->statement_timeout + kAnswerGrace);
    const auto fail = [this] { impl_->close(); };

    if (!impl_->prepared.contains(statement.name)) {
        std::vector<Oid> types;
        for (const auto& param : params)
            types.push_back(param.type_oid);
        const int sent = PQsendPrepare(impl_->link, statement.name, statement.sql,
                                       static_cast<int>(types.size()), types.data());
        if (!sent || !co_await impl_->flush()) {
            fail();
            co_return out;
        }
        PGresult* result = co_await impl_->answer();
        if (!result) {
            fail();
            co_return out;
        }
        const bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!ok) {
            const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
            out.state = AsyncResult::State::refused;
            out.sqlstate = state ? state : "";
        }
        PQclear(result);
        if (!ok) co_return out;
        impl_->prepared.insert(statement.name);
    }

    std::vector<const char*> values;
    std::vector<int> lengths, formats;
    for (const auto& param : params) {
        // To libpq a null pointer is NULL, which an empty view's may be.
        values.push_back(param.null ? nullptr : param.bytes.empty() ? "" : param.bytes.data());
        lengths.push_back(static_cast<int>(param.bytes.size()));
        formats.push_back(1);
    }
    const int sent = PQsendQueryPrepared(impl_->link, statement.name, static_cast<int>(params.size()),
                                         values.data(), lengths.data(), formats.data(), 1);
    if (!sent || !co_await impl_->flush()) {
        fail();
        co_return out;
    }
    PGresult* result = co_await impl_->answer();
    if (!result) {
        fail();
        co_return out;
    }
    impl_->watchdog.cancel();
    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        out.state = AsyncResult::State::ok;
        out.rows = static_cast<std::size_t>(PQntuples(result));
        out.columns = static_cast<std::size_t>(PQnfields(result));
        out.values.reserve(out.rows * out.columns);
        for (int row = 0; row < PQntuples(result); ++row)
            for (int column = 0; column < PQnfields(result); ++column)
                out.values.push_back(
                    PQgetisnull(result, row, column)
                        ? AsyncResult::kNull
                        : read_integer(PQgetvalue(result, row, column), PQgetlength(result, row, column)));
    } else {
        const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        out.sqlstate = state ? state : "";
        // No SQLSTATE is libpq's own report of a broken connection; class 57P is the server going down; a
        // read-only one (25006) was demoted: whoever may write is found by connecting again.
        const bool lost = !state || out.sqlstate.starts_with("57P") || out.sqlstate == "25006";
        out.state = lost ? AsyncResult::State::lost : AsyncResult::State::refused;
    }
    PQclear(result);
    if (out.state == AsyncResult::State::lost) fail();
    co_return out;
}

}  // namespace supd::db
