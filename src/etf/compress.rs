//! Compressed terms: tag 80, the inflated length, zlib data.

use super::error::{DecodeError, DecodeErrorKind, Limit};
use super::tag;
use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// How much is inflated at a time: what a lying length can cost.
const STEP: usize = 64 << 10;

/// Inflates the term whose version byte and tag have been seen, and says how many bytes it took.
pub(crate) fn inflate(bytes: &[u8], limit: usize) -> Result<(Bytes, usize), DecodeError> {
    const HEAD: usize = 6;
    let Some((head, data)) = bytes.split_first_chunk::<HEAD>() else {
        return Err(DecodeErrorKind::Truncated.at(bytes.len()));
    };
    let [.., a, b, c, d] = *head;
    let claimed = u32::from_be_bytes([a, b, c, d]);
    let length = claimed as usize;
    if length > limit {
        return Err(DecodeErrorKind::Limit(Limit::Inflated).at(1));
    }
    let mut inflater = Decompress::new(true);
    let mut inflated = Vec::new();
    loop {
        if inflated.len() == inflated.capacity() {
            // Doubles up to what was claimed, and one byte more to see that there is no more.
            let room = inflated
                .len()
                .max(STEP)
                .min((length + 1).saturating_sub(inflated.len()));
            inflated.reserve_exact(room.max(1));
        }
        let read = usize::try_from(inflater.total_in()).unwrap_or(usize::MAX);
        let rest = data.get(read..).unwrap_or_default();
        let before = (inflater.total_in(), inflater.total_out());
        let status = inflater
            .decompress_vec(rest, &mut inflated, FlushDecompress::None)
            .map_err(|_| DecodeErrorKind::BadCompression.at(HEAD))?;
        if inflated.len() > length {
            return Err(DecodeErrorKind::WrongInflatedLength(claimed).at(2));
        }
        if status == Status::StreamEnd {
            break;
        }
        if before == (inflater.total_in(), inflater.total_out()) && inflated.len() < inflated.capacity() {
            return Err(DecodeErrorKind::Truncated.at(bytes.len()));
        }
    }
    if inflated.len() < length {
        return Err(DecodeErrorKind::WrongInflatedLength(claimed).at(2));
    }
    let used = HEAD + usize::try_from(inflater.total_in()).unwrap_or(usize::MAX);
    Ok((Bytes::from(inflated), used))
}

/// Compresses a term without its version byte; nothing if that does not make it shorter, by the rule that OTP has: the
/// data must be at least five bytes shorter than the term.
pub(crate) fn deflate(term: &[u8], level: u8) -> Option<Vec<u8>> {
    let length = u32::try_from(term.len()).ok()?;
    let room = term.len().checked_sub(5)?;
    let mut bytes = Vec::with_capacity(room + 6);
    bytes.extend_from_slice(&[tag::VERSION, tag::COMPRESSED]);
    bytes.extend_from_slice(&length.to_be_bytes());
    let mut deflater = Compress::new(Compression::new(level.into()), true);
    let status = deflater
        .compress_vec(term, &mut bytes, FlushCompress::Finish)
        .ok()?;
    (status == Status::StreamEnd && bytes.len() <= room + 6).then_some(bytes)
}
