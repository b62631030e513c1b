//! Finds the parts of a WebP that a decoder decodes, and refuses those that would take more memory than the picture.
//!
//! A decoder reads the sides of the picture from one part, and allocates by those of another before it compares them.

use crate::{
    DECODED_MAX, Refused, SIDE_MAX,
    lossless::{self, Sides, Wrong},
};

/// The bytes of the headers of a file, and of a part.
const FILE: usize = 12;
const PART: usize = 8;

/// The flag of an animation.
const ANIMATED: u8 = 0x02;

/// A part of the file: its name and its content.
type Part<'a> = ([u8; 4], &'a [u8]);

/// Checks the picture, or the first frame of an animation.
pub fn check(bytes: &[u8]) -> Result<(), Refused> {
    let mut parts = Parts(bytes.get(FILE..).unwrap_or_default());
    let Some((name, said)) = parts.next() else {
        return Err(Refused::Broken);
    };
    if &name != b"VP8X" {
        return picture((name, said), None);
    }
    // Flags, then the sides less one, in three bytes each.
    let [flags, _, _, _, sides @ ..] = said else {
        return Err(Refused::Broken);
    };
    let canvas = sides_of(sides).ok_or(Refused::Broken)?;
    // A decoder takes the first part of each name.
    let first = |name: &[u8; 4]| parts.clone().find(|part| &part.0 == name);
    for part in [b"VP8 ", b"VP8L", b"ALPH"].into_iter().filter_map(first) {
        picture(part, Some(canvas))?;
    }
    match (first(b"ANMF"), flags & ANIMATED) {
        // A decoder may take the parts of the frame for those of the picture, which has other sides.
        (Some(_), 0) => Err(Refused::Broken),
        (Some((_, said)), _) => frame(said, canvas),
        (None, _) => Ok(()),
    }
}

/// A frame: its position, its sides, flags, then its parts, of which a decoder reads two.
fn frame(said: &[u8], canvas: Sides) -> Result<(), Refused> {
    const HEAD: usize = 16;
    let sides = said.get(6..12).and_then(sides_of).ok_or(Refused::Broken)?;
    if sides.0 > canvas.0 || sides.1 > canvas.1 {
        return Err(Refused::Broken);
    }
    let mut parts = Parts(said.get(HEAD..).unwrap_or_default()).take(2);
    parts.try_for_each(|part| picture(part, Some(sides)))
}

/// Checks a part that contains pixels. `sides`: those that the file said before, if it did.
fn picture((name, said): Part<'_>, sides: Option<Sides>) -> Result<(), Refused> {
    let own = match &name {
        b"VP8 " => lossy(said),
        b"VP8L" => lossless::sides(said),
        b"ALPH" => sides,
        _ => return Ok(()),
    };
    let own = own.ok_or(Refused::Broken)?;
    if sides.is_some_and(|sides| sides != own) {
        return Err(Refused::Broken);
    }
    let bytes = u64::from(own.0) * u64::from(own.1) * 3;
    if own.0 > SIDE_MAX || own.1 > SIDE_MAX || bytes > DECODED_MAX {
        return Err(Refused::TooLarge);
    }
    let checked = match (&name, said) {
        (b"VP8L", said) => lossless::check(said, None),
        // Transparency may be compressed in the same way, without a header.
        (b"ALPH", [info, said @ ..]) if info & 3 == 1 => lossless::check(said, Some(own)),
        _ => return Ok(()),
    };
    match checked {
        Ok(_) => Ok(()),
        Err(Wrong::Codes) => Err(Refused::Codes),
        Err(Wrong::Broken) => Err(Refused::Broken),
    }
}

/// The sides that a lossy picture says.
fn lossy(said: &[u8]) -> Option<Sides> {
    let [_, _, _, 0x9d, 0x01, 0x2a, w1, w2, h1, h2, ..] = said else {
        return None;
    };
    // The two highest bits scale the picture for showing it.
    let side = |low: &u8, high: &u8| u32::from(u16::from_le_bytes([*low, *high]) & 0x3fff);
    Some((side(w1, w2), side(h1, h2)))
}

/// Sides in three bytes each, less one.
fn sides_of(bytes: &[u8]) -> Option<Sides> {
    let [w1, w2, w3, h1, h2, h3, ..] = bytes else {
        return None;
    };
    let side = |a: &u8, b: &u8, c: &u8| u32::from_le_bytes([*a, *b, *c, 0]) + 1;
    Some((side(w1, w2, w3), side(h1, h2, h3)))
}

/// The parts of a file or frame. One that is cut ends with the file.
#[derive(Clone)]
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let (name, rest) = self.0.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<{ PART - 4 }>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let said = &rest[..length.min(rest.len())];
        // A part of an odd length is followed by another byte.
        self.0 = rest
            .get(length.saturating_add(length % 2)..)
            .unwrap_or_default();
        Some((*name, said))
    }
}
