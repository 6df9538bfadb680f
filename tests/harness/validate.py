"""Validates documents with their JSON Schemas; every key of a document must be described by its schema.

The first line of standard input is an object with the text of each schema. Every other line has a document, the name of its schema
and a pointer to the definition in it, or "". Standard output has a line for each document: true, or what is wrong.

Needs: pip install jsonschema
"""
import importlib.metadata
import json
import sys

import jsonschema
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

# Versions before 4.24 do not see all keys that a reference or additionalProperties describes: with them, unknown keys are accepted.
SEES_ALL_KEYS = tuple(map(int, importlib.metadata.version("jsonschema").split(".")[:2])) >= (4, 24)
# Schemas of numbers and arrays have no keys of their own.
PLAIN = ("/number", "/lists", "/shape", "/count", "/verdict", "/type", "/code")


def is_lists(value):
    """True if a value is a number or nested lists of numbers."""
    if isinstance(value, list):
        return all(map(is_lists, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool) or value in ("NaN", "Infinity", "-Infinity")


def reference(validator, target, instance, schema):
    """Follows a reference, but for arrays of numbers, which are most of the values and would take most of the time."""
    if target in ("#/$defs/array", "#/$defs/lists", "#/$defs/number") and is_lists(instance):
        if target != "#/$defs/number" or not isinstance(instance, list):
            return
    yield from Draft202012Validator.VALIDATORS["$ref"](validator, target, instance, schema) or ()


Validator = extend(Draft202012Validator, {"$ref": reference})


def closed(schema):
    """A schema of a value that accepts no keys but those that it describes."""
    has_keys = any(key in schema for key in ("properties", "$ref", "anyOf", "allOf", "oneOf"))
    if SEES_ALL_KEYS and has_keys and not schema.get("$ref", "").endswith(PLAIN):
        schema["unevaluatedProperties"] = False
    inside(schema)


def inside(schema):
    """Closes the schemas of values inside a value."""
    for key in ("properties", "patternProperties"):
        for value in schema.get(key, {}).values():
            closed(value)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            closed(schema[key])
    # These describe the same value.
    for key in ("anyOf", "allOf", "oneOf"):
        for same in schema.get(key, []):
            inside(same)
    for key in ("then", "else"):
        if key in schema:
            inside(schema[key])
    for definition in schema.get("$defs", {}).values():
        inside(definition)


texts = json.loads(sys.stdin.readline())
schemas = {}
for name, text in texts.items():
    schemas[name] = json.loads(text)
    # Version 4.17 does not resolve references within a schema that a URN names.
    del schemas[name]["$id"]
    closed(schemas[name])

if len(sys.argv) > 1:
    # The schemas themselves are valid.
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)

validators = {}
for line in sys.stdin:
    line = json.loads(line)
    key = line["schema"], line["pointer"]
    if key not in validators:
        schema = schemas[line["schema"]]
        if line["pointer"]:
            schema = {"$ref": "#" + line["pointer"], "$defs": schema["$defs"]}
            if SEES_ALL_KEYS:
                schema["unevaluatedProperties"] = False
        validators[key] = Validator(schema)
    error = jsonschema.exceptions.best_match(validators[key].iter_errors(line["document"]))
    print(json.dumps(True if error is None else f"{error.json_path}: {error.message[:300]}"))
