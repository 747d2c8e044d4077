#include <supd/base/clock.hpp>
#include <supd/base/json_text.hpp>
#include <supd/base/log.hpp>

#include <poll.h>
#include <signal.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cmath>
#include <memory>
#include <mutex>

namespace supd::base::log {
namespace {

constexpr const char* kOurs = "supd";  // payload is the rest of a JSON object
constexpr const char* kForeign = "";   // payload is free text: spdlog::error(...) somewhere

std::string_view word_of(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::trace:
        case spdlog::level::debug:
            return "debug";
        case spdlog::level::info:
            return "info";
        case spdlog::level::warn:
            return "warn";
        default:
            return "error";
    }
}

std::string clean(std::string_view text) {
    std::string out(text.substr(0, Value::kMaxValue));
    while (text.size() > out.size() && !out.empty() &&
           (static_cast<unsigned char>(text[out.size()]) & 0xC0) == 0x80)
        out.pop_back();
    if (!is_utf8(out))
        for (auto& c : out)
            if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    return out;
}

class JsonLines final : public spdlog::formatter {
public:
    void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& dest) override {
        const auto ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(msg.time.time_since_epoch()).count();
        line_.assign("{\"time\":\"");
        append_time(line_, ms);
        line_ += "\",\"level\":\"";
        line_ += word_of(msg.level);
        line_ += "\",\"event\":";
        const std::string_view payload(msg.payload.data(), msg.payload.size());
        if (std::string_view(msg.logger_name.data(), msg.logger_name.size()) == kOurs) {
            line_ += payload;
        } else {
            line_ += "\"log\",\"detail\":";
            append_json_string(line_, clean(payload));
        }
        line_ += "}\n";
        dest.append(line_.data(), line_.data() + line_.size());
    }
    std::unique_ptr<formatter> clone() const override { return std::make_unique<JsonLines>(); }

private:
    std::string line_;
};

constexpr std::chrono::milliseconds kLook{100};  // how often a writer that waits looks whether it is the end
constexpr std::chrono::milliseconds kLastLines{2000};  // that finish() waits for a reader who stands still

std::atomic<std::uint64_t> g_not_taken{0};

// spdlog's own waits for ever for a pipe that nobody reads, also at the end, and loses what a full volume
// refuses without a word.
class StandardError final : public spdlog::sinks::base_sink<std::mutex> {
public:
    /// Nothing waits longer than until then.
    void hurry(Monotonic::time_point until) { until_ = until; }

private:
    void sink_it_(const spdlog::details::log_msg& msg) override {
        spdlog::memory_buf_t line;
        if (broken_) line.push_back('\n');
        formatter_->format(msg, line);
        const std::string_view text(line.data(), line.size());
        const auto written = write_out(text);
        if (written != text.size()) ++g_not_taken;
        if (written != 0) broken_ = written != text.size();
    }
    void flush_() override {}

    // How much was taken.
    std::size_t write_out(std::string_view text) const {
        std::size_t done = 0;
        while (done < text.size()) {
            pollfd out{STDERR_FILENO, POLLOUT, 0};
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_.load() - Monotonic::now());
            const auto wait = std::clamp(left, std::chrono::milliseconds(0), kLook);
            if (const int ready = ::poll(&out, 1, static_cast<int>(wait.count())); ready <= 0) {
                if (ready == 0 && left <= kLook) return done;
                continue;
            }
            // A pipe that can be written to takes so much without waiting.
            const auto size = std::min<std::size_t>(text.size() - done, PIPE_BUF);
            const auto written = ::write(STDERR_FILENO, text.data() + done, size);
            if (written >= 0)
                done += static_cast<std::size_t>(written);
            else if (errno != EINTR && errno != EAGAIN)
                return done;
        }
        return done;
    }

    bool broken_ = false;  // the last line has no end
    std::atomic<Monotonic::time_point> until_{Monotonic::time_point::max()};
};

struct Sinks {
    std::shared_ptr<StandardError> out;
    std::shared_ptr<spdlog::details::thread_pool> thread;
    std::shared_ptr<spdlog::logger> ours;
};

std::mutex g_mutex;
std::atomic<int> g_level{static_cast<int>(Level::info)};
std::atomic<std::uint64_t> g_dropped_before{0};

// Lives until the process ends: lines may be written by destructors of statics.
Sinks& sinks() {
    static auto* all = [] {
        auto* made = new Sinks;
        made->out = std::make_shared<StandardError>();
        made->out->set_formatter(std::make_unique<JsonLines>());
        made->ours = std::make_shared<spdlog::logger>(kOurs, made->out);
        made->ours->set_level(spdlog::level::trace);
        return made;
    }();
    return *all;
}

std::atomic<spdlog::logger*> g_ours{nullptr};

spdlog::logger& ours() {
    if (auto* logger = g_ours.load(std::memory_order_acquire)) return *logger;
    const std::lock_guard lock(g_mutex);
    auto* logger = sinks().ours.get();
    g_ours.store(logger, std::memory_order_release);
    return *logger;
}

// Loggers that start() and finish() replace stay alive: another thread may be inside one.
void use(std::shared_ptr<spdlog::logger> logger, std::shared_ptr<spdlog::logger> foreign) {
    static auto* kept = new std::vector<std::shared_ptr<spdlog::logger>>;
    kept->push_back(sinks().ours);
    logger->set_level(spdlog::level::trace);
    foreign->set_level(spdlog::level::info);
    sinks().ours = std::move(logger);
    g_ours.store(sinks().ours.get(), std::memory_order_release);
    spdlog::set_default_logger(std::move(foreign));
}

void write(Level level, spdlog::level::level_enum spd, std::string_view event, Fields fields) {
    if (!enabled(level)) return;
    std::string rest;
    rest.reserve(160);
    append_json_string(rest, event);
    for (const auto& field : fields) {
        rest += ",\"";
        rest += field.key.name();
        rest += "\":";
        rest += field.value.json();
    }
    ours().log(spd, spdlog::string_view_t(rest.data(), rest.size()));
}

}  // namespace

Value::Value(std::string_view text) {
    append_json_string(json_, clean(text));
}

Value::Value(double number) {
    if (!std::isfinite(number)) {
        json_ = "null";
        return;
    }
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, number, std::chars_format::fixed, 3).ptr;
    json_.assign(text, end);
}

void debug(std::string_view event, Fields fields) {
    write(Level::debug, spdlog::level::debug, event, fields);
}
void info(std::string_view event, Fields fields) {
    write(Level::info, spdlog::level::info, event, fields);
}
void warn(std::string_view event, Fields fields) {
    write(Level::warn, spdlog::level::warn, event, fields);
}
void error(std::string_view event, Fields fields) {
    write(Level::error, spdlog::level::err, event, fields);
}

void start() {
    const std::lock_guard lock(g_mutex);
    auto& all = sinks();
    if (all.thread) return;
    all.out->hurry(Monotonic::time_point::max());
    // Its thread takes no signals: those of the process are for whoever waits for them.
    sigset_t every;
    sigset_t before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    all.thread = std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    constexpr auto policy = spdlog::async_overflow_policy::overrun_oldest;
    use(std::make_shared<spdlog::async_logger>(kOurs, all.out, all.thread, policy),
        std::make_shared<spdlog::async_logger>(kForeign, all.out, all.thread, policy));
}

void finish() {
    const std::lock_guard lock(g_mutex);
    auto& all = sinks();
    if (!all.thread) return;
    use(std::make_shared<spdlog::logger>(kOurs, all.out),
        std::make_shared<spdlog::logger>(kForeign, all.out));
    g_dropped_before += all.thread->overrun_counter();
    all.out->hurry(Monotonic::now() + kLastLines);
    all.thread.reset();  // the pool's destructor writes what is queued
}

bool set_level(std::string_view name) {
    Level level;
    if (name == "debug" || name == "trace")
        level = Level::debug;
    else if (name == "info")
        level = Level::info;
    else if (name == "warn" || name == "warning")
        level = Level::warn;
    else if (name == "error")
        level = Level::error;
    else
        return false;
    g_level.store(static_cast<int>(level), std::memory_order_relaxed);
    return true;
}

bool enabled(Level level) noexcept {
    return static_cast<int>(level) >= g_level.load(std::memory_order_relaxed);
}

std::uint64_t dropped() noexcept {
    const std::lock_guard lock(g_mutex);
    auto& all = sinks();
    return g_dropped_before + g_not_taken + (all.thread ? all.thread->overrun_counter() : 0);
}

}  // namespace supd::base::log
