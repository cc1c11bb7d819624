//! Frames: a length in four bytes, big-endian, and so many bytes.

use crate::protocol::WorkerFrame;
use json_limits::JsonLimits;
use std::io;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::spawn_blocking,
};

/// The largest frame that a worker may send, in bytes.
pub const MAX_FRAME_BYTES: usize = 128 << 20;

/// The most pieces of JSON in a frame, as in a client's chat.
const MAX_PIECES: usize = 500_000;

/// Larger frames than this are parsed off the threads that serve requests.
const LONG_FRAME: usize = 128 << 10;

/// Parses a frame of a worker.
pub async fn parse_frame(frame: Vec<u8>) -> io::Result<WorkerFrame> {
    let is_long = frame.len() > LONG_FRAME;
    let parse = move || {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let counted = JsonLimits::up_to(MAX_PIECES).read(&frame);
        counted.map_err(|error| invalid(format!("a frame is {error}")))?;
        serde_json::from_slice(&frame)
            .map_err(|error| invalid(format!("a frame cannot be read: {error}")))
    };
    if is_long {
        return spawn_blocking(parse).await.map_err(io::Error::other)?;
    }
    parse()
}

/// Reads the next frame; `None` if the other end has closed the connection.
pub async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = match reader.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > MAX_FRAME_BYTES {
        let message = format!("a frame of {length} bytes, where {MAX_FRAME_BYTES} are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    // It grows with what comes, so that a length alone takes no memory.
    let mut frame = Vec::new();
    let received = reader.take(length as u64).read_to_end(&mut frame).await?;
    if received < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(frame))
}

/// Writes a frame.
pub async fn write_frame(writer: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a frame of 4 GiB"))?;
    writer.write_u32(length).await?;
    writer.write_all(frame).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_as_they_went_in() {
        let mut wire = Vec::new();
        write_frame(&mut wire, b"{}").await.unwrap();
        write_frame(&mut wire, b"").await.unwrap();
        let mut reader = wire.as_slice();
        assert_eq!(read_frame(&mut reader).await.unwrap().unwrap(), b"{}");
        assert_eq!(read_frame(&mut reader).await.unwrap().unwrap(), b"");
        assert_eq!(read_frame(&mut reader).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_frame_of_too_many_pieces_is_an_error() {
        let frame = format!(r#"{{"item": {{"object": [{}0]}}}}"#, "0,".repeat(MAX_PIECES));
        let error = parse_frame(frame.into_bytes()).await.unwrap_err();
        assert!(error.to_string().contains("too many pieces"), "{error}");
    }

    #[tokio::test]
    async fn a_frame_that_is_too_large_or_cut_is_an_error() {
        for wire in [&[0xff, 0xff, 0xff, 0xff, 1][..], &[0, 0, 0, 9, 1, 2]] {
            let mut reader = wire;
            read_frame(&mut reader).await.unwrap_err();
        }
    }
}
