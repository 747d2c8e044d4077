#include "exporter.hpp"
#include "record.hpp"

#include <supd/base/error.hpp>
#include <supd/trace/span.hpp>

#include <chrono>
#include <new>

namespace supd::trace {

const Context& Span::context() const noexcept {
    static constexpr Context kNone;
    return record_ ? record_->context : kNone;
}

void Span::set(std::string_view key, std::string_view value) noexcept try {
    if (record_) record_->attributes.emplace_back(key, std::string(value));
} catch (const std::bad_alloc&) {
    return;  // whoever is traced must not notice
}

void Span::set(std::string_view key, std::int64_t value) noexcept try {
    if (record_) record_->attributes.emplace_back(key, value);
} catch (const std::bad_alloc&) {
    return;
}

void Span::fail(std::string_view type) noexcept {
    if (!record_) return;
    record_->failed = true;
    set("error.type", type);
}

void Span::fail_by_exception() {
    if (!record_) return;
    try {
        throw;
    } catch (const base::Error& error) {
        if (error.status() >= 500) fail(error.code());
    } catch (...) {
        fail("exception");
    }
}

void Span::finish() noexcept {
    std::unique_ptr<Record> record(std::exchange(record_, nullptr));
    const auto took = base::Monotonic::now() - record->begun;
    record->end_ns = record->start_ns + std::chrono::duration_cast<std::chrono::nanoseconds>(took).count();
    record->context.tracer->exporter_->add(std::move(record));
}

Span child_of(const Context& parent, Kind kind, std::string_view name) {
    if (!parent.recorded()) return {};
    return parent.tracer->begin(kind, name, parent.trace, parent.span);
}

}  // namespace supd::trace
