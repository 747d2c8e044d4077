#include <supd/base/json.hpp>
#include <supd/base/json_text.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace supd::base {
namespace {

using DomBuilder = nlohmann::detail::json_sax_dom_parser<Json>;

// Wraps the library's DOM builder with the caps; a false return stops the parser at once.
class CappedBuilder {
public:
    explicit CappedBuilder(Json& out) : dom_(out, false) {}
    const char* fault() const { return fault_; }
    bool failed() const { return fault_ != nullptr || dom_.is_errored(); }

    bool null() { return count() && dom_.null(); }
    bool boolean(bool v) { return count() && dom_.boolean(v); }
    bool number_integer(Json::number_integer_t v) { return count() && dom_.number_integer(v); }
    bool number_unsigned(Json::number_unsigned_t v) { return count() && dom_.number_unsigned(v); }
    bool number_float(Json::number_float_t v, const std::string& s) {
        return count() && dom_.number_float(v, s);
    }
    bool string(std::string& v) { return count() && clean(v) && dom_.string(v); }
    bool binary(Json::binary_t& v) { return dom_.binary(v); }
    bool start_object(std::size_t n) {
        if (!deeper()) return false;
        keys_.emplace_back();
        return dom_.start_object(n);
    }
    bool key(std::string& k) {
        if (!clean(k)) return false;
        if (!keys_.back().insert(k).second) return refuse("duplicate key");
        return dom_.key(k);
    }
    bool end_object() {
        keys_.pop_back();
        --depth_;
        return dom_.end_object();
    }
    bool start_array(std::size_t n) { return deeper() && dom_.start_array(n); }
    bool end_array() {
        --depth_;
        return dom_.end_array();
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) {
        return refuse("not valid JSON");
    }

private:
    bool refuse(const char* why) {
        if (!fault_) fault_ = why;
        return false;
    }
    bool count() { return ++values_ <= kMaxJsonValues || refuse("too many values"); }
    bool deeper() { return count() && (++depth_ <= kMaxJsonDepth || refuse("nested too deeply")); }
    bool clean(const std::string& s) {
        return s.find('\0') == std::string::npos || refuse("the character U+0000 is not allowed");
    }

    DomBuilder dom_;
    std::vector<std::set<std::string>> keys_;
    std::size_t values_ = 0;
    int depth_ = 0;
    const char* fault_ = nullptr;
};

}  // namespace

Json parse_json(std::string_view text) {
    if (!is_utf8(text)) throw bad_request("malformed_json", "The body is not valid UTF-8.");
    if (text.starts_with("\xEF\xBB\xBF"))
        throw bad_request("malformed_json", "A byte order mark is not allowed.");
    Json out;
    CappedBuilder builder(out);
    const bool ok = Json::sax_parse(text, &builder);
    if (!ok || builder.failed())
        throw bad_request("malformed_json", std::string("The body is not acceptable JSON: ") +
                                                (builder.fault() ? builder.fault() : "syntax") + ".");
    return out;
}

ObjectReader::ObjectReader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is_object())
        throw Error(400, "invalid_request", "A JSON object is expected.",
                    {FieldError{path_.empty() ? "body" : path_, "wrong_type", "An object is expected."}});
}

ObjectReader::~ObjectReader() = default;

std::string ObjectReader::path_of(std::string_view field) const {
    return path_.empty() ? std::string(field) : path_ + "." + std::string(field);
}

void ObjectReader::fail(std::string_view field, std::string code, std::string detail) {
    errors_.push_back({path_of(field), std::move(code), std::move(detail)});
}

bool ObjectReader::failed(std::string_view field) const {
    return std::ranges::any_of(errors_, [&](const FieldError& e) { return e.field == path_of(field); });
}

bool ObjectReader::has(std::string_view name) const {
    return object_.contains(name);
}

const Json* ObjectReader::raw(std::string_view name) {
    known_.emplace_back(name);
    auto at = object_.find(name);
    return at == object_.end() || at->is_null() ? nullptr : &*at;
}

std::optional<std::string> ObjectReader::maybe_text(std::string_view name, TextRule rule) {
    const Json* value = raw(name);
    if (!value) return std::nullopt;
    if (!value->is_string()) {
        fail(name, "wrong_type", "A string is expected.");
        return std::nullopt;
    }
    const auto& text = value->get_ref<const std::string&>();
    if (text.size() < rule.min) {
        fail(name, "too_short", "At least " + std::to_string(rule.min) + " bytes are expected.");
        return std::nullopt;
    }
    if (text.size() > rule.max) {
        fail(name, "too_long", "At most " + std::to_string(rule.max) + " bytes are allowed.");
        return std::nullopt;
    }
    return text;
}

std::string ObjectReader::text(std::string_view name, TextRule rule) {
    auto value = maybe_text(name, rule);
    if (!value && !failed(name)) fail(name, "required", "This field is required.");
    return std::move(value).value_or(std::string{});
}

std::optional<std::int64_t> ObjectReader::maybe_integer(std::string_view name, std::int64_t min,
                                                        std::int64_t max) {
    const Json* value = raw(name);
    if (!value) return std::nullopt;
    if (!value->is_number_integer()) {
        fail(name, "wrong_type", "An integer is expected.");
        return std::nullopt;
    }
    const bool huge =
        value->is_number_unsigned() &&
        value->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (huge || value->get<std::int64_t>() < min || value->get<std::int64_t>() > max) {
        fail(name, "out_of_range",
             "A number from " + std::to_string(min) + " to " + std::to_string(max) + " is expected.");
        return std::nullopt;
    }
    return value->get<std::int64_t>();
}

std::int64_t ObjectReader::integer(std::string_view name, std::int64_t min, std::int64_t max) {
    auto value = maybe_integer(name, min, max);
    if (!value && !failed(name)) fail(name, "required", "This field is required.");
    return value.value_or(min);
}

std::optional<bool> ObjectReader::maybe_flag(std::string_view name) {
    const Json* value = raw(name);
    if (!value) return std::nullopt;
    if (!value->is_boolean()) {
        fail(name, "wrong_type", "true or false is expected.");
        return std::nullopt;
    }
    return value->get<bool>();
}

std::optional<Uuid> ObjectReader::raw_uuid(std::string_view name) {
    const Json* value = raw(name);
    if (!value) return std::nullopt;
    if (!value->is_string()) {
        fail(name, "wrong_type", "A UUID string is expected.");
        return std::nullopt;
    }
    auto id = parse_uuid(value->get_ref<const std::string&>());
    if (!id) fail(name, "bad_format", "A UUID is expected.");
    return id;
}

std::vector<Uuid> ObjectReader::raw_uuids(std::string_view name, std::size_t max) {
    const Json* value = raw(name);
    std::vector<Uuid> out;
    if (!value) return out;
    if (!value->is_array()) {
        fail(name, "wrong_type", "A list of UUIDs is expected.");
        return out;
    }
    if (value->size() > max) {
        fail(name, "too_long", "At most " + std::to_string(max) + " entries are allowed.");
        return out;
    }
    for (const auto& entry : *value) {
        auto id = entry.is_string() ? parse_uuid(entry.get_ref<const std::string&>()) : std::nullopt;
        if (!id) {
            fail(name, "bad_format", "A list of UUIDs is expected.");
            return out;
        }
        out.push_back(*id);
    }
    return out;
}

void ObjectReader::finish() {
    bool only_unknown = errors_.empty();
    for (const auto& [key, value] : object_.items())
        if (std::ranges::find(known_, key) == known_.end() && errors_.size() < kMaxFaults)
            errors_.push_back(
                {path_of(cut_utf8(key, kMaxFaultName)), "unknown_field", "This field is not known here."});
    if (errors_.empty()) return;
    if (only_unknown)
        throw Error(400, "unknown_field", "The request has a field that is not known here.",
                    std::move(errors_));
    throw Error(400, "invalid_request", "The request has faulty fields.", std::move(errors_));
}

}  // namespace supd::base
