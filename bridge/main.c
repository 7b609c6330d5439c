/* SPDX-License-Identifier: MPL-2.0 */
/*
 * arizmqd: arguments and configuration, then the service. Exit status: 0 after an orderly stop, 1
 * where it could not run, 2 where the command line or the configuration is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "ops/config.h"
#include "ops/log.h"
#include "ops/options.h"
#include "ops/service.h"

enum { EXIT_CONFIG = 2, ERROR_SIZE = 1024 };

int main(int argc, char **argv)
{
    struct options options;
    options_parse(argc, argv, &options);

    struct config_source source = {
        .file = options.config_file, .environ = environ, .log_level = options.log_level};
    struct config *config = NULL;
    char error[ERROR_SIZE];
    if (!options.check_config && !options.dump_config) {
        service_hold_reload();
    }
    if (config_load(&source, &config, error, sizeof error) != ARIZMQ_OK) {
        fprintf(stderr, "arizmqd: %s\n", error);
        return EXIT_CONFIG;
    }
    int status = EXIT_SUCCESS;
    if (options.dump_config) {
        config_dump(config, stdout);
    } else if (options.check_config) {
        printf("the configuration is good: %u node(s), %u view(s)\n", config->nodes_count,
               config->publish_count);
    } else {
        log_set_level((enum log_level)config->log_level);
        status = service_run(config, &source, &options);
    }
    config_destroy(&config);
    return status;
}
