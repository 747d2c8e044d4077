#include "app/cli.hpp"

int main(int argc, char** argv) {
    return supd::app::run_cli(argc, argv);
}
