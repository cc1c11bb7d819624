//! The formats of media that Bedrock accepts (`docs/reference/bedrock.md`, "Converse request"), and
//! their detection by first bytes, media type or file name.

/// Formats by the endings of file names and the subtypes of media types.
pub type Formats = &'static [(&'static str, &'static str)];

/// Pictures.
pub const IMAGES: Formats =
    &[("png", "png"), ("jpg", "jpeg"), ("jpeg", "jpeg"), ("gif", "gif"), ("webp", "webp")];

/// Files.
pub const DOCUMENTS: Formats = &[
    ("pdf", "pdf"),
    ("csv", "csv"),
    ("doc", "doc"),
    ("msword", "doc"),
    ("docx", "docx"),
    ("vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("xls", "xls"),
    ("vnd.ms-excel", "xls"),
    ("xlsx", "xlsx"),
    ("vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("html", "html"),
    ("htm", "html"),
    ("xhtml+xml", "html"),
    ("md", "md"),
    ("markdown", "md"),
    ("x-markdown", "md"),
    ("txt", "txt"),
    ("text", "txt"),
    ("plain", "txt"),
];

/// Films.
pub const VIDEOS: Formats = &[
    ("mp4", "mp4"),
    ("mkv", "mkv"),
    ("x-matroska", "mkv"),
    ("mov", "mov"),
    ("quicktime", "mov"),
    ("webm", "webm"),
    ("flv", "flv"),
    ("x-flv", "flv"),
    ("mpeg", "mpeg"),
    ("mpg", "mpg"),
    ("wmv", "wmv"),
    ("x-ms-wmv", "wmv"),
    ("3gp", "three_gp"),
    ("3gpp", "three_gp"),
];

/// Sounds.
pub const AUDIOS: Formats = &[
    ("mp3", "mp3"),
    ("mpeg", "mp3"),
    ("opus", "opus"),
    ("wav", "wav"),
    ("wave", "wav"),
    ("x-wav", "wav"),
    ("aac", "aac"),
    ("x-aac", "x-aac"),
    ("flac", "flac"),
    ("x-flac", "flac"),
    ("mp4", "mp4"),
    ("m4a", "m4a"),
    ("x-m4a", "m4a"),
    ("ogg", "ogg"),
    ("mkv", "mkv"),
    ("mka", "mka"),
    ("x-matroska", "mka"),
    ("mpga", "mpga"),
    ("pcm", "pcm"),
    ("pcm16", "pcm"),
    ("webm", "webm"),
];

/// Returns the service's name of a format.
fn lookup(word: &str, formats: Formats) -> Option<&'static str> {
    let known = formats.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
    known.map(|(_, format)| *format)
}

/// Returns the format of a file extension.
pub fn by_extension(name: &str, formats: Formats) -> Option<&'static str> {
    lookup(name.rsplit_once('.')?.1, formats)
}

/// Returns the format of a media type, or of its last part alone.
pub fn by_media_type(label: &str, formats: Formats) -> Option<&'static str> {
    let kind = label.split(';').next().unwrap_or_default().trim();
    let of = match kind.split_once('/') {
        // `audio/mpeg` is no film, and `video/mpeg` no sound.
        Some(("audio", _)) if formats == VIDEOS => return None,
        Some(("application" | "text" | "image", _)) if formats == VIDEOS => return None,
        Some((_, subtype)) => subtype,
        None => kind,
    };
    lookup(of, formats)
}

/// Returns whether a file of this format can be read as it is.
pub fn is_text(format: &str) -> bool {
    matches!(format, "txt" | "md" | "csv" | "html")
}

/// Returns the kind of a picture, by its first bytes.
pub fn image_format(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
        _ => None,
    }
}

/// Returns the kind of a file: what its bytes show, or else what its name and its label say.
pub fn document_format(head: &[u8], label: &str, name: Option<&str>) -> Option<&'static str> {
    let declared = name
        .and_then(|name| by_extension(name, DOCUMENTS))
        .or_else(|| by_media_type(label, DOCUMENTS));
    match head {
        [b'%', b'P', b'D', b'F', ..] => Some("pdf"),
        [b'P', b'K', 3, 4, ..] => declared.filter(|format| matches!(*format, "docx" | "xlsx")),
        [0xD0, 0xCF, 0x11, 0xE0, ..] => declared.filter(|format| matches!(*format, "doc" | "xls")),
        _ => declared.filter(|format| is_text(format)).or_else(|| {
            // Program code, JSON and the like are text under many names.
            let texts =
                !head.contains(&0) && (label.starts_with("text/") || label.contains("json"));
            let bare = label.is_empty() || label.starts_with("application/octet-stream");
            let unnamed = bare && name.is_some() && !head.contains(&0);
            (texts || unnamed).then_some("txt")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_films_and_sounds() {
        assert_eq!(by_media_type("video/3gpp", VIDEOS), Some("three_gp"));
        assert_eq!(by_media_type("audio/mpeg", VIDEOS), None);
        assert_eq!(by_media_type("audio/mpeg;x=1", AUDIOS), Some("mp3"));
        assert_eq!(by_media_type("wav", AUDIOS), Some("wav"));
    }
}
