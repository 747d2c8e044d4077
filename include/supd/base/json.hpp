// Reading untrusted JSON (RFC 8259) into typed requests. parse_json caps depth and size before it builds
// anything; ObjectReader turns an object into a struct, collects every fault, and refuses unknown fields.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/base/error.hpp>
#include <supd/base/ids.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace supd::base {

using Json = nlohmann::json;

inline constexpr int kMaxJsonDepth = 32;
inline constexpr std::size_t kMaxJsonValues = 20'000;
/// Faults that one refusal tells of, and bytes of a client's field name that it repeats.
inline constexpr std::size_t kMaxFaults = 100;
inline constexpr std::size_t kMaxFaultName = 64;

/// Parses one JSON value. Throws Error 400 `malformed_json` for anything that is not RFC 8259 JSON, is not
/// UTF-8, holds a duplicate key, U+0000 (PostgreSQL cannot store it), or passes the caps above.
Json parse_json(std::string_view text);

struct TextRule {
    std::size_t min = 0;
    std::size_t max = 1000;  ///< in bytes of UTF-8
};

/// Use: one reader per object; read each field; call finish(), which throws Error 400 `invalid_request` with
/// all faults (codes: required, wrong_type, too_short, too_long, out_of_range, bad_format, unknown_field).
/// When nothing but unknown fields is wrong, the error's code is `unknown_field`. Not copyable; keeps a
/// reference to the JSON value; one thread.
class ObjectReader {
public:
    explicit ObjectReader(const Json& object, std::string path = "");
    ObjectReader(const ObjectReader&) = delete;
    ObjectReader& operator=(const ObjectReader&) = delete;
    ~ObjectReader();

    std::string text(std::string_view name, TextRule rule);
    std::optional<std::string> maybe_text(std::string_view name, TextRule rule);
    std::int64_t integer(std::string_view name, std::int64_t min, std::int64_t max);
    std::optional<std::int64_t> maybe_integer(std::string_view name, std::int64_t min, std::int64_t max);
    std::optional<bool> maybe_flag(std::string_view name);

    template <class IdType>
    IdType id(std::string_view name) {
        auto value = maybe_id<IdType>(name);
        if (!value && !failed(name)) fail(name, "required", "This field is required.");
        return value.value_or(IdType{});
    }
    template <class IdType>
    std::optional<IdType> maybe_id(std::string_view name) {
        auto raw = raw_uuid(name);
        if (!raw) return std::nullopt;
        IdType out;
        out.bytes = *raw;
        return out;
    }
    template <class IdType>
    std::vector<IdType> ids(std::string_view name, std::size_t max) {
        std::vector<IdType> out;
        for (const auto& raw : raw_uuids(name, max)) {
            IdType one;
            one.bytes = raw;
            out.push_back(one);
        }
        return out;
    }
    /// The raw value of a field, or null when absent (or JSON null); marks the field as known.
    const Json* raw(std::string_view name);
    /// True when the field is there, even as null.
    bool has(std::string_view name) const;

    void fail(std::string_view field, std::string code, std::string detail);
    void finish();

private:
    std::optional<Uuid> raw_uuid(std::string_view name);
    std::vector<Uuid> raw_uuids(std::string_view name, std::size_t max);
    bool failed(std::string_view field) const;
    std::string path_of(std::string_view field) const;

    const Json& object_;
    std::string path_;
    std::vector<std::string> known_;
    std::vector<FieldError> errors_;
};

}  // namespace supd::base
