//! Frames: a length in four bytes, big-endian, and so many bytes.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest frame that a worker may send, in bytes.
pub const MAX_FRAME_BYTES: usize = 128 << 20;

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
    async fn a_frame_that_is_too_large_or_cut_is_an_error() {
        for wire in [&[0xff, 0xff, 0xff, 0xff, 1][..], &[0, 0, 0, 9, 1, 2]] {
            let mut reader = wire;
            read_frame(&mut reader).await.unwrap_err();
        }
    }
}
