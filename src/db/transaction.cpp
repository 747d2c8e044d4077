#include "connection.hpp"

#include <supd/db/transaction.hpp>

#include <pqxx/pqxx>

#include <charconv>
#include <stdexcept>

namespace supd::db {

void Params::add(const std::vector<std::int64_t>& numbers) {
    std::string out = "{";
    for (const auto number : numbers) {
        if (out.size() > 1) out += ',';
        out += std::to_string(number);
    }
    values_.emplace_back(out + "}");
}

void Params::add(const std::vector<std::string>& texts) {
    std::string out = "{";
    for (const auto& text : texts) {
        if (out.size() > 1) out += ',';
        out += '"';
        for (const char c : text) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    values_.emplace_back(out + "}");
}

void Params::add_bytes(std::string_view bytes) {
    constexpr char hex[] = "0123456789abcdef";
    std::string out = "\\x";
    out.reserve(2 + bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += hex[byte >> 4];
        out += hex[byte & 15];
    }
    values_.emplace_back(std::move(out));
}

bool Row::is_null(int column) const {
    return result_->at(index_).at(column).is_null();
}

std::string_view Row::view(int column) const {
    const auto field = result_->at(index_).at(column);
    return {field.c_str(), field.size()};
}

std::optional<std::string> Row::maybe_text(int column) const {
    return is_null(column) ? std::nullopt : std::optional(text(column));
}

std::int64_t Row::integer(int column) const {
    const auto value = view(column);
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
    if (error != std::errc{} || end != value.data() + value.size())
        throw std::runtime_error("column is not an integer");
    return out;
}

std::optional<std::int64_t> Row::maybe_integer(int column) const {
    return is_null(column) ? std::nullopt : std::optional(integer(column));
}

std::string Row::bytes(int column) const {
    const auto value = view(column);
    if (!value.starts_with("\\x")) throw std::runtime_error("column is not bytea");
    std::string out;
    out.reserve(value.size() / 2);
    for (std::size_t i = 2; i + 1 < value.size(); i += 2) {
        unsigned byte = 0;
        std::from_chars(value.data() + i, value.data() + i + 2, byte, 16);
        out += static_cast<char>(byte);
    }
    return out;
}

Rows::Rows(std::shared_ptr<const pqxx::result> result) : result_(std::move(result)), size_(result_->size()) {}

std::size_t Rows::affected() const {
    return result_->affected_rows();
}

Rows Transaction::run(const Statement& statement, const Params& params) {
    connection_.impl_->prepare_once(statement);
    std::vector<const char*> values;
    values.reserve(params.values().size());
    for (const auto& value : params.values())
        values.push_back(value ? value->c_str() : nullptr);
    return Rows(std::make_shared<const pqxx::result>(
        tx_.exec_prepared(statement.name, pqxx::prepare::make_dynamic_params(values))));
}

void Transaction::script(const std::string& sql) {
    tx_.exec(sql);
}

}  // namespace supd::db
