// What the doctor reads of the machine, and how it judges each.
#pragma once

#include "doctor.hpp"

#include <cstdint>
#include <optional>

namespace supd::app {

struct DiskFacts {
    double total = 0;  ///< bytes
    double free = 0;   ///< for everybody but root
    double nodes = 0;  ///< inodes; 0 where there is no such limit
    double free_nodes = 0;
};
Judgement judge_disk(const DiskFacts& facts);

/// `descriptors`: what the daemon may open, or would be allowed to.
Judgement judge_descriptors(std::int64_t descriptors, bool of_the_daemon, const Config& config);

/// Who has a TCP port of ours.
enum class PortState { free, supd, taken, forbidden };
Judgement judge_port(PortState state, std::int64_t port);

/// Value of an unlabelled metric in the text format.
std::optional<double> metric_value(std::string_view text, std::string_view name);

}  // namespace supd::app
