// Of whom the other processes are asked when: each kLookAgain of those whose word is missing, each kReadAgain
// of those who are known to be elsewhere, each kReadAllAgain and after an interruption of all who are
// watched.
#pragma once

#include <supd/base/clock.hpp>
#include <supd/presence/limits.hpp>

#include <algorithm>

namespace supd::presence {

enum class Round { missing, elsewhere, all };

class Rounds {
public:
    explicit Rounds(base::Monotonic::time_point now)
        : read_again_(now + kReadAgain), read_all_(now + kReadAllAgain) {}

    Round next(base::Monotonic::time_point now, bool interrupted) {
        if (interrupted || now >= read_all_) {
            read_all_ = now + kReadAllAgain;
            read_again_ = now + kReadAgain;
            return Round::all;
        }
        if (now < read_again_) return Round::missing;
        read_again_ = now + kReadAgain;
        return Round::elsewhere;
    }
    /// Not everything was answered: all are asked again sooner.
    void failed(Round round, base::Monotonic::time_point now) {
        if (round == Round::all) read_all_ = std::min(read_all_, now + kReadAgain);
    }

private:
    base::Monotonic::time_point read_again_;
    base::Monotonic::time_point read_all_;
};

}  // namespace supd::presence
