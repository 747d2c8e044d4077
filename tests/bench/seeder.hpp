// Fills chats with messages whose texts can be recomputed: message n of job j has the text of (j, n).
#pragma once

#include "traffic.hpp"
#include "ws_load.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct SeedJob {
    std::string chat_id;
    std::size_t connection = 0;   // index into the tokens
    std::uint64_t first_seq = 0;  // set by run(): message n has seq first_seq + n
};

class Seeder : private Handler {
public:
    Seeder(std::uint16_t port, const std::vector<std::string>& tokens, std::vector<SeedJob>& jobs,
           std::uint64_t per_job, std::size_t text_bytes);
    // Returns when everything is acknowledged, each chat's seqs dense and in order; throws otherwise.
    void run();

private:
    void on_text(std::uint32_t connection, const char* data, std::size_t size) override;
    void send_next(std::size_t job);

    std::vector<SeedJob>& jobs_;
    std::uint64_t per_job_;
    Texts texts_;
    Connections connections_;
    std::size_t tokens_;
    std::vector<std::string> frames_;
    std::vector<std::uint64_t> sent_;   // by job
    std::vector<std::uint64_t> acked_;  // by job
    std::size_t at_ref_ = 0, at_id_ = 0, at_text_ = 0;
    std::size_t ready_ = 0;
    std::uint64_t done_ = 0;
    Finder seq_{"\"seq\":"}, ref_{"\"ref\":\""};
};

}  // namespace bench
