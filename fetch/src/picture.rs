//! What a picture is, by its first bytes. Labels are often wrong.

use imagesize::ImageType;

/// What a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its kind.
    pub kind: Kind,
    /// Its size, unless that stands further back than the bytes go, or is broken.
    pub size: Option<Size>,
}

/// The kinds of pictures that models take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
}

/// A picture's size in pixels, as it stands in the file: a JPEG may be meant to be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// What the picture is that begins with these bytes, if it is one. Twelve bytes tell its kind; nothing is decoded.
pub fn picture(bytes: &[u8]) -> Option<Picture> {
    let kind = match imagesize::image_type(bytes).ok()? {
        ImageType::Png => Kind::Png,
        ImageType::Jpeg => Kind::Jpeg,
        ImageType::Gif => Kind::Gif,
        ImageType::Webp => Kind::WebP,
        _ => return None,
    };
    Some(Picture { kind, size: size(bytes) })
}

fn size(bytes: &[u8]) -> Option<Size> {
    let size = imagesize::blob_size(bytes).ok()?;
    let (width, height) = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
    // A JPEG may leave its height to the end of the file.
    (width > 0 && height > 0).then_some(Size { width, height })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x03\x20\0\0\x02\x58\x08\x06\0\0\0";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\
        \xff\xc0\0\x11\x08\x02\x58\x03\x20\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";
    const PROGRESSIVE: &[u8] = b"\xff\xd8\xff\xfe\0\x0acomment!\
        \xff\xc2\0\x11\x08\x02\x58\x03\x20\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";
    const GIF: &[u8] = b"GIF89a\x20\x03\x58\x02\x80\0\0";
    const LOSSY: &[u8] =
        b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\x01\0\x9d\x01\x2a\x20\x03\x58\x02\x01\0";
    const LOSSLESS: &[u8] = b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f\x1f\xc3\x95\0\0\0\0\0";
    const EXTENDED: &[u8] = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\x1f\x03\0\x57\x02\0";

    #[test]
    fn a_head_tells_kind_and_size() {
        let size = Some(Size { width: 800, height: 600 });
        for (bytes, kind) in [
            (PNG, Kind::Png),
            (JPEG, Kind::Jpeg),
            (PROGRESSIVE, Kind::Jpeg),
            (GIF, Kind::Gif),
            (LOSSY, Kind::WebP),
            (LOSSLESS, Kind::WebP),
            (EXTENDED, Kind::WebP),
        ] {
            assert_eq!(picture(bytes), Some(Picture { kind, size }));
        }
    }

    #[test]
    fn a_head_that_ends_before_the_size_tells_the_kind() {
        for (bytes, kind) in [(PNG, Kind::Png), (JPEG, Kind::Jpeg), (EXTENDED, Kind::WebP)] {
            assert_eq!(picture(&bytes[..12]), Some(Picture { kind, size: None }));
        }
    }

    #[test]
    fn a_size_of_nothing_is_none() {
        let late = [&JPEG[..25], &[0, 0], &JPEG[27..]].concat();
        assert_eq!(picture(&late), Some(Picture { kind: Kind::Jpeg, size: None }));
    }

    #[test]
    fn what_is_no_picture_that_models_take_is_none() {
        for bytes in [
            &b""[..],
            b"\x89PNG",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            b"<!doctype html><html></html>",
            b"%PDF-1.7 and so on",
            b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0",
            b"II*\0\x08\0\0\0\0\0\0\0",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"\0\0\0\x1cftypavif\0\0\0\0avif",
        ] {
            assert_eq!(picture(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_whatever_break_it(
            head in prop::sample::select(vec![PNG, JPEG, PROGRESSIVE, GIF, LOSSY, LOSSLESS, EXTENDED]),
            kept in 0..40usize,
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            picture(&[head.get(..kept).unwrap_or(head), &rest].concat());
        }
    }
}
