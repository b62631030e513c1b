//! Small files that take much memory or time to decode (abuse case 36), one for each part of each file type that may
//! hold more than the picture. Beside each is a file of the same shape that is accepted, so that the parts are not
//! refused as such.

use flate2::{Compression, write::ZlibEncoder};
use image::{ImageDecoder, ImageFormat, ImageReader, RgbImage};
use images::{Kind, METADATA_MAX, Prepared, Refused, SCANS_MAX, prepare};
use std::io::{Cursor, Write};

const MB: usize = 1 << 20;

fn file(kind: Kind, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let format = ImageFormat::from_mime_type(kind.content_type()).expect("a format");
    let picture = RgbImage::from_fn(width, height, |x, _| image::Rgb([x as u8, 20, 20]));
    picture.write_to(&mut bytes, format).expect("a file");
    bytes.into_inner()
}

/// What becomes of the file, and by how many MB the peak memory of the process grows.
fn tried(bytes: &[u8], kind: Kind) -> (Result<Prepared, Refused>, u64) {
    let before = most_memory();
    let prepared = prepare(bytes, kind);
    (prepared, most_memory() - before)
}

/// The peak memory of this process in MB. Each test runs in a process of its own.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .expect("a figure")
        .parse::<u64>()
        .expect("a number")
        >> 10
}

fn packed(length: usize) -> Vec<u8> {
    let mut packing = ZlibEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; MB.min(length)];
    for at in (0..length).step_by(MB) {
        packing
            .write_all(&zeros[..MB.min(length - at)])
            .expect("memory");
    }
    packing.finish().expect("memory")
}

fn chunk(name: &[u8], said: &[u8]) -> Vec<u8> {
    let body = [name, said].concat();
    let length = u32::try_from(said.len()).expect("a length").to_be_bytes();
    [&length[..], &body, &crc(&body).to_be_bytes()].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let byte = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xedb8_8320,
            _ => crc >> 1,
        })
    };
    !bytes.iter().fold(!0, byte)
}

/// A PNG with these chunks between its header and its picture.
fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    let whole = file(Kind::Png, 8, 8);
    let (head, rest) = whole.split_at(33);
    [head, &chunks.concat(), rest].concat()
}

/// The compressed metadata that a PNG may have, with contents that unpack to this length.
fn metadata(length: usize) -> [(&'static str, Vec<u8>); 3] {
    let with = |name: &[u8], before: &[u8]| chunk(name, &[before, &packed(length)].concat());
    [
        ("iCCP", with(b"iCCP", b"name\0\0")),
        ("zTXt", with(b"zTXt", b"Comment\0\0")),
        ("iTXt", with(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0")),
    ]
}

#[test]
fn abuse_36_metadata_of_a_png_are_not_unpacked_beyond_a_limit() {
    for (name, bomb) in metadata(200 * MB) {
        let bytes = png(&[bomb]);
        assert!(bytes.len() < 210_000, "{name}: {}", bytes.len());
        let (refused, grown) = tried(&bytes, Kind::Png);
        assert!(
            matches!(refused, Err(Refused::Metadata)),
            "{name}: {refused:?}"
        );
        assert!(grown < 30, "{name}: {grown} MB");
    }
    // Several that are small by themselves.
    for (name, some) in metadata(METADATA_MAX / 4) {
        prepare(&png(std::slice::from_ref(&some)), Kind::Png).expect(name);
        let (refused, _) = tried(&png(&vec![some; 5]), Kind::Png);
        assert!(
            matches!(refused, Err(Refused::Metadata)),
            "{name}: {refused:?}"
        );
    }
    let (_, tiny) = metadata(10)[1].clone();
    let (refused, _) = tried(&png(&vec![tiny; 2000]), Kind::Png);
    assert!(matches!(refused, Err(Refused::Metadata)), "{refused:?}");
    // The decoder sees none of them, and a text that is not compressed does not count.
    let text = chunk(
        b"iTXt",
        &[&b"Comment\0\0\0\0\0"[..], &vec![b'x'; 8 * MB]].concat(),
    );
    prepare(&png(&[text]), Kind::Png).expect("a picture");
}

/// The control of the test above: the decoder alone unpacks a profile whole.
#[test]
fn abuse_36_a_decoder_alone_unpacks_profiles() {
    let [(_, bomb), ..] = metadata(60 * MB);
    let bytes = png(&[bomb]);
    let before = most_memory();
    let reader = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::Png);
    let mut decoder = reader.into_decoder().expect("a decoder");
    let profile = decoder.icc_profile().expect("read").expect("a profile");
    assert_eq!(profile.len(), 60 * MB);
    assert!(most_memory() - before > 50);
}

/// The pixels may be followed by more compressed data, which belong to no pixel.
#[test]
fn abuse_36_what_follows_the_pixels_of_a_png_is_refused() {
    let whole = file(Kind::Png, 8, 8);
    let head = &whole[..33];
    let pixels = chunk(b"IDAT", &packed(200 * MB));
    let bytes = [head, &pixels, &chunk(b"IEND", b"")].concat();
    assert!(bytes.len() < 210_000);
    let (refused, grown) = tried(&bytes, Kind::Png);
    assert!(matches!(refused, Err(Refused::Broken)), "{refused:?}");
    assert!(grown < 30, "{grown} MB");
    // The frames of an animation are left out.
    let frame = [&[0, 0, 0, 1][..], &packed(200 * MB)].concat();
    let frames = [
        chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
        chunk(b"fdAT", &frame),
    ];
    let (shown, grown) = tried(&png(&frames), Kind::Png);
    assert!(shown.is_ok() && grown < 30, "{grown} MB, {:?}", shown.err());
}

/// A JPEG with segments after its first marker.
fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
    let whole = file(Kind::Jpeg, 64, 64);
    let (start, rest) = whole.split_at(2);
    [start, &segments.concat(), rest].concat()
}

fn segment(marker: u8, said: &[u8]) -> Vec<u8> {
    let length = u16::try_from(said.len() + 2)
        .expect("a length")
        .to_be_bytes();
    [&[0xff, marker][..], &length, said].concat()
}

#[test]
fn abuse_36_a_jpeg_of_many_segments_takes_no_more_than_its_size() {
    // A colour profile in 255 parts, and a text that claims to have four gigabytes.
    let profile = (1..=255).map(|n| {
        let head = [&b"ICC_PROFILE\0"[..], &[n, 255]].concat();
        segment(0xe2, &[head, vec![0; 65_000]].concat())
    });
    let (shown, grown) = tried(&jpeg(&profile.collect::<Vec<_>>()), Kind::Jpeg);
    assert!(shown.is_ok(), "{:?}", shown.err());
    assert!(grown < 100, "{grown} MB");
    let xmp = b"http://ns.adobe.com/xmp/extension/\0";
    let said = [&xmp[..], &[b'0'; 32], &[0xff; 4], &[0; 4], &[b'x'; 1000]].concat();
    let (shown, grown) = tried(&jpeg(&vec![segment(0xe1, &said); 1000]), Kind::Jpeg);
    assert!(shown.is_ok(), "{:?}", shown.err());
    assert!(grown < 100, "{grown} MB");
}

/// Each scan passes over the whole picture, however few bytes it has.
#[test]
fn abuse_36_a_jpeg_has_few_scans() {
    let whole = file(Kind::Jpeg, 64, 64);
    let scan = whole.windows(2).position(|two| two == [0xff, 0xda]);
    let (head, scan) = whole.split_at(scan.expect("a scan"));
    let (scan, end) = scan.split_at(scan.len() - 2);
    let of = |scans: usize| [head, &scan.repeat(scans), end].concat();
    prepare(&of(1), Kind::Jpeg).expect("the control");
    let usual = prepare(&of(SCANS_MAX), Kind::Jpeg);
    assert!(!matches!(usual, Err(Refused::Scans)), "{usual:?}");
    let refused = prepare(&of(SCANS_MAX + 1), Kind::Jpeg);
    assert!(matches!(refused, Err(Refused::Scans)), "{refused:?}");
    // After the end of the picture no scan is decoded, so none counts.
    let after = [&of(1)[..], &scan.repeat(SCANS_MAX)].concat();
    prepare(&after, Kind::Jpeg).expect("a picture");
}

/// A progressive JPEG keeps all its coefficients until the last scan.
#[test]
fn abuse_36_a_large_progressive_jpeg_is_refused_before_it_is_decoded() {
    let progressive = |side: u16| {
        let mut bytes = file(Kind::Jpeg, 64, 64);
        let frame = bytes.windows(2).position(|two| two == [0xff, 0xc0]);
        let at = frame.expect("a frame");
        bytes[at + 1] = 0xc2;
        bytes[at + 5..at + 7].copy_from_slice(&side.to_be_bytes());
        bytes[at + 7..at + 9].copy_from_slice(&side.to_be_bytes());
        bytes
    };
    let (refused, grown) = tried(&progressive(9000), Kind::Jpeg);
    assert!(matches!(refused, Err(Refused::TooLarge)), "{refused:?}");
    assert!(grown < 30, "{grown} MB");
    let small = prepare(&progressive(64), Kind::Jpeg);
    assert!(!matches!(small, Err(Refused::TooLarge)), "{small:?}");
}

/// A WebP with these chunks around its picture, or with frames instead.
fn webp(side: u32, flags: u8, before: &[u8], picture: &[u8], after: &[u8]) -> Vec<u8> {
    let sides = &(side - 1).to_le_bytes()[..3];
    let head = piece(b"VP8X", &[&[flags, 0, 0, 0], sides, sides].concat());
    let body = [&b"WEBP"[..], &head, before, picture, after].concat();
    let length = u32::try_from(body.len()).expect("a length").to_le_bytes();
    [&b"RIFF"[..], &length, &body].concat()
}

fn piece(name: &[u8], said: &[u8]) -> Vec<u8> {
    let length = u32::try_from(said.len()).expect("a length").to_le_bytes();
    let pad = &[0][..said.len() % 2];
    [name, &length, said, pad].concat()
}

#[test]
fn abuse_36_metadata_of_a_webp_take_no_more_than_their_size() {
    // After the file's header.
    let picture = file(Kind::Webp, 8, 8)[12..].to_vec();
    let large = vec![0; 6 * MB];
    let bytes = webp(
        8,
        0x2c,
        &piece(b"ICCP", &large),
        &picture,
        &[piece(b"EXIF", &large), piece(b"XMP ", &large)].concat(),
    );
    let (shown, grown) = tried(&bytes, Kind::Webp);
    assert!(shown.is_ok(), "{:?}", shown.err());
    assert!(grown < 60, "{grown} MB");
    let (refused, grown) = tried(&webp(1 << 24, 0, &[], &picture, &[]), Kind::Webp);
    assert!(refused.is_err() && grown < 30, "{grown} MB");
}

#[test]
fn abuse_36_of_many_frames_of_a_webp_one_is_decoded() {
    let picture = file(Kind::Webp, 1000, 1000)[12..].to_vec();
    let frame = |side: u32| {
        let sides = &(side - 1).to_le_bytes()[..3];
        let head = [&[0; 6][..], sides, sides, &[10, 0, 0, 0]].concat();
        piece(b"ANMF", &[head, picture.clone()].concat())
    };
    let start = piece(b"ANIM", &[0; 6]);
    let of = |frames: Vec<u8>| webp(1000, 0x02, &start, &frames, &[]);
    let (shown, grown) = tried(&of(frame(1000).repeat(300)), Kind::Webp);
    assert!(shown.is_ok(), "{:?}", shown.err());
    assert!(grown < 100, "{grown} MB");
    // A frame that is larger than the picture.
    let (refused, grown) = tried(&of(frame(1 << 24)), Kind::Webp);
    assert!(refused.is_err() && grown < 30, "{grown} MB");
}

#[test]
fn abuse_36_a_frame_of_a_gif_is_no_larger_than_allowed() {
    let mut bytes = file(Kind::Gif, 8, 8);
    let colours = match bytes[10] & 0x80 {
        0 => 0,
        _ => 3 << ((bytes[10] & 7) + 1),
    };
    let at = bytes[13 + colours..].iter().position(|byte| *byte == 0x2c);
    let frame = 13 + colours + at.expect("a frame");
    prepare(&bytes, Kind::Gif).expect("the control");
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    let (refused, grown) = tried(&bytes, Kind::Gif);
    assert!(matches!(refused, Err(Refused::TooLarge)), "{refused:?}");
    assert!(grown < 30, "{grown} MB");
}

/// Writes bits, the lowest first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn add(&mut self, count: u32, value: u32) -> &mut Self {
        self.0
            .extend((0..count).map(|place| value >> place & 1 == 1));
        self
    }

    /// A prefix code of one symbol.
    fn one(&mut self, symbol: u32) -> &mut Self {
        self.add(3, 0b101).add(8, symbol)
    }

    /// A prefix code of eleven symbols, the last two of ten bits: a decoder makes a table of a thousand entries of it.
    fn table(&mut self) -> &mut Self {
        // Of the lengths 1 to 10, six have codes of three bits and four of four bits, written for 17, 18, 0, 1, and so on.
        self.add(1, 0).add(4, 10);
        for length in [0, 0, 0, 3, 3, 3, 3, 3, 0, 3, 4, 4, 4, 4] {
            self.add(3, length);
        }
        // Eleven lengths follow.
        self.add(1, 1).add(3, 1).add(4, 9);
        for length in (1..=10).chain([10]) {
            // Codes are written from their highest bit.
            let (bits, code) = match length {
                1..=6 => (3, length - 1),
                _ => (4, 12 + length - 7),
            };
            for bit in (0..bits).rev() {
                self.add(1, code >> bit);
            }
        }
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
        };
        self.0.chunks(8).map(byte).collect()
    }
}

/// A lossless picture of one pixel, whose block has the last of this many groups of prefix codes. Without a header, as
/// transparency has none, unless wanted.
fn groups(count: u32, has_header: bool) -> Vec<u8> {
    let mut bits = Bits::default();
    if has_header {
        bits.add(8, 0x2f).add(14, 0).add(14, 0).add(1, 1).add(3, 0);
    }
    // No transform, no cached colours; blocks of four pixels.
    bits.add(1, 0).add(1, 0).add(1, 1).add(3, 0);
    // The picture of one pixel that assigns groups to blocks: the number is in green and red.
    bits.add(1, 0);
    bits.one((count - 1) & 0xff).one((count - 1) >> 8);
    bits.one(0).one(0).one(0);
    for _ in 0..count {
        for _ in 0..5 {
            bits.table();
        }
    }
    // The pixel: the first symbol of each code.
    bits.add(32, 0).bytes()
}

fn file_of(parts: &[u8]) -> Vec<u8> {
    let body = [&b"WEBP"[..], parts].concat();
    let length = u32::try_from(body.len()).expect("a length").to_le_bytes();
    [&b"RIFF"[..], &length, &body].concat()
}

/// A lossless picture, a frame and the transparency of a lossy picture: each may have 65,536 groups of prefix codes.
#[test]
fn abuse_36_a_webp_has_few_groups_of_prefix_codes() {
    let plain = |count| file_of(&piece(b"VP8L", &groups(count, true)));
    let framed = |count| {
        let head = [&[0; 12][..], &[10, 0, 0, 0]].concat();
        let picture = piece(b"VP8L", &groups(count, true));
        let frame = piece(b"ANMF", &[head, picture].concat());
        webp(1, 0x12, &piece(b"ANIM", &[0; 6]), &frame, &[])
    };
    for (name, of) in [
        ("plain", &plain as &dyn Fn(u32) -> Vec<u8>),
        ("a frame", &framed),
    ] {
        let bytes = of(65_536);
        assert!(bytes.len() < 5 * MB, "{name}: {}", bytes.len());
        let (refused, grown) = tried(&bytes, Kind::Webp);
        assert!(
            matches!(refused, Err(Refused::Codes)),
            "{name}: {refused:?}"
        );
        assert!(grown < 30, "{name}: {grown} MB");
        let (shown, _) = tried(&of(300), Kind::Webp);
        assert!(shown.is_ok(), "{name}: {:?}", shown.err());
    }
    let alpha = |count| {
        let alpha = piece(b"ALPH", &[&[1][..], &groups(count, false)].concat());
        webp(1, 0x10, &alpha, &piece(b"VP8 ", &lossy(1, 1)), &[])
    };
    let (refused, grown) = tried(&alpha(65_536), Kind::Webp);
    assert!(matches!(refused, Err(Refused::Codes)), "{refused:?}");
    assert!(grown < 30, "{grown} MB");
    let (shown, _) = tried(&alpha(300), Kind::Webp);
    assert!(shown.is_ok(), "{:?}", shown.err());
}

/// The control of the test above: the decoder alone makes all tables.
#[test]
fn abuse_36_a_decoder_alone_makes_all_prefix_codes() {
    let bytes = file_of(&piece(b"VP8L", &groups(8_000, true)));
    assert!(bytes.len() < MB, "{}", bytes.len());
    let before = most_memory();
    let reader = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::WebP);
    reader.decode().expect("a picture");
    assert!(most_memory() - before > 120);
}

/// A lossy picture of two red pixels a side, said to have other sides.
fn lossy(width: u16, height: u16) -> Vec<u8> {
    const PICTURE: [u8; 48] = [
        0xd0, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x02, 0x00, 0x02, 0x00, 0x02, 0x00, 0x34, 0x25, 0xa0,
        0x02, 0x74, 0xba, 0x01, 0xf8, 0x00, 0x03, 0xb0, 0x00, 0xfe, 0xf0, 0xc4, 0x0b, 0xff, 0x20,
        0xb9, 0x61, 0x75, 0xc8, 0xd7, 0xff, 0x20, 0x3f, 0xe4, 0x07, 0xfc, 0x80, 0xff, 0xf8, 0xf2,
        0x00, 0x00, 0x00,
    ];
    let mut picture = PICTURE.to_vec();
    picture[6..8].copy_from_slice(&width.to_le_bytes());
    picture[8..10].copy_from_slice(&height.to_le_bytes());
    picture
}

/// A decoder allocates by the sides that the picture itself says, before it compares them with those of the file.
#[test]
fn abuse_36_a_picture_within_a_webp_is_no_larger_than_the_file_says() {
    let of = |side| webp(2, 0, &[], &piece(b"VP8 ", &lossy(side, side)), &[]);
    prepare(&of(2), Kind::Webp).expect("the control");
    let frame = |side: u16| {
        let head = [&[0; 6][..], &[1, 0, 0, 1, 0, 0], &[10, 0, 0, 0]].concat();
        let frame = piece(
            b"ANMF",
            &[head, piece(b"VP8 ", &lossy(side, side))].concat(),
        );
        webp(2, 0x02, &piece(b"ANIM", &[0; 6]), &frame, &[])
    };
    prepare(&frame(2), Kind::Webp).expect("the control");
    for bytes in [of(0x3fff), frame(0x3fff)] {
        let (refused, grown) = tried(&bytes, Kind::Webp);
        assert!(matches!(refused, Err(Refused::Broken)), "{refused:?}");
        assert!(grown < 30, "{grown} MB");
    }
    let huge = file_of(&piece(b"VP8 ", &lossy(0x3fff, 0x3fff)));
    let (refused, _) = tried(&huge, Kind::Webp);
    assert!(matches!(refused, Err(Refused::TooLarge)), "{refused:?}");
}
