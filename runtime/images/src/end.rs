//! Checks that a file is complete. Half a JPEG decodes without an error, with a grey lower half; so do some PNGs.
//!
//! Bytes after the end are ignored, since they are not part of the pictures that are made from the file.

use crate::Kind;

pub fn is_whole(bytes: &[u8], kind: Kind) -> bool {
    match kind {
        Kind::Jpeg => jpeg(bytes, |_, _| ()).map(drop),
        Kind::Png => png(bytes),
        Kind::Webp => webp(bytes),
        Kind::Gif => gif(bytes),
    }
    .is_some()
}

/// The marker of a JPEG's scan.
pub const SCAN: u8 = 0xda;

/// Skips segments by their length, since a thumbnail in a segment has an end marker of its own, which must not count.
/// `seen` is called with the marker and the contents of each segment. Returns the length of the picture. `None`: its end
/// is missing.
pub fn jpeg(bytes: &[u8], mut seen: impl FnMut(u8, &[u8])) -> Option<usize> {
    const END: u8 = 0xd9;
    let mut at = 2;
    loop {
        // Any number of fill bytes may precede a marker.
        while *bytes.get(at)? == 0xff && *bytes.get(at + 1)? == 0xff {
            at += 1;
        }
        let marker = *bytes.get(at + 1)?;
        match (bytes[at], marker) {
            (0xff, END) => return Some(at + 2),
            // Markers without a length.
            (0xff, 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, 0x02..) => {
                let length = u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]);
                let end = at + 2 + usize::from(length);
                seen(marker, bytes.get(at + 4..end).unwrap_or_default());
                at = end;
                if marker == SCAN {
                    at = after_scan(bytes, at)?;
                }
            }
            // Some writers leave a few bytes between segments; decoders skip them.
            _ => at += 1,
        }
    }
}

/// The position after a scan's data. In a scan 0xff is followed by 0 or a restart marker; any other marker ends the
/// scan.
fn after_scan(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match *bytes.get(at + 1)? {
            0 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

fn png(bytes: &[u8]) -> Option<()> {
    let mut at = 8;
    loop {
        let head = bytes.get(at..at + 8)?;
        let length = u32::from_be_bytes(head[..4].try_into().ok()?);
        let next = at
            .checked_add(12)?
            .checked_add(usize::try_from(length).ok()?)?;
        // The chunk's length does not include its checksum.
        bytes.get(..next)?;
        if &head[4..] == b"IEND" {
            return Some(());
        }
        at = next;
    }
}

/// A WebP file has its length at its beginning.
fn webp(bytes: &[u8]) -> Option<()> {
    let length = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    bytes.get(..usize::try_from(length).ok()?.checked_add(8)?)?;
    Some(())
}

fn gif(bytes: &[u8]) -> Option<()> {
    // A table of 2 to 256 colours follows if the highest bit is set.
    let colours = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let mut at = 13 + colours(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            0x3b => return Some(()),
            // An extension: its label, then blocks.
            0x21 => at = after_blocks(bytes, at + 2)?,
            // A frame: its position and size, possibly a colour table, the code size, then blocks.
            0x2c => {
                let flags = *bytes.get(at + 9)?;
                at = after_blocks(bytes, at + 10 + colours(flags) + 1)?;
            }
            _ => return None,
        }
    }
}

/// Skips blocks, each preceded by its length; an empty block is the last.
fn after_blocks(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => return Some(at + 1),
            length => at += 1 + length,
        }
    }
}
