// One piece of work of a trace. A span that is not recorded (traces are off, or this one is not sampled) is a
// null pointer, and all that is asked of it is a comparison. Moves between threads; one thread at a time.
// Names and values must never be content, secrets or personal data: a template of a path, not the path.
#pragma once

#include <supd/trace/context.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace supd::trace {

/// The numbers are those of OTLP.
enum class Kind { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 };

struct Record;

class Span {
public:
    Span() noexcept = default;
    Span(Span&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
    Span& operator=(Span&& other) noexcept {
        if (this != &other) {
            if (record_) finish();
            record_ = std::exchange(other.record_, nullptr);
        }
        return *this;
    }
    /// The work is done: hands it to its tracer, which must still be there.
    ~Span() {
        if (record_) finish();
    }

    explicit operator bool() const noexcept { return record_ != nullptr; }
    /// That of what is done under this span; an empty one when there is none.
    const Context& context() const noexcept;

    /// Of OpenTelemetry's semantic conventions; `key` is a literal. Without memory for it the span goes on
    /// without.
    void set(std::string_view key, std::string_view value) noexcept;
    void set(std::string_view key, std::int64_t value) noexcept;
    /// Status error; `type` is a fixed word, as error.type.
    void fail(std::string_view type) noexcept;
    /// The same for what is being thrown, in a catch block; a refusal of the request (base::Error below 500)
    /// is none.
    void fail_by_exception();

private:
    friend class Tracer;
    explicit Span(Record* record) noexcept : record_(record) {}
    void finish() noexcept;

    Record* record_ = nullptr;  // owned
};

/// Nothing when nothing of the parent is recorded.
Span child_of(const Context& parent, Kind kind, std::string_view name);

}  // namespace supd::trace
