#!/usr/bin/env python3
"""Derives runtime.json, the JSON Schema of Bedrock's request bodies, from botocore's service model.

    pip download --no-deps botocore==1.44.5
    python3 derive.py botocore-1.44.5-py3-none-any.whl > runtime.json

The rules: a structure takes no unknown members, a union exactly one; members that travel in the path, the query or a
header are left out; a blob is base64; a `document` is any JSON. The model's own code is Java's, whose patterns match
the whole string, so they are anchored here.

The output is data derived from botocore (Apache-2.0, Copyright Amazon.com, Inc.); see NOTICE beside this file.
"""

import gzip
import json
import sys
import zipfile

MODEL = "botocore/data/bedrock-runtime/2023-09-30/service-2.json.gz"
OPERATIONS = ["Converse", "ConverseStream", "CountTokens", "ApplyGuardrail"]
BOUNDS = {
    "string": ("minLength", "maxLength"),
    "list": ("minItems", "maxItems"),
    "map": ("minProperties", "maxProperties"),
    "integer": ("minimum", "maximum"),
    "float": ("minimum", "maximum"),
}
NUMBERS = {"integer": "integer", "long": "integer", "float": "number", "double": "number"}


class Deriver:
    """Turns the shapes that are reached from the operations into definitions."""

    def __init__(self, shapes):
        self.shapes = shapes
        self.definitions = {}

    def ref(self, name):
        if name not in self.definitions:
            self.definitions[name] = None  # breaks cycles
            self.definitions[name] = self.definition(self.shapes[name])
        return {"$ref": f"#/$defs/{name}"}

    def definition(self, shape):
        if shape.get("document"):
            return {}
        kind = shape["type"]
        if kind in NUMBERS:
            return {"type": NUMBERS[kind]} | bounds(shape, "integer")
        return getattr(self, kind)(shape)

    def structure(self, shape):
        members = {name: member for name, member in shape["members"].items() if "location" not in member}
        schema = {"type": "object"}
        required = [name for name in shape.get("required", []) if name in members]
        if required:
            schema["required"] = required
        if shape.get("union"):
            schema |= {"minProperties": 1, "maxProperties": 1}
        properties = {member.get("locationName", name): self.ref(member["shape"]) for name, member in members.items()}
        return schema | {"properties": properties, "additionalProperties": False}

    def list(self, shape):
        return {"type": "array", "items": self.ref(shape["member"]["shape"])} | bounds(shape, "list")

    def map(self, shape):
        keys, values = self.ref(shape["key"]["shape"]), self.ref(shape["value"]["shape"])
        return {"type": "object", "propertyNames": keys, "additionalProperties": values} | bounds(shape, "map")

    def string(self, shape):
        schema = {"type": "string"} | bounds(shape, "string")
        if "enum" in shape:
            schema["enum"] = shape["enum"]
        if "pattern" in shape:
            schema["pattern"] = f"^(?:{shape['pattern']})$"
        return schema

    def blob(self, shape):
        return {"type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$"} | ({"minLength": 1} if shape.get("min") else {})

    def boolean(self, _shape):
        return {"type": "boolean"}


def bounds(shape, kind):
    low, high = BOUNDS[kind]
    return {key: shape[name] for name, key in (("min", low), ("max", high)) if name in shape}


def main(wheel):
    with zipfile.ZipFile(wheel) as archive:
        model = json.loads(gzip.decompress(archive.read(MODEL)))
    deriver = Deriver(model["shapes"])
    bodies = {name: deriver.ref(model["operations"][name]["input"]["shape"]) for name in OPERATIONS}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Derived by derive.py from botocore's bedrock-runtime model (Apache-2.0); see NOTICE.",
        "properties": bodies,
        "$defs": dict(sorted(deriver.definitions.items())),
    }
    json.dump(schema, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1])
