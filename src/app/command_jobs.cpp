#include "commands.hpp"
#include "database_access.hpp"

#include <supd/jobs/job_commands.hpp>

#include <iostream>

namespace supd::app {

int list_jobs(const Config& config, const JobsOptions& options) {
    const auto access = DatabaseAccess::for_command(config);
    access.make_usable();
    auto connection = access.connect(config);
    jobs::ListOptions list;
    list.state = options.state;
    list.limit = options.limit;
    list.json = options.json;
    return jobs::list_jobs(*connection, list, std::cout);
}

int retry_jobs(const Config& config, const JobsOptions& options) {
    const auto access = DatabaseAccess::for_command(config);
    access.make_usable();
    auto connection = access.connect(config);
    return jobs::retry_jobs(*connection, options.id, std::cout, std::cerr);
}

int drop_job(const Config& config, const JobsOptions& options) {
    const auto access = DatabaseAccess::for_command(config);
    access.make_usable();
    auto connection = access.connect(config);
    return jobs::drop_job(*connection, options.id.value_or(0), std::cout, std::cerr);
}

}  // namespace supd::app
