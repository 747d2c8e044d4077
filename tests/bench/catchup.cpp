// 13d: a thousand devices come back at once, each over a thousand missed messages of a group it is in.
// Each must get all of them, in order and whole, then `caught_up`.
#include "histogram.hpp"
#include "processes.hpp"
#include "report.hpp"
#include "rest.hpp"
#include "seeder.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <stdexcept>

namespace {

using bench::Device;
using bench::now_ns;
using nlohmann::json;

constexpr std::int64_t kPatienceNs = 120'000'000'000;

struct Resuming {
    std::string token;
    std::string cursor;  // empty: none yet
    std::size_t job = 0;
    std::uint64_t received = 0;
    bool live = false;
    std::int64_t started_ns = 0;
};

class Devices : private bench::Handler {
public:
    Devices(std::uint16_t port, std::vector<Resuming>& devices, const std::vector<bench::SeedJob>& jobs,
            std::size_t text_bytes)
        : devices_(devices), jobs_(jobs), texts_(text_bytes), connections_(port, *this) {}

    // Connects all and waits until each is caught up, with `missed` messages each.
    void resume(std::uint64_t missed) {
        missed_ = missed;
        live_ = 0;
        const std::int64_t deadline = now_ns() + kPatienceNs;
        for (Resuming& device : devices_) {
            device.live = false;
            device.received = 0;
            device.started_ns = now_ns();
            connections_.open({});
            connections_.poll(0);
        }
        while (live_ < devices_.size()) {
            if (now_ns() > deadline)
                throw std::runtime_error(std::to_string(devices_.size() - live_) +
                                         " devices are not caught up");
            connections_.poll(100'000'000);
        }
        connections_.close_all();
    }
    const bench::Histogram& caught_up_after() const { return caught_up_after_; }

private:
    void on_upgraded(std::uint32_t i) override {
        const Resuming& device = devices_[i];
        const std::string cursor = device.cursor.empty() ? "null" : '"' + device.cursor + '"';
        const std::string frame = R"({"type":"authenticate","ref":"1","data":{"token":")" + device.token +
                                  R"(","cursor":)" + cursor + "}}";
        connections_.send(i, frame.data(), frame.size());
    }

    void on_text(std::uint32_t i, const char* data, std::size_t size) override {
        const std::string_view type = bench::frame_type(data, size);
        if (type == "message") return on_message(devices_[i], data, size);
        if (type == "caught_up") return on_caught_up(devices_[i], data, size);
        if (type == "error" || type == "resync_required") throw std::runtime_error(std::string(data, size));
    }

    void on_message(Resuming& device, const char* data, std::size_t size) {
        const bench::SeedJob& job = jobs_[device.job];
        const char* text = text_.after(data, size);
        const char* chat = chat_.after(data, size);
        const char* number = seq_.after(data, size);
        std::uint64_t sender = 0;
        std::uint64_t n = 0;
        std::uint64_t seq = 0;
        if (text == nullptr || chat == nullptr || number == nullptr ||
            static_cast<std::size_t>(data + size - text) <= texts_.length() || text[texts_.length()] != '"' ||
            !texts_.check(text, sender, n) || sender != device.job || n != device.received ||
            std::memcmp(chat, job.chat_id.data(), bench::kIdLength) != 0 ||
            !bench::get_number(number, data + size, seq) || seq != job.first_seq + n)
            throw std::runtime_error("not the next missed message: " + std::string(data, size));
        ++device.received;
    }

    void on_caught_up(Resuming& device, const char* data, std::size_t size) {
        const char* cursor = cursor_.after(data, size);
        if (cursor == nullptr) throw std::runtime_error("caught_up without cursor");
        device.cursor = std::string(cursor, std::find(cursor, data + size, '"'));
        if (device.received != missed_)
            throw std::runtime_error("caught up with " + std::to_string(device.received) + " messages");
        device.live = true;
        ++live_;
        caught_up_after_.add(now_ns() - device.started_ns);
    }

    std::vector<Resuming>& devices_;
    const std::vector<bench::SeedJob>& jobs_;
    bench::Texts texts_;
    bench::Connections connections_;
    std::uint64_t missed_ = 0;
    std::size_t live_ = 0;
    bench::Histogram caught_up_after_;
    bench::Finder seq_{"\"seq\":"}, text_{"\"text\":\""}, chat_{"\"chat_id\":\""}, cursor_{"\"cursor\":\""};
};

json measure(const bench::Flags& flags) {
    bench::allow_open_files(8192);
    const auto count = static_cast<std::size_t>(flags.number("devices"));
    const auto group = static_cast<std::size_t>(flags.number("group-size"));
    const auto missed = static_cast<std::uint64_t>(flags.number("missed"));
    const auto text_bytes = static_cast<std::size_t>(flags.number("text-bytes"));
    const bench::TempFolder folder;
    const bench::Postgres postgres(folder);
    const bench::Daemon daemon(bench::daemon_program(), folder.path() + "/data", postgres.url("supd"));
    bench::Rest rest(daemon.port());
    const auto users = bench::register_users(rest, "away", count);
    const std::size_t groups = (count + group - 1) / group;
    const auto senders = bench::register_users(rest, "sender", groups);
    std::vector<bench::SeedJob> jobs(groups);
    std::vector<std::string> tokens;
    std::vector<Resuming> devices(count);
    for (std::size_t g = 0; g < groups; ++g) {
        std::vector<Device> members{senders[g]};
        for (std::size_t i = g * group; i < std::min(count, (g + 1) * group); ++i) {
            members.push_back(users[i]);
            devices[i].token = users[i].token;
            devices[i].job = g;
        }
        jobs[g].chat_id = bench::make_group(rest, "group " + std::to_string(g), members);
        jobs[g].connection = g;
        tokens.push_back(senders[g].token);
    }
    Devices(daemon.port(), devices, jobs, text_bytes).resume(0);
    bench::Seeder(daemon.port(), tokens, jobs, missed, text_bytes).run();

    Devices back(daemon.port(), devices, jobs, text_bytes);
    const bench::CpuMeter meter(daemon.pid(), postgres.pid());
    back.resume(missed);
    const auto messages = static_cast<double>(count) * static_cast<double>(missed);
    json out = {{"devices", count}, {"missed", missed}, {"group_size", group}, {"cpu", meter.read(messages)}};
    const double wall = out["cpu"]["wall_s"];
    out["messages_per_s"] = bench::rounded(messages / wall, 0);
    out["all_caught_up_s"] = bench::rounded(wall);
    out["device_p50_ms"] = bench::rounded(back.caught_up_after().quantile_ms(0.5));
    out["device_p99_ms"] = bench::rounded(back.caught_up_after().quantile_ms(0.99));
    out["rss_after_mib"] =
        bench::rounded(static_cast<double>(bench::resident_bytes(daemon.pid())) / 1048576, 1);
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmark(
        "catchup", argc, argv,
        {{"devices", "1000"}, {"missed", "1000"}, {"group-size", "20"}, {"text-bytes", "200"}}, measure);
}
