//! Adds up what a decoder allocates for the prefix codes of a lossless WebP, before a decoder sees the file.
//!
//! Each group of pixels may have five prefix codes of its own, there may be 65,536 groups, and a few bytes describe a code
//! whose tables take a thousand times as many: a file of some megabytes would take gigabytes. The number of groups is
//! known only after the parts before it have been read, so this module reads the stream up to the pixels. It keeps no
//! pixels: of the picture that assigns groups to blocks only the greatest number matters, and what is copied from
//! elsewhere in it can't be greater than what was copied.
//!
//! Format: <https://developers.google.com/speed/webp/docs/webp_lossless_bitstream_specification>

/// The maximum memory for all prefix codes of a picture, in bytes. Encoders write some thousand groups at most.
pub const CODES_MAX: usize = 128 << 20;

/// The number of prefix codes in a group.
const CODES: usize = 5;

/// How many symbols the codes of a group have: green with lengths, red, blue, alpha, distances. Those of the first are
/// more if colours are cached.
const SYMBOLS: [usize; CODES] = [256 + 24, 256, 256, 256, 40];

/// The maximum length of a code, in bits.
const BITS_MAX: usize = 15;

/// The order in which the lengths of the codes for lengths are written.
const LENGTHS: [usize; 19] = [
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// The sides of a picture in pixels.
pub type Sides = (u32, u32);

/// What is wrong with a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It ends early, or says what the format does not allow.
    Broken,
    /// Its prefix codes would take more memory than [`CODES_MAX`].
    Codes,
}

/// Reads a stream up to its pixels. `sides`: of a stream without a header, as those of transparency are.
pub fn check(bytes: &[u8], sides: Option<Sides>) -> Result<Sides, Wrong> {
    let mut stream = Stream { bytes, at: 0 };
    let sides = match sides {
        Some(sides) => sides,
        None => stream.header().ok_or(Wrong::Broken)?,
    };
    let sides_read = stream.transforms(sides).ok_or(Wrong::Broken)?;
    stream.codes(sides_read)?;
    Ok(sides)
}

/// The sides that the header of a stream says.
pub fn sides(bytes: &[u8]) -> Option<Sides> {
    Stream { bytes, at: 0 }.header()
}

struct Stream<'a> {
    bytes: &'a [u8],
    /// The position, in bits.
    at: usize,
}

impl Stream<'_> {
    /// The next bits, the lowest first. `None`: the stream ends before.
    fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for place in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value |= (u32::from(*byte) >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(value)
    }

    fn header(&mut self) -> Option<Sides> {
        const SIGNATURE: u32 = 0x2f;
        if self.read(8)? != SIGNATURE {
            return None;
        }
        let sides = (self.read(14)? + 1, self.read(14)? + 1);
        let _has_alpha = self.read(1)?;
        (self.read(3)? == 0).then_some(sides)
    }

    /// Skips the transforms, some of which contain a small picture. Returns the sides of the picture that follows.
    fn transforms(&mut self, (mut width, height): Sides) -> Option<Sides> {
        let mut seen = [false; 4];
        while self.read(1)? == 1 {
            let kind = self.read(2)?;
            if std::mem::replace(seen.get_mut(kind as usize)?, true) {
                return None;
            }
            match kind {
                // A predictor or a colour transform for each block.
                0 | 1 => {
                    let bits = self.read(3)? + 2;
                    self.small((blocks(width, bits), blocks(height, bits)))?;
                }
                // Green is subtracted.
                2 => {}
                // A palette.
                _ => {
                    let colours = self.read(8)? + 1;
                    self.small((colours, 1))?;
                    let bits = match colours {
                        ..=2 => 3,
                        3..=4 => 2,
                        5..=16 => 1,
                        _ => 0,
                    };
                    width = blocks(width, bits);
                }
            }
        }
        Some((width, height))
    }

    /// Adds up the prefix codes of the picture itself.
    fn codes(&mut self, (width, height): Sides) -> Result<(), Wrong> {
        let cache = self.cache().ok_or(Wrong::Broken)?;
        let mut groups = 1;
        if self.read(1).ok_or(Wrong::Broken)? == 1 {
            let bits = self.read(3).ok_or(Wrong::Broken)? + 2;
            let most = self.small((blocks(width, bits), blocks(height, bits)));
            groups = most.ok_or(Wrong::Broken)? + 1;
        }
        let mut taken = 0;
        for _ in 0..groups {
            for code in self.group(cache).ok_or(Wrong::Broken)? {
                taken += code.memory();
            }
            if taken > CODES_MAX {
                return Err(Wrong::Codes);
            }
        }
        Ok(())
    }

    /// How many colours are cached.
    fn cache(&mut self) -> Option<usize> {
        match self.read(1)? {
            0 => Some(0),
            _ => {
                let bits = self.read(4)?;
                (1..=11).contains(&bits).then_some(1 << bits)
            }
        }
    }

    /// Skips a picture with one group of codes. Returns the greatest number that its red and green make.
    fn small(&mut self, (width, height): Sides) -> Option<u32> {
        let cache = self.cache()?;
        let [green, red, blue, alpha, distance] = self.group(cache)?;
        let mut left = u64::from(width) * u64::from(height);
        let mut most = 0;
        // All pixels are the same, and take no bits.
        if [&green, &red, &blue, &alpha]
            .iter()
            .all(|code| code.is_one())
            && green.symbols[0] < 256
        {
            return Some(u32::from(red.symbols[0]) << 8 | u32::from(green.symbols[0]));
        }
        while left > 0 {
            let pixels = match green.next(self)? {
                literal @ ..256 => {
                    most = most.max(u32::from(red.next(self)?) << 8 | u32::from(literal));
                    blue.next(self)?;
                    alpha.next(self)?;
                    1
                }
                length @ 256..280 => {
                    let pixels = self.distance(length - 256)?;
                    let from = distance.next(self)?;
                    self.distance(from)?;
                    pixels
                }
                _cached => 1,
            };
            left = left.checked_sub(pixels)?;
        }
        Some(most)
    }

    /// A length or distance, for which a symbol has as many more bits as it says.
    fn distance(&mut self, symbol: u16) -> Option<u64> {
        let symbol = u32::from(symbol);
        if symbol < 4 {
            return Some(u64::from(symbol) + 1);
        }
        let more = (symbol - 2) / 2;
        let rest = self.read(more)?;
        Some(u64::from((2 + symbol % 2) << more) + u64::from(rest) + 1)
    }

    fn group(&mut self, cache: usize) -> Option<[Code; CODES]> {
        let mut codes = [const { Code::NONE }; CODES];
        for (index, code) in codes.iter_mut().enumerate() {
            let cached = if index == 0 { cache } else { 0 };
            *code = self.code(SYMBOLS[index] + cached)?;
        }
        Some(codes)
    }

    fn code(&mut self, symbols: usize) -> Option<Code> {
        match self.read(1)? {
            1 => self.simple(symbols),
            _ => {
                let lengths = self.lengths(symbols)?;
                Code::of(&lengths)
            }
        }
    }

    /// A code of one or two symbols.
    fn simple(&mut self, symbols: usize) -> Option<Code> {
        let is_two = self.read(1)? == 1;
        let bits = 1 + 7 * self.read(1)?;
        let mut known = vec![self.read(bits)?];
        if is_two {
            known.push(self.read(8)?);
        }
        let known: Option<Vec<u16>> = known
            .into_iter()
            .map(|symbol| {
                u16::try_from(symbol)
                    .ok()
                    .filter(|one| usize::from(*one) < symbols)
            })
            .collect();
        let mut counts = [0; BITS_MAX + 1];
        counts[1] = known.as_ref()?.len();
        Some(Code {
            counts,
            symbols: known?,
        })
    }

    /// The lengths of a code's symbols, which are written with another code.
    fn lengths(&mut self, symbols: usize) -> Option<Vec<u8>> {
        let mut of_lengths = [0; LENGTHS.len()];
        let count = self.read(4)? as usize + 4;
        for place in LENGTHS.iter().take(count) {
            of_lengths[*place] = u8::try_from(self.read(3)?).ok()?;
        }
        let code = Code::of(&of_lengths)?;
        let mut left = match self.read(1)? {
            1 => {
                let bits = 2 + 2 * self.read(3)?;
                let most = self.read(bits)? as usize + 2;
                (most <= symbols).then_some(most)?
            }
            _ => symbols,
        };
        let (mut lengths, mut before) = (Vec::with_capacity(symbols), 8);
        while lengths.len() < symbols && left > 0 {
            left -= 1;
            let (length, times) = match u8::try_from(code.next(self)?).ok()? {
                16 => (before, self.read(2)? + 3),
                17 => (0, self.read(3)? + 3),
                18 => (0, self.read(7)? + 11),
                length => (length, 1),
            };
            if length > 0 {
                before = length;
            }
            lengths.extend(std::iter::repeat_n(length, times as usize));
        }
        lengths.resize(lengths.len().max(symbols), 0);
        (lengths.len() == symbols).then_some(lengths)
    }
}

/// A prefix code: the number of its symbols of each length, and the symbols in the order of their codes.
struct Code {
    counts: [usize; BITS_MAX + 1],
    symbols: Vec<u16>,
}

impl Code {
    const NONE: Self = Self {
        counts: [0; BITS_MAX + 1],
        symbols: Vec::new(),
    };

    /// `None`: it has no symbols, or codes without a symbol.
    fn of(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0; BITS_MAX + 1];
        for length in lengths.iter().filter(|length| **length > 0) {
            *counts.get_mut(usize::from(*length))? += 1;
        }
        let all: usize = counts.iter().sum();
        let used: usize = (1..=BITS_MAX)
            .map(|bits| counts[bits] << (BITS_MAX - bits))
            .sum();
        if all == 0 || all > 1 && used != 1 << BITS_MAX {
            return None;
        }
        let mut symbols: Vec<u16> = (0..).take(lengths.len()).collect();
        symbols.retain(|symbol| lengths[usize::from(*symbol)] > 0);
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        Some(Self { counts, symbols })
    }

    /// Whether there is one symbol only, which takes no bits.
    fn is_one(&self) -> bool {
        self.symbols.len() == 1
    }

    fn next(&self, stream: &mut Stream<'_>) -> Option<u16> {
        if self.is_one() {
            return self.symbols.first().copied();
        }
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= stream.read(1)? as usize;
            if code < first + count {
                return self.symbols.get(index + code - first).copied();
            }
            index += count;
            first = (first + count) * 2;
            code *= 2;
        }
        None
    }

    /// What a decoder allocates for it, in bytes: a table of up to ten bits, and two nodes for each longer code.
    fn memory(&self) -> usize {
        const ITSELF: usize = 64;
        const ENTRY: usize = 4;
        const NODE: usize = 16;
        const TABLE_BITS: usize = 10;
        let longest = (1..=BITS_MAX).rev().find(|bits| self.counts[*bits] > 0);
        let table = ENTRY << longest.unwrap_or(0).min(TABLE_BITS);
        let longer: usize = self.counts[TABLE_BITS + 1..].iter().sum();
        match self.is_one() {
            true => ITSELF,
            false => ITSELF + table + 2 * NODE * longer,
        }
    }
}

/// How many blocks of a power of two cover a side.
fn blocks(side: u32, bits: u32) -> u32 {
    side.div_ceil(1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_written() {
        // Of lengths 2, 1, 3, 3: 10, 0, 110, 111.
        let code = Code::of(&[2, 1, 0, 3, 3]).expect("a code");
        let mut stream = Stream {
            // The lowest bit first: 0, 10, 110, 111.
            bytes: &[0b1101_1010, 0b1],
            at: 0,
        };
        let read: Vec<_> = (0..4).filter_map(|_| code.next(&mut stream)).collect();
        assert_eq!(read, [1, 0, 3, 4]);
        // Codes without a symbol, or more symbols than codes.
        for wrong in [&[2, 2, 2][..], &[1, 1, 1], &[0, 0], &[]] {
            assert!(Code::of(wrong).is_none(), "{wrong:?}");
        }
        let one = Code::of(&[0, 7]).expect("a code");
        assert_eq!((one.next(&mut stream), one.memory()), (Some(1), 64));
    }
}
