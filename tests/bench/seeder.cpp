#include "seeder.hpp"

#include "group_load.hpp"

#include <algorithm>
#include <stdexcept>

namespace bench {
namespace {

constexpr std::size_t kJobsAtOnce = 200;
constexpr std::uint64_t kInFlightPerJob = 10;
constexpr std::int64_t kSilenceNs = 30'000'000'000;

}  // namespace

Seeder::Seeder(std::uint16_t port, const std::vector<std::string>& tokens, std::vector<SeedJob>& jobs,
               std::uint64_t per_job, std::size_t text_bytes)
    : jobs_(jobs),
      per_job_(per_job),
      texts_(text_bytes),
      connections_(port, *this),
      tokens_(tokens.size()),
      sent_(jobs.size(), 0),
      acked_(jobs.size(), 0) {
    for (const std::string& token : tokens)
        connections_.open(token);
    for (const SeedJob& job : jobs)
        frames_.push_back(message_template(job.chat_id, text_bytes, at_ref_, at_id_, at_text_));
}

void Seeder::run() {
    while (ready_ < tokens_)
        connections_.poll(100'000'000);
    for (std::size_t first = 0; first < jobs_.size(); first += kJobsAtOnce) {
        const std::size_t last = std::min(jobs_.size(), first + kJobsAtOnce);
        for (std::size_t job = first; job < last; ++job)
            for (std::uint64_t i = 0; i < std::min(kInFlightPerJob, per_job_); ++i)
                send_next(job);
        std::uint64_t before = done_;
        for (std::int64_t quiet_since = now_ns(); done_ < last * per_job_;) {
            connections_.poll(100'000'000);
            if (done_ != before) quiet_since = now_ns();
            before = done_;
            if (now_ns() - quiet_since > kSilenceNs) throw std::runtime_error("seeding: no ack for 30 s");
        }
    }
}

void Seeder::send_next(std::size_t job) {
    const std::uint64_t n = sent_[job]++;
    std::string& frame = frames_[job];
    // The ref names the job, the count of its acks names n: acks of one chat come in order.
    put_hex(frame.data() + at_ref_, job, kRefDigits);
    put_id(frame.data() + at_id_, 7, job, n);
    texts_.put(frame.data() + at_text_, job, n);
    connections_.send(static_cast<std::uint32_t>(jobs_[job].connection), frame.data(), frame.size());
}

void Seeder::on_text(std::uint32_t, const char* data, std::size_t size) {
    const std::string_view type = frame_type(data, size);
    if (type == "caught_up") ++ready_;
    if (type == "error") throw std::runtime_error("seeding: " + std::string(data, size));
    if (type != "ack") return;
    const char* ref = ref_.after(data, size);
    const char* number = seq_.after(data, size);
    std::uint64_t job = 0;
    std::uint64_t seq = 0;
    if (ref == nullptr || number == nullptr || !get_hex(ref, kRefDigits, job) || job >= jobs_.size() ||
        !get_number(number, data + size, seq))
        throw std::runtime_error("seeding: unreadable ack " + std::string(data, size));
    if (acked_[job] == 0) jobs_[job].first_seq = seq;
    if (seq != jobs_[job].first_seq + acked_[job]) throw std::runtime_error("seeding: acks out of order");
    ++acked_[job];
    ++done_;
    if (sent_[job] < per_job_) send_next(job);
}

}  // namespace bench
