// SQL in our words: statements with a name, positional parameters, rows read by column index. A store
// function is synchronous, takes Transaction&, and runs on a `db` thread; nothing here may be used across
// threads.
#pragma once

#include <supd/base/ids.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pqxx {
class result;
class transaction_base;
}  // namespace pqxx

namespace supd::db {

class Connection;

/// A constant of a store: prepared once per connection under `name`, which also labels metrics and logs.
struct Statement {
    const char* name;
    const char* sql;
};

/// Positional parameters $1, $2 ... in text form.
class Params {
public:
    void add(std::string_view text) { values_.emplace_back(std::string(text)); }
    void add(const char* text) { values_.emplace_back(std::string(text)); }
    void add(const std::string& text) { values_.emplace_back(text); }
    void add(bool value) { values_.emplace_back(value ? "true" : "false"); }
    void add(std::int64_t value) { values_.emplace_back(std::to_string(value)); }
    void add(int value) { values_.emplace_back(std::to_string(value)); }
    void add(std::uint64_t value) { values_.emplace_back(std::to_string(value)); }
    void add(std::nullopt_t) { values_.emplace_back(std::nullopt); }
    template <class Tag>
    void add(const base::Id<Tag>& id) {
        values_.emplace_back(id.text());
    }
    template <class T>
    void add(const std::optional<T>& value) {
        if (value)
            add(*value);
        else
            values_.emplace_back(std::nullopt);
    }
    /// PostgreSQL array literals (uuid[], bigint[], text[]).
    template <class Tag>
    void add(const std::vector<base::Id<Tag>>& ids) {
        std::string out = "{";
        for (const auto& id : ids) {
            if (out.size() > 1) out += ',';
            id.append_to(out);
        }
        values_.emplace_back(out + "}");
    }
    void add(const std::vector<std::int64_t>& numbers);
    void add(const std::vector<std::string>& texts);
    /// bytea.
    void add_bytes(std::string_view bytes);

    const std::vector<std::optional<std::string>>& values() const noexcept { return values_; }

private:
    std::vector<std::optional<std::string>> values_;
};

/// Bytes for a bytea parameter: `Bytes{view}`.
struct Bytes {
    std::string_view view;
};

class Rows;

/// One row; valid as long as its Rows.
class Row {
public:
    Row(const pqxx::result& result, std::size_t index) : result_(&result), index_(index) {}
    bool is_null(int column) const;
    std::string_view view(int column) const;  ///< empty for null
    std::string text(int column) const { return std::string(view(column)); }
    std::optional<std::string> maybe_text(int column) const;
    std::int64_t integer(int column) const;  ///< throws on null
    std::optional<std::int64_t> maybe_integer(int column) const;
    bool flag(int column) const { return view(column) == "t"; }
    std::string bytes(int column) const;  ///< bytea
    template <class IdType>
    IdType id(int column) const {
        return IdType::parse(view(column)).value();
    }
    template <class IdType>
    std::optional<IdType> maybe_id(int column) const {
        return is_null(column) ? std::nullopt : IdType::parse(view(column));
    }

private:
    const pqxx::result* result_;
    std::size_t index_;
};

class Rows {
public:
    explicit Rows(std::shared_ptr<const pqxx::result> result);
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    Row operator[](std::size_t index) const { return {*result_, index}; }
    Row front() const { return {*result_, 0}; }
    std::size_t affected() const;

    class Iterator {
    public:
        Iterator(const Rows* rows, std::size_t at) : rows_(rows), at_(at) {}
        Row operator*() const { return (*rows_)[at_]; }
        Iterator& operator++() {
            ++at_;
            return *this;
        }
        bool operator!=(const Iterator& other) const { return at_ != other.at_; }

    private:
        const Rows* rows_;
        std::size_t at_;
    };
    Iterator begin() const { return {this, 0}; }
    Iterator end() const { return {this, size_}; }

private:
    std::shared_ptr<const pqxx::result> result_;
    std::size_t size_;
};

/// A constraint refused the row: the expected outcome of a race, to be turned into a 409 by the caller.
class ConstraintViolation : public std::exception {
public:
    ConstraintViolation(std::string sqlstate, std::string constraint)
        : sqlstate_(std::move(sqlstate)), constraint_(std::move(constraint)) {}
    const std::string& sqlstate() const noexcept { return sqlstate_; }
    const std::string& constraint() const noexcept { return constraint_; }
    bool unique() const noexcept { return sqlstate_ == "23505"; }
    const char* what() const noexcept override { return constraint_.c_str(); }

private:
    std::string sqlstate_;
    std::string constraint_;
};

class Transaction {
public:
    Transaction(Connection& connection, pqxx::transaction_base& tx) : connection_(connection), tx_(tx) {}
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    /// Throws ConstraintViolation for class 23; connection loss and the rest pass to Database, which knows.
    template <class... Args>
    Rows exec(const Statement& statement, const Args&... args) {
        Params params;
        (add(params, args), ...);
        return run(statement, params);
    }
    Rows run(const Statement& statement, const Params& params);
    /// Text without parameters, several statements allowed: migrations only.
    void script(const std::string& sql);
    /// Runs `fn` on this thread right after the COMMIT succeeded; never after a rollback or an unknown
    /// outcome. For wake-ups: cheap, must not throw, must not use the transaction.
    void after_commit(std::function<void()> fn) { after_commit_.push_back(std::move(fn)); }

private:
    friend class Connection;
    template <class T>
    static void add(Params& params, const T& value) {
        params.add(value);
    }
    static void add(Params& params, const Bytes& value) { params.add_bytes(value.view); }
    static void add(Params& params, const Params& ready) = delete;

    Connection& connection_;
    pqxx::transaction_base& tx_;
    std::vector<std::function<void()>> after_commit_;
};

}  // namespace supd::db
