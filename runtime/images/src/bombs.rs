//! Refuses small files whose decoding would take much memory or time, before a decoder sees them.
//!
//! Decoders limit the size of the picture, but not what else a file may hold: compressed metadata of a PNG that unpack to
//! gigabytes, a JPEG with thousands of scans, each over the whole picture, or a WebP with prefix codes for each of 65,536
//! groups of pixels. Metadata of JPEG, WebP and GIF files are not compressed, so they are no larger than the file. Of an
//! animation only the first frame is decoded.

use crate::{Kind, Refused, end, webp};
use flate2::{Decompress, FlushDecompress, Status};
use std::borrow::Cow;

/// The maximum size of a PNG's compressed metadata once they are unpacked, in bytes. Colour profiles of cameras and
/// screens have some kilobytes.
pub const METADATA_MAX: usize = 4 << 20;

/// The maximum size of a PNG's colour profile in the file, in bytes.
const PROFILE_MAX: usize = 1 << 20;

/// The maximum number of compressed pieces of metadata in a PNG.
const PIECES_MAX: usize = 1000;

/// The maximum size of EXIF data, from which the orientation is read; in JPEG files it can't be larger.
const EXIF_MAX: usize = 1 << 16;

/// The maximum number of scans of a JPEG. Usual files have one, progressive ones about ten.
pub const SCANS_MAX: usize = 100;

/// The maximum memory for decoding a progressive JPEG, in bytes: two for each coefficient, and one for each sample.
const PROGRESSIVE_MAX: u64 = 640 << 20;

/// The file as the decoder may see it.
pub fn defused(bytes: &[u8], kind: Kind) -> Result<Cow<'_, [u8]>, Refused> {
    match kind {
        Kind::Png => Ok(Cow::Owned(png(bytes)?)),
        Kind::Jpeg => jpeg(bytes).map(Cow::Borrowed),
        Kind::Webp => webp::check(bytes).map(|()| Cow::Borrowed(bytes)),
        Kind::Gif => Ok(Cow::Borrowed(bytes)),
    }
}

/// Without what follows the picture, since decoders may look for more scans there.
fn jpeg(bytes: &[u8]) -> Result<&[u8], Refused> {
    const PROGRESSIVE: u8 = 0xc2;
    let (mut scans, mut most) = (0, 0);
    let length = end::jpeg(bytes, |marker, said| match (marker, said) {
        (end::SCAN, _) => scans += 1,
        // Precision, height, width, number of components.
        (PROGRESSIVE, [_, h1, h2, w1, w2, components, ..]) => {
            let side = |high: u8, low: u8| u64::from(u16::from_be_bytes([high, low]));
            let samples = side(*h1, *h2) * side(*w1, *w2) * u64::from(*components);
            most = most.max(samples * 3);
        }
        _ => {}
    });
    match (scans > SCANS_MAX, most > PROGRESSIVE_MAX) {
        (true, _) => Err(Refused::Scans),
        (_, true) => Err(Refused::TooLarge),
        _ => length.map(|length| &bytes[..length]).ok_or(Refused::Cut),
    }
}

/// Leaves out the chunks without which the picture looks the same. If the file is cut, its rest is kept as it is.
fn png(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    const START: usize = 8;
    let mut kept = bytes.get(..START).unwrap_or_default().to_vec();
    let mut unpacked = Unpacked::default();
    let mut pixels = Pixels::default();
    let mut rest = bytes.get(START..).unwrap_or_default();
    while let Some((name, said, next)) = chunk(rest) {
        match name {
            b"IHDR" => pixels = Pixels::of(said),
            b"IDAT" => pixels.add(said)?,
            b"iCCP" if said.len() > PROFILE_MAX => return Err(Refused::Metadata),
            b"iCCP" | b"zTXt" => unpacked.add(after_texts(said, 1, 1))?,
            // One byte says whether the text is compressed; a language and a translated keyword precede it.
            b"iTXt" => {
                if let [1, _, said @ ..] = after_texts(said, 1, 0) {
                    unpacked.add(after_texts(said, 2, 0))?;
                }
            }
            _ => {}
        }
        // The names of chunks that decoders must understand begin with a capital letter.
        let is_needed = match name {
            b"tRNS" => true,
            b"eXIf" => said.len() <= EXIF_MAX,
            _ => name[0].is_ascii_uppercase(),
        };
        if is_needed {
            kept.extend_from_slice(&rest[..rest.len() - next.len()]);
        }
        rest = next;
        if name == b"IEND" {
            return Ok(kept);
        }
    }
    kept.extend_from_slice(rest);
    Ok(kept)
}

/// The name and the contents of the first chunk, and what follows it. `None`: the file ends before.
fn chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (said, rest) = rest.split_at_checked(length)?;
    // The checksum.
    let (_, rest) = rest.split_first_chunk::<4>()?;
    Some((name, said, rest))
}

/// What follows this many texts, each ended by a zero, and this many bytes.
fn after_texts(mut said: &[u8], texts: usize, bytes: usize) -> &[u8] {
    for _ in 0..texts {
        let end = said.iter().position(|byte| *byte == 0);
        said = end.map_or(&[][..], |end| &said[end + 1..]);
    }
    said.get(bytes..).unwrap_or_default()
}

/// Counts the bytes that the pixels of a PNG unpack to, which may be followed by more, in the same stream, that a decoder
/// would unpack to the end.
struct Pixels {
    unpacking: Decompress,
    left: u64,
}

impl Default for Pixels {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Pixels {
    fn of(header: &[u8]) -> Self {
        let pixels = match header {
            [w1, w2, w3, w4, h1, h2, h3, h4, depth, colours, ..] => {
                let width = u64::from(u32::from_be_bytes([*w1, *w2, *w3, *w4]));
                let height = u64::from(u32::from_be_bytes([*h1, *h2, *h3, *h4]));
                let samples = match colours {
                    2 => 3,
                    4 => 2,
                    6 => 4,
                    _ => 1,
                };
                let line = width.saturating_mul(samples * u64::from(*depth)) / 8 + 2;
                line.saturating_mul(height)
            }
            _ => 0,
        };
        Self {
            unpacking: Decompress::new(true),
            // Twice as many, since an interlaced picture has more lines.
            left: pixels.saturating_mul(2).saturating_add(1 << 16),
        }
    }

    fn add(&mut self, packed: &[u8]) -> Result<(), Refused> {
        let written = unpack(&mut self.unpacking, packed, self.left);
        self.left = self.left.checked_sub(written).ok_or(Refused::Broken)?;
        Ok(())
    }
}

/// Unpacks until the end, or a little beyond this number of bytes. Returns how many bytes were written. What
/// can't be unpacked counts as an end: decoders refuse or leave it out.
fn unpack(unpacking: &mut Decompress, packed: &[u8], most: u64) -> u64 {
    let mut buffer = vec![0; 32 << 10];
    let (read_before, written_before) = (unpacking.total_in(), unpacking.total_out());
    loop {
        let (read, written) = (unpacking.total_in(), unpacking.total_out());
        let from = usize::try_from(read - read_before).unwrap_or(packed.len());
        let left = packed.get(from..).unwrap_or_default();
        let done = unpacking.decompress(left, &mut buffer, FlushDecompress::None);
        let moved = (unpacking.total_in(), unpacking.total_out()) != (read, written);
        let total = unpacking.total_out() - written_before;
        if total > most || !moved || !matches!(done, Ok(Status::Ok | Status::BufError)) {
            return total;
        }
    }
}

/// Counts the bytes that compressed metadata unpack to, no further than the limit.
#[derive(Default)]
struct Unpacked {
    bytes: usize,
    pieces: usize,
}

impl Unpacked {
    fn add(&mut self, packed: &[u8]) -> Result<(), Refused> {
        self.pieces += 1;
        if self.pieces > PIECES_MAX {
            return Err(Refused::Metadata);
        }
        let most = (METADATA_MAX - self.bytes) as u64;
        let written = unpack(&mut Decompress::new(true), packed, most);
        self.bytes += usize::try_from(written).unwrap_or(METADATA_MAX);
        match self.bytes > METADATA_MAX {
            true => Err(Refused::Metadata),
            false => Ok(()),
        }
    }
}
