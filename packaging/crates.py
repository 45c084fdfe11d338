#!/usr/bin/env python3
"""What is linked into the program, by cargo's metadata of this machine.

    packaging/crates.py sbom      a list of the crates with versions, licences and checksums, as CycloneDX JSON
    packaging/crates.py notices   the texts of their licences

Both are the same bytes for the same sources: the time is that of SOURCE_DATE_EPOCH, where it is set.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
LICENCE_FILE = re.compile(r"^(li[cs]en[cs]e|copying|copyright|notice|unlicen[cs]e)", re.IGNORECASE)


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked():
    """The program's package, the packages that it uses when it runs, and which uses which."""
    triple = re.search(r"^host: (.*)$", run("rustc", "-vV"), re.MULTILINE).group(1)
    metadata = json.loads(run("cargo", "metadata", "--quiet", "--locked", "--format-version=1", "--filter-platform", triple))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    uses, waiting = {}, [root]
    while waiting:
        package = waiting.pop()
        if package in uses:
            continue
        is_normal = lambda dep: any(kind["kind"] is None for kind in dep["dep_kinds"])
        uses[package] = sorted({dep["pkg"] for dep in nodes[package]["deps"] if is_normal(dep)})
        waiting.extend(uses[package])
    used = sorted((packages[package] for package in uses if package != root), key=lambda p: (p["name"], p["version"]))
    return packages[root], used, uses


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def checksums():
    """The SHA-256 of each crate's archive, by name and version."""
    found = {}
    for block in (ROOT / "Cargo.lock").read_text().split("[[package]]"):
        fields = dict(re.findall(r'^(name|version|checksum) = "(.*)"$', block, re.MULTILINE))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


def component(package, sums, kind):
    entry = {
        "type": kind,
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package["license"]:
        # A slash is an old spelling of OR.
        entry["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def sbom():
    program, used, uses = linked()
    sums = checksums()
    references = {package["id"]: reference(package) for package in [program, *used]}
    digest = hashlib.sha256((ROOT / "Cargo.lock").read_bytes()).hexdigest()
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, reference(program) + digest)}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
            "component": component(program, sums, "application"),
        },
        "components": [component(package, sums, "library") for package in used],
        "dependencies": [
            {"ref": references[package], "dependsOn": sorted(references[other] for other in others)}
            for package, others in sorted(uses.items(), key=lambda item: references[item[0]])
        ],
    }
    print(json.dumps(document, indent=2))


def notices():
    program, used, _ = linked()
    texts = {}
    for package in used:
        directory = pathlib.Path(package["manifest_path"]).parent
        for path in sorted(path for path in directory.iterdir() if path.is_file() and LICENCE_FILE.match(path.name)):
            text = path.read_text(errors="replace").replace("\r\n", "\n").strip()
            texts.setdefault(text, []).append(f"{package['name']} {package['version']} ({path.name})")
    print(f"{program['name']} {program['version']} has the following packages in it, under these licences.\n")
    for package in used:
        print(f"{package['name']} {package['version']}: {package['license'] or 'see its text'}")
    for text, packages in sorted(texts.items(), key=lambda item: item[1]):
        print("\n" + "=" * 80)
        print("\n".join(packages))
        print("=" * 80 + "\n\n" + text)


if __name__ == "__main__":
    actions = {"sbom": sbom, "notices": notices}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(__doc__)
    actions[sys.argv[1]]()
