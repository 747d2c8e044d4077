// Logs: one JSON object per line on stderr, written by a thread of its own; a full queue drops the oldest
// line and counts it, as it does one that stderr refuses; it never blocks. A field's name comes from the
// allow-list below (checked by the compiler), so that content, tokens, mail addresses and phone numbers have
// no field to stand in. Thread-safe.
#pragma once

#include <supd/base/ids.hpp>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace supd::base::log {

enum class Level { debug, info, warn, error };

/// What a line may hold. Add a name here only for things that are never content, secrets or personal data.
inline constexpr std::string_view kFields[] = {
    "admin_url", "attempt",  "bytes",       "chat_id",  "code",   "connections", "count",      "detail",
    "device_id", "drop",     "duration_ms", "epoch",    "error",  "file",        "group",      "job",
    "job_id",    "kind",     "level",       "limit",    "method", "migration",   "mode",       "module",
    "name",      "node",     "operation",   "pid",      "port",   "reason",      "request_id", "session_id",
    "signal",    "sqlstate", "state",       "status",   "thread", "total",       "url",        "user_id",
    "version",   "worker",   "listener",    "trace_id",
};

/// The name of a field; one that is not in kFields does not compile.
class Key {
public:
    consteval Key(const char* name) : name_(name) {
        for (const auto allowed : kFields)
            if (allowed == name_) return;
        throw "this field is not in the allow-list of supd/base/log.hpp";
    }
    constexpr std::string_view name() const noexcept { return name_; }

private:
    std::string_view name_;
};

/// A value as JSON text. Text is cut at kMaxValue bytes and made valid UTF-8.
class Value {
public:
    static constexpr std::size_t kMaxValue = 512;
    Value(std::string_view text);
    Value(const char* text) : Value(std::string_view(text)) {}
    Value(const std::string& text) : Value(std::string_view(text)) {}
    Value(bool flag) : json_(flag ? "true" : "false") {}
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Value(T number) : json_(std::to_string(number)) {}
    Value(double number);
    template <class Tag>
    Value(const Id<Tag>& id) : Value(std::string_view(id.text())) {}
    const std::string& json() const noexcept { return json_; }

private:
    std::string json_;
};

struct Field {
    Key key;
    Value value;
};
using Fields = std::initializer_list<Field>;

/// event: stable snake_case word, what happened.
void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warn(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

/// Makes spdlog's default logger (and so every spdlog::warn(...) in the tree) write such lines too. Call
/// once, early in main; before it, lines are written synchronously. Throws nothing that matters.
void start();
/// Writes out what is queued (two seconds at most when nobody reads) and goes back to synchronous lines.
void finish();
/// debug, info, warn, error; false when the word is none of them.
bool set_level(std::string_view name);
bool enabled(Level level) noexcept;
/// Lines lost because the queue was full or stderr took them not.
std::uint64_t dropped() noexcept;

inline constexpr std::size_t kQueueLines = 4096;

}  // namespace supd::base::log
