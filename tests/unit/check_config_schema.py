#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""The JSON Schema of the configuration takes the example and the good files, and refuses each
tests/data/config/bad-*.yaml. Called by ctest as schema.config with the project's directory."""
import glob
import json
import sys

import jsonschema
import yaml


def main(project):
    with open(project + "/schemas/config.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = project + "/tests/data/config/"
    good = [project + "/docker/arizmqd.example.yaml"] + glob.glob(data + "good-*.yaml")
    bad = glob.glob(data + "bad-*.yaml")
    failures = 0
    if len(good) < 3 or len(bad) < 40:
        print("too few files: %d good, %d bad" % (len(good), len(bad)))
        failures += 1
    for path in good + bad:
        with open(path, encoding="utf-8") as file:
            try:
                error = jsonschema.exceptions.best_match(validator.iter_errors(yaml.safe_load(file)))
            except RecursionError:
                error = "refers to itself"
        if (error is None) != (path in good):
            print("%s: %s" % (path, error.message if error else "was accepted"))
            failures += 1
    print("%d files, %d failures" % (len(good) + len(bad), failures))
    return 1 if failures else 0


sys.exit(main(sys.argv[1]))
