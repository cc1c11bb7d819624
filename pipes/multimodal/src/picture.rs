//! Pictures: their format and size are checked, and large ones are shrunk.

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    metadata::Orientation,
};
use sha2::{Digest, Sha256};
use std::io::Cursor;

/// The largest size of an image file that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 20 << 20;

/// The largest size of an image in memory, in bytes: some 60 million pixels of a photo.
const MAX_PIXEL_BYTES: u64 = 192 << 20;

/// The longest side of an image that is decoded, in pixels.
const MAX_SIDE: u32 = 30_000;

/// The quality of shrunk images, from 1 to 100.
const JPEG_QUALITY: u8 = 85;

/// The largest number of times that an image is shrunk until it fits.
const MAX_ATTEMPTS: usize = 8;

/// The limits of a picture that a model gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PictureLimits {
    /// The longest side in pixels.
    pub side: u32,
    /// The largest size of the file in bytes.
    pub bytes: usize,
}

/// A picture that a model may get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub data_url: String,
    /// The SHA-256 of the file.
    pub digest: [u8; 32],
}

/// The reason why an image cannot be read, for the person who sent it.
pub(crate) type PictureError = &'static str;

const NO_IMAGE: PictureError =
    "this is no image that can be read: send it as PNG, JPEG, GIF or WebP";
const BROKEN: PictureError = "the image is broken: send it again, as PNG, JPEG, GIF or WebP";
const TOO_LARGE: PictureError =
    "the image is too large: send one of at most 20 MB, with fewer pixels";
const UNSHRINKABLE: PictureError = "the image could not be made small enough: send a smaller one";

impl Picture {
    /// Reads the file of an image. One within the limits stays as it is; a larger one becomes a
    /// smaller JPEG, or a PNG if it is transparent.
    pub fn read(file: &[u8], limits: PictureLimits) -> Result<Self, PictureError> {
        if file.len() > MAX_FILE_BYTES {
            return Err(TOO_LARGE);
        }
        let format = image_format(file).ok_or(NO_IMAGE)?;
        let mut decoder = reader(file, format).into_decoder().map_err(|_| BROKEN)?;
        let (width, height) = decoder.dimensions();
        if width.max(height) <= limits.side && file.len() <= limits.bytes {
            return Ok(Self::new(file, format));
        }
        if width.max(height) > MAX_SIDE || decoder.total_bytes() > MAX_PIXEL_BYTES {
            return Err(TOO_LARGE);
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut image = DynamicImage::from_decoder(decoder).map_err(|_| BROKEN)?;
        image = fit(image, limits.side);
        image.apply_orientation(orientation);
        shrink(image, limits)
    }

    fn new(file: &[u8], format: ImageFormat) -> Self {
        let data_url = format!("data:{};base64,{}", format.to_mime_type(), STANDARD.encode(file));
        Self { data_url, digest: Sha256::digest(file).into() }
    }
}

/// Returns the format of an image, by its first bytes: labels are often wrong.
fn image_format(file: &[u8]) -> Option<ImageFormat> {
    use ImageFormat::{Gif, Jpeg, Png, WebP};
    image::guess_format(file).ok().filter(|format| matches!(format, Gif | Jpeg | Png | WebP))
}

/// Returns a reader of an image whose memory is limited.
fn reader(file: &[u8], format: ImageFormat) -> ImageReader<Cursor<&[u8]>> {
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXEL_BYTES);
    reader.limits(limits);
    reader
}

/// Returns the image with no side longer than this.
fn fit(image: DynamicImage, side: u32) -> DynamicImage {
    if image.width().max(image.height()) <= side { image } else { image.thumbnail(side, side) }
}

/// Returns the image as a file within the limits.
fn shrink(mut image: DynamicImage, limits: PictureLimits) -> Result<Picture, PictureError> {
    let mut side = limits.side.min(image.width().max(image.height()));
    for attempt in 0..MAX_ATTEMPTS {
        let is_transparent = image.color().has_alpha() && attempt < MAX_ATTEMPTS / 2;
        let (file, format) = write(&image, is_transparent).ok_or(BROKEN)?;
        if file.len() <= limits.bytes {
            return Ok(Picture::new(&file, format));
        }
        side = (side * 3 / 4).max(1);
        image = fit(image, side);
    }
    Err(UNSHRINKABLE)
}

/// Encodes an image as a PNG, or as a JPEG if it is not transparent.
fn write(image: &DynamicImage, is_transparent: bool) -> Option<(Vec<u8>, ImageFormat)> {
    let mut file = Cursor::new(Vec::new());
    let format = if is_transparent {
        image.to_rgba8().write_to(&mut file, ImageFormat::Png).ok()?;
        ImageFormat::Png
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY);
        image.to_rgb8().write_with_encoder(encoder).ok()?;
        ImageFormat::Jpeg
    };
    Some((file.into_inner(), format))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    const LIMITS: PictureLimits = PictureLimits { side: 256, bytes: 20_000 };

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image.into().write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn read_again(picture: &Picture) -> DynamicImage {
        let (_, base64) = picture.data_url.split_once(',').unwrap();
        image::load_from_memory(&STANDARD.decode(base64).unwrap()).unwrap()
    }

    #[test]
    fn a_small_image_stays_as_it_is() {
        let file = png(RgbImage::from_pixel(10, 10, Rgb([1, 2, 3])));
        let picture = Picture::read(&file, LIMITS).unwrap();
        let expected = format!("data:image/png;base64,{}", STANDARD.encode(&file));
        assert_eq!(picture.data_url, expected);
    }

    #[test]
    fn large_images_are_shrunk_to_both_limits() {
        let file = png(RgbImage::from_pixel(1024, 512, Rgb([200, 10, 10])));
        let picture = Picture::read(&file, LIMITS).unwrap();
        let small = read_again(&picture);
        assert!(picture.data_url.starts_with("data:image/jpeg;"));
        assert_eq!((small.width(), small.height()), (256, 128));
        // Noise is what JPEG writes worst.
        let noise = RgbImage::from_fn(250, 250, |x, y| {
            Rgb([(x * 7 + y * 13) as u8, (x * y) as u8, (x ^ y) as u8])
        });
        let tight = PictureLimits { bytes: 6000, ..LIMITS };
        let picture = Picture::read(&png(noise), tight).unwrap();
        assert!(picture.data_url.len() < 6000 * 4 / 3 + 30, "{}", picture.data_url.len());
        let clear = png(RgbaImage::from_pixel(600, 600, Rgba([1, 2, 3, 0])));
        assert!(Picture::read(&clear, LIMITS).unwrap().data_url.starts_with("data:image/png;"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let mut cut = png(RgbImage::from_pixel(600, 600, Rgb([1, 2, 3])));
        cut.truncate(cut.len() / 2);
        assert_eq!(Picture::read(&cut, LIMITS), Err(BROKEN));
        assert_eq!(Picture::read(&cut[..20], LIMITS), Err(BROKEN));
        assert_eq!(Picture::read(b"<svg/>", LIMITS), Err(NO_IMAGE));
        assert_eq!(Picture::read(b"", LIMITS), Err(NO_IMAGE));
        assert_eq!(Picture::read(&vec![0; MAX_FILE_BYTES + 1], LIMITS), Err(TOO_LARGE));
    }

    #[test]
    fn a_bomb_of_pixels_is_refused_before_it_is_decoded() {
        let mut bomb = png(RgbImage::from_pixel(1, 1, Rgb([0, 0, 0])));
        // The width and height of the header, and its checksum.
        bomb[16..24].copy_from_slice(&[0, 0, 0x61, 0xA8, 0, 0, 0x61, 0xA8]);
        let crc = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(Picture::read(&bomb, LIMITS), Err(TOO_LARGE));
    }

    /// The checksum of PNG (<https://www.w3.org/TR/png-3/#D-CRCAppendix>).
    fn crc32(bytes: &[u8]) -> u32 {
        let shift = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
    }
}
