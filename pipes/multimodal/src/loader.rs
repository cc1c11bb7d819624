//! The images of a chat: taken out of data URLs, or fetched from links.

use crate::{
    attachments::{Attachment, AttachmentKind},
    decode_permits::{CallerPermits, DecodePermits},
    picture::{MAX_FILE_BYTES, Picture, PictureLimits},
    valves::MultimodalValves,
};
use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use futures_util::{StreamExt, stream};
use guarded_fetch::{AllowedHosts, FetchPolicy, Fetcher, HostPattern};
use pipe_sdk::{CallerId, Content, Message, Part, PipeError, Result, Role, split_list};
use std::mem;
use tokio::task::spawn_blocking;

/// The number of images of one chat that are loaded at once.
const MAX_CONCURRENT_LOADS: usize = 4;

/// The number of images that are decoded at once, of all chats.
const MAX_CONCURRENT_DECODES: usize = 2;

/// Loads images.
pub(crate) struct Loader {
    /// `None` if no host is allowed.
    fetcher: Option<Fetcher>,
    limits: PictureLimits,
    max_images: usize,
    permits: DecodePermits,
}

/// The images of a chat, in order. An image that is not shown has no picture.
pub(crate) struct LoadedImages(pub Vec<(Attachment, Option<Picture>)>);

impl LoadedImages {
    /// Returns the pictures that are shown, each with its number in the chat, from 1.
    pub fn pictures(&self) -> impl Iterator<Item = (usize, &Picture)> {
        let numbered = self.0.iter().enumerate();
        numbered.filter_map(|(index, (_, picture))| Some((index + 1, picture.as_ref()?)))
    }
}

impl Loader {
    pub fn new(valves: &MultimodalValves) -> Result<Self> {
        Ok(Self {
            fetcher: fetcher(valves)?,
            limits: PictureLimits {
                side: valves.max_image_side,
                bytes: valves.max_image_kib << 10,
            },
            max_images: valves.max_images,
            permits: DecodePermits::new(MAX_CONCURRENT_DECODES),
        })
    }

    /// Loads the images of a chat, and takes them out of its messages: the newest, as many as are
    /// allowed.
    ///
    /// # Errors
    /// An image of the last message of the user that cannot be read, or too many of them. What was
    /// sent before does not spoil the chat.
    pub async fn load(
        &self,
        messages: &mut [Message],
        attachments: &[Attachment],
        caller: CallerId,
    ) -> Result<LoadedImages> {
        let newest = messages.iter().rposition(|message| message.role == Role::User);
        let is_new = |at: &Attachment| newest.is_some_and(|newest| at.message >= newest);
        let images: Vec<_> =
            attachments.iter().filter(|at| at.kind == AttachmentKind::Image).collect();
        let max = self.max_images;
        if let Some(first) = images.iter().filter(|at| is_new(at)).nth(max) {
            let rule = format!("a message may hold {max} images at most: send fewer");
            return Err(PipeError::bad_field(&first.field, rule));
        }
        let skipped = images.len().saturating_sub(max);
        let mut sources = Vec::with_capacity(images.len());
        for (index, image) in images.into_iter().enumerate() {
            let source = take_source(messages, image);
            sources.push((image.clone(), source.filter(|_| index >= skipped)));
        }
        let permits = &self.permits.for_caller(caller);
        let loads = sources.into_iter().map(|(image, source)| async move {
            let Some(source) = source else { return Ok((image, None)) };
            match self.load_one(source, permits).await {
                Ok(picture) => Ok((image, Some(picture))),
                Err(rule) if is_new(&image) => Err(PipeError::bad_field(&image.field, rule)),
                Err(_) => Ok((image, None)),
            }
        });
        let mut loads = stream::iter(loads).buffered(MAX_CONCURRENT_LOADS);
        let mut loaded = Vec::new();
        while let Some(image) = loads.next().await {
            loaded.push(image?);
        }
        Ok(LoadedImages(loaded))
    }

    /// Loads the image of this data URL, base64 or link.
    ///
    /// # Errors
    /// The reason, for the person who sent it.
    async fn load_one(&self, source: String, permits: &CallerPermits) -> Result<Picture, String> {
        let limits = self.limits;
        let file = if is_link(&source) {
            let Some(fetcher) = &self.fetcher else {
                return Err("links to images are not fetched here: send the image itself".into());
            };
            let fetched = fetcher.fetch(source.trim()).await.map_err(|error| error.to_string())?;
            File::Bytes(fetched.bytes.into())
        } else {
            File::Base64(source)
        };
        let permit = permits.acquire().await;
        let read = spawn_blocking(move || {
            let _permit = permit;
            let file = file.into_bytes()?;
            Picture::read(&file, limits).map_err(str::to_owned)
        });
        // A decoder that panics has met a file that it cannot read.
        read.await.unwrap_or_else(|_| Err("the image could not be read: send another one".into()))
    }
}

/// The file of an image.
enum File {
    Bytes(Vec<u8>),
    /// Base64, or a data URL of it.
    Base64(String),
}

impl File {
    fn into_bytes(self) -> Result<Vec<u8>, String> {
        let text = match self {
            Self::Bytes(bytes) => return Ok(bytes),
            Self::Base64(text) => text,
        };
        let base64 = base64_of(&text)?;
        if base64.len() / 4 * 3 > MAX_FILE_BYTES + 3 {
            return Err("the image is too large: send one of at most 20 MB".into());
        }
        decode(base64).ok_or_else(|| "the image is not valid base64: send it as a data URL".into())
    }
}

/// Returns the base64 of a data URL, or the text itself.
fn base64_of(text: &str) -> Result<&str, String> {
    let text = text.trim();
    let Some(rest) = text.get(..5).filter(|start| start.eq_ignore_ascii_case("data:")) else {
        return Ok(text);
    };
    let data = text.get(rest.len()..).and_then(|rest| rest.split_once(','));
    match data {
        Some((head, data)) if head.trim_end().ends_with("base64") => Ok(data.trim()),
        _ => Err("a data URL must hold base64, as in data:image/png;base64,…".into()),
    }
}

/// Decodes base64 of either alphabet, with or without padding and line breaks.
fn decode(base64: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let is_url_safe = base64.contains(['-', '_']);
    let alphabet = if is_url_safe { &URL_SAFE } else { &STANDARD };
    let engine = GeneralPurpose::new(alphabet, config);
    if !base64.contains(|c: char| c.is_ascii_whitespace()) {
        return engine.decode(base64).ok();
    }
    let text: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    engine.decode(text).ok()
}

/// Takes the URL of an image out of its message, which shortens the chat by its size.
fn take_source(messages: &mut [Message], image: &Attachment) -> Option<String> {
    match &mut messages.get_mut(image.message)?.content {
        Some(Content::Parts(parts)) => match parts.get_mut(image.part)? {
            Part::ImageUrl { image_url, .. } => Some(mem::take(image_url)),
            Part::Text { .. } | Part::Other(_) => None,
        },
        Some(Content::Text(_)) | None => None,
    }
}

fn is_link(source: &str) -> bool {
    let scheme = source.trim_start().get(..8).unwrap_or_default();
    scheme.to_ascii_lowercase().starts_with("http://") || scheme.eq_ignore_ascii_case("https://")
}

/// Creates the client for links; `None` if no host is allowed.
fn fetcher(valves: &MultimodalValves) -> Result<Option<Fetcher>> {
    let hosts: Vec<_> = split_list(&valves.image_hosts).collect();
    if hosts.is_empty() {
        return Ok(None);
    }
    let allowed_hosts = if hosts.contains(&"*") {
        AllowedHosts::Any
    } else {
        let patterns = hosts.into_iter().map(str::parse::<HostPattern>);
        AllowedHosts::Only(patterns.collect::<Result<_, _>>().map_err(PipeError::internal)?)
    };
    Ok(Some(Fetcher::new(FetchPolicy { allowed_hosts, ..FetchPolicy::default() })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attachments;
    use image::{ImageFormat, Rgb, RgbImage};
    use std::io::Cursor;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// An address of loopback that stands for the public internet.
    const PUBLIC: &str = "127.0.0.2";

    /// Loads the image behind a link to a host that sends this file.
    async fn load_from_link(file: &[u8], media_type: &str) -> Result<LoadedImages> {
        let listener = TcpListener::bind((PUBLIC, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let policy = FetchPolicy {
            allowed_networks: vec![format!("{PUBLIC}/32").parse().unwrap()],
            allows_plain_http: true,
            allowed_ports: vec![port],
            ..FetchPolicy::default()
        };
        let valves = MultimodalValves { max_image_side: 64, ..MultimodalValves::default() };
        let loader =
            Loader { fetcher: Some(Fetcher::new(policy)), ..Loader::new(&valves).unwrap() };
        let link = format!("http://{PUBLIC}:{port}/picture");
        let chat = format!(
            r#"[{{"role": "user", "content": [{{"type": "image_url", "image_url": {{"url": "{link}"}}}}]}}]"#
        );
        let mut messages: Vec<Message> = serde_json::from_str(&chat).unwrap();
        let found = attachments::find(&mut messages).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let length = file.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
            );
            stream.write_all(&[answer.as_bytes(), file].concat()).await.unwrap();
        };
        tokio::join!(loader.load(&mut messages, &found, CallerId::default()), serve).0
    }

    fn png(side: u32) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        RgbImage::from_pixel(side, side, Rgb([200, 10, 10]))
            .write_to(&mut file, ImageFormat::Png)
            .unwrap();
        file.into_inner()
    }

    #[tokio::test]
    async fn an_image_behind_a_link_is_fetched_checked_and_shrunk() {
        let url = |loaded: LoadedImages| loaded.pictures().next().unwrap().1.data_url.clone();
        let same = load_from_link(&png(8), "application/octet-stream").await.unwrap();
        let engine = base64::engine::general_purpose::STANDARD;
        assert_eq!(url(same), format!("data:image/png;base64,{}", engine.encode(png(8))));
        let shrunk = load_from_link(&png(200), "image/png").await.unwrap();
        assert!(url(shrunk).starts_with("data:image/jpeg;base64,"));
        let page = load_from_link(b"<html>no picture</html>", "image/png").await;
        let refused = page.map(|_| ()).unwrap_err();
        assert!(
            matches!(&refused, PipeError::BadRequest { message, param: Some(param), .. }
                if param == "messages[0].content[0]" && message.contains("PNG, JPEG, GIF or WebP")),
            "{refused:?}"
        );
    }

    #[test]
    fn base64_is_read_in_every_spelling() {
        for (text, bytes) in [
            ("data:image/png;base64,+/8=", &[0xfb, 0xff][..]),
            ("data:;BASE64,+/8", &[]),
            ("DATA:image/png;x=y;base64, -_8 ", &[0xfb, 0xff]),
            ("+/\n8", &[0xfb, 0xff]),
        ] {
            let read = base64_of(text).ok().and_then(decode).unwrap_or_default();
            assert_eq!(read, bytes, "{text}");
        }
        assert!(base64_of("data:text/plain,hello").is_err());
        assert_eq!(decode("*"), None);
        assert!(is_link("HTTP://a") && is_link(" https://a") && !is_link("data:https://"));
    }
}
