//! The fingerprint of a file, by which an unchanged file is recognized before it is parsed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The metadata that holds the fingerprint of a document's file.
pub(crate) const FILE: &str = "pipewright.file";

/// The fingerprint of a file whose document is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileFingerprint {
    /// The SHA-256 digest of the bytes, in hexadecimal; none if the file was not read.
    pub sha256: Option<String>,
    /// The size and the time of the last change, of a file in a watched folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<FileStamp>,
    /// The release that has read the file. Another one may read it better.
    release: String,
}

/// The size of a file and the time of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// The size in bytes.
    pub bytes: u64,
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds of the second.
    pub nanoseconds: u32,
}

impl FileFingerprint {
    pub(crate) fn new(sha256: Option<String>, stamp: Option<FileStamp>) -> Self {
        Self { sha256, stamp, release: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// Reads the fingerprint from a document's metadata, if this release has read its file.
    pub(crate) fn from_metadata(metadata: &Map<String, Value>) -> Option<Self> {
        let fingerprint: Self = serde_json::from_value(metadata.get(FILE)?.clone()).ok()?;
        (fingerprint.release == env!("CARGO_PKG_VERSION")).then_some(fingerprint)
    }

    /// Writes the fingerprint into a document's metadata.
    pub(crate) fn insert_into(&self, metadata: &mut Map<String, Value>) {
        let value = serde_json::to_value(self).unwrap_or_default();
        metadata.insert(FILE.to_owned(), value);
    }
}

/// Returns the digest of a file's bytes, in hexadecimal.
pub fn file_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
