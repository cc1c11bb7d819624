"""Writes a CycloneDX document of what the image has of others: the crates that the program is linked from, and the embedding models.

`sbom.py [TARGET]`, from the root of the repository. Needs cargo and, unless Cargo's cache has all crates, a network.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def read_metadata(target: str) -> dict:
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def linked_ids(metadata: dict) -> tuple[str, dict[str, list[str]]]:
    """Returns the id of the program's package, and the normal dependencies of every package that it is linked from."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    found, left = {}, [root]
    while left:
        package = left.pop()
        if package in found:
            continue
        kinds = [(one["pkg"], {kind["kind"] for kind in one["dep_kinds"]}) for one in nodes[package]["deps"]]
        found[package] = sorted(name for name, kind in kinds if None in kind)
        left.extend(found[package])
    return root, found


def read_digests() -> dict[tuple[str, str], str]:
    """Returns the SHA-256 of each crate's archive, as Cargo.lock has it."""
    lock = (ROOT / "Cargo.lock").read_text()
    pattern = r'name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"'
    return {(name, version): digest for name, version, digest in re.findall(pattern, lock)}


def crate_component(package: dict, digests: dict) -> dict:
    name, version = package["name"], package["version"]
    url = f"pkg:cargo/{name}@{version}"
    component = {"type": "library", "bom-ref": url, "name": name, "version": version}
    if package["source"]:
        component["purl"] = url
    if digest := digests.get((name, version)):
        component["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if package["license"]:
        component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return component


def model_components() -> list[dict]:
    """Returns the files that deploy/fetch_model.py downloads: an image has those of one model, or none."""
    script = (ROOT / "deploy/fetch_model.py").read_text()
    pattern = r'"([\w.-]+)",\s+"(https://[^"]+)",\s+"[^"]+",\s+"([0-9a-f]{64})"'
    return [
        {
            "type": "machine-learning-model" if not name.endswith(".txt") else "data",
            "bom-ref": f"model:{digest[:12]}",
            "name": name,
            "scope": "optional",
            "hashes": [{"alg": "SHA-256", "content": digest}],
            "externalReferences": [{"type": "distribution", "url": url}],
        }
        for name, url, digest in re.findall(pattern, script)
    ]


def main() -> None:
    target = sys.argv[1] if len(sys.argv) > 1 else "x86_64-unknown-linux-gnu"
    metadata, digests = read_metadata(target), read_digests()
    packages = {package["id"]: package for package in metadata["packages"]}
    root, linked = linked_ids(metadata)
    components = {package: crate_component(packages[package], digests) for package in linked}
    program = components.pop(root) | {"type": "application"}
    references = {root: program["bom-ref"]} | {package: one["bom-ref"] for package, one in components.items()}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": program},
        "components": sorted(components.values(), key=lambda one: one["bom-ref"]) + model_components(),
        "dependencies": [
            {"ref": references[package], "dependsOn": [references[one] for one in needed]}
            for package, needed in sorted(linked.items())
        ],
    }
    json.dump(document, sys.stdout, indent=1)
    print()


main()
