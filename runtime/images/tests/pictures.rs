//! Files that are pictures, and files that only look like them.
//!
//! A test of its own instead of a module: the crate takes more than a minute to compile, and tests in a module would
//! compile it once more.

use exif::{Field, In, Rational, Tag, Value, experimental::Writer};
use image::{
    DynamicImage, ImageEncoder, ImageFormat, ImageReader, Rgb, RgbImage, codecs::jpeg::JpegEncoder,
};
use images::{Kind, Refused, SIDE_MAX, prepare};
use std::io::Cursor;

fn drawn(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        // The upper left quarter is red, so that the orientation is visible.
        match (x * 2 < width, y * 2 < height) {
            (true, true) => Rgb([220, 20, 20]),
            _ => Rgb([20, 20, (x % 64 * 4) as u8]),
        }
    })
}

fn file(kind: Kind, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let drawn = drawn(width, height).into();
    let picture: DynamicImage = drawn;
    let format = ImageFormat::from_mime_type(kind.content_type()).expect("a format");
    picture.write_to(&mut bytes, format).expect("a file");
    bytes.into_inner()
}

/// A JPEG with a place, an orientation and a thumbnail.
fn camera(turn: u16) -> Vec<u8> {
    let thumbnail = file(Kind::Jpeg, 16, 12);
    let degrees = Value::Rational(vec![Rational { num: 37, denom: 1 }]);
    let field = |tag, value| Field {
        tag,
        ifd_num: In::PRIMARY,
        value,
    };
    let fields = [
        field(Tag::Orientation, Value::Short(vec![turn])),
        field(Tag::GPSLatitude, degrees),
        field(Tag::Model, Value::Ascii(vec![b"A camera".to_vec()])),
    ];
    let small = Field {
        tag: Tag::Compression,
        ifd_num: In::THUMBNAIL,
        value: Value::Short(vec![6]),
    };
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    writer.push_field(&small);
    writer.set_jpeg(&thumbnail, In::THUMBNAIL);
    let mut exif = Cursor::new(Vec::new());
    writer.write(&mut exif, false).expect("EXIF");
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif.into_inner()).expect("room");
    encoder.encode_image(&drawn(400, 300)).expect("a file");
    bytes
}

fn exif_of(bytes: &[u8]) -> Option<exif::Exif> {
    let reader = exif::Reader::new();
    reader.read_from_container(&mut Cursor::new(bytes)).ok()
}

#[test]
fn md5_every_kind_becomes_three_sizes_without_what_cameras_write() {
    for kind in Kind::ALL {
        let prepared = prepare(&file(kind, 2000, 1000), kind).expect("a picture");
        let sides: Vec<_> = (prepared.sizes.iter())
            .map(|size| (size.width, size.height))
            .collect();
        assert_eq!(sides, [(320, 160), (800, 400), (1600, 800)], "{kind:?}");
        for size in &prepared.sizes {
            let shown = image::load_from_memory_with_format(&size.jpeg, ImageFormat::Jpeg);
            let shown = shown.expect("JPEG");
            assert_eq!((shown.width(), shown.height()), (size.width, size.height));
        }
    }
    // A small picture keeps its size.
    let small = prepare(&file(Kind::Png, 10, 400), Kind::Png).expect("a picture");
    let sides: Vec<_> = small.sizes.iter().map(|s| (s.width, s.height)).collect();
    assert_eq!(sides, [(8, 320), (10, 400), (10, 400)]);
}

#[test]
fn md5_a_picture_is_turned_and_its_place_is_gone() {
    let bytes = camera(6);
    let before = exif_of(&bytes).expect("the control: it is there");
    assert!(before.get_field(Tag::GPSLatitude, In::PRIMARY).is_some());
    let prepared = prepare(&bytes, Kind::Jpeg).expect("a picture");
    let large = prepared.sizes.last().expect("three");
    assert_eq!((large.width, large.height), (300, 400));
    for size in &prepared.sizes {
        assert!(exif_of(&size.jpeg).is_none());
        let holds = |text: &[u8]| size.jpeg.windows(text.len()).any(|part| part == text);
        assert!(!holds(b"A camera") && !holds(b"Exif"));
    }
    let shown = image::load_from_memory(&large.jpeg)
        .expect("JPEG")
        .into_rgb8();
    // Rotated by 90° to the right: the upper left quarter becomes the upper right.
    let [red, _, blue] = shown.get_pixel(270, 30).0;
    assert!(red > 150 && blue < 100);
    assert!(shown.get_pixel(30, 30).0[0] < 100);
}

#[test]
fn md5_what_is_cut_is_refused() {
    for kind in Kind::ALL {
        let whole = file(kind, 300, 200);
        prepare(&whole, kind).expect("the control");
        for left in [1, whole.len() / 2, whole.len() - 1] {
            assert!(prepare(&whole[..left], kind).is_err(), "{kind:?} {left}");
        }
        // Bytes after the end are not part of the output.
        prepare(&[&whole[..], b"and more"].concat(), kind).expect("a picture");
    }
    // Control: the decoder alone accepts half of the file. The end marker of the thumbnail is not the end of the
    // picture.
    let whole = camera(1);
    let half = &whole[..whole.len() * 3 / 4];
    image::load_from_memory(half).expect("half a picture");
    assert!(half.windows(2).any(|two| two == [0xff, 0xd9]));
    assert!(matches!(prepare(half, Kind::Jpeg), Err(Refused::Cut)));
}

#[test]
fn abuse_55_what_is_no_picture_is_refused_whatever_it_says() {
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let html = b"<!doctype html><script>alert(1)</script>";
    let polyglot = b"GIF89a/*\x01\x00\x00\x00\x00\x00*/=1;alert(1)//;";
    let pdf = b"%PDF-1.7\n%\xd3\xeb\xe9\xe1";
    for kind in Kind::ALL {
        for bytes in [
            &svg[..],
            html,
            polyglot,
            pdf,
            b"",
            b"\xff\xd8\xff\xe0 no more",
        ] {
            assert!(prepare(bytes, kind).is_err(), "{kind:?}");
        }
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            let wrong = prepare(&file(other, 8, 8), kind);
            assert!(matches!(wrong, Err(Refused::Kind(_))), "{kind:?} {other:?}");
        }
    }
}

#[test]
fn md4_what_would_be_huge_is_refused_before_it_is_decoded() {
    let most = SIDE_MAX as u16;
    for (kind, width, height) in [
        (Kind::Gif, 50_000, 50_000),
        (Kind::Gif, most + 1, 1),
        (Kind::Jpeg, 50_000, 50_000),
        (Kind::Jpeg, 1, most + 1),
        // Each side alone is allowed, but not both.
        (Kind::Jpeg, most, most),
        (Kind::Png, 50_000, 50_000),
        (Kind::Png, most, most),
    ] {
        let bytes = claiming(kind, width, height);
        assert!(bytes.len() < 2000);
        let refused = prepare(&bytes, kind);
        assert!(
            matches!(refused, Err(Refused::TooLarge)),
            "{kind:?} {width} × {height}: {refused:?}"
        );
    }
}

/// A colour profile that is unpacked to gigabytes keeps nobody waiting; other chunks are not unpacked.
#[test]
fn abuse_36_a_profile_that_is_a_bomb_is_refused() {
    let whole = file(Kind::Png, 8, 8);
    let with = |name: &[u8], bytes: usize| {
        let mut chunk = name.to_vec();
        chunk.extend(b"name\0\0");
        chunk.resize(4 + bytes, 0);
        let sum = crc(&chunk).to_be_bytes();
        let length = u32::try_from(bytes).expect("a length").to_be_bytes();
        // After the signature and the header.
        let (head, rest) = whole.split_at(33);
        [head, &length, &chunk, &sum, rest].concat()
    };
    for (name, bytes, is_refused) in [
        (b"iCCP", (1 << 20) + 1, true),
        (b"iCCP", 1 << 20, false),
        (b"zTXt", 4 << 20, false),
    ] {
        let refused = prepare(&with(name, bytes), Kind::Png);
        assert_eq!(refused.is_err(), is_refused, "{bytes}: {refused:?}");
    }
}

/// A small file that claims to be a large picture.
fn claiming(kind: Kind, width: u16, height: u16) -> Vec<u8> {
    let mut bytes = file(kind, 8, 8);
    match kind {
        Kind::Gif => {
            bytes[6..8].copy_from_slice(&width.to_le_bytes());
            bytes[8..10].copy_from_slice(&height.to_le_bytes());
        }
        Kind::Jpeg => {
            let frame = bytes.windows(2).position(|two| two == [0xff, 0xc0]);
            let at = frame.expect("a frame") + 5;
            bytes[at..at + 2].copy_from_slice(&height.to_be_bytes());
            bytes[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
        }
        _ => {
            bytes[16..20].copy_from_slice(&u32::from(width).to_be_bytes());
            bytes[20..24].copy_from_slice(&u32::from(height).to_be_bytes());
            let sum = crc(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&sum.to_be_bytes());
        }
    }
    bytes
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

/// No input makes the decoder panic.
#[test]
fn abuse_36_broken_files_are_refused_or_shown() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut refused = 0;
    for kind in Kind::ALL {
        let whole = file(kind, 40, 30);
        for _ in 0..250 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            refused += usize::from(prepare(&bytes, kind).is_err());
        }
    }
    assert!((100..1000).contains(&refused), "{refused} of 1000");
}

/// A lossless WebP that was made by the format's own encoder, with a predictor, cached colours and several groups of prefix
/// codes, and random changes of it: what a decoder can read is shown.
#[test]
fn md4_whatever_a_decoder_reads_of_a_lossless_webp_is_shown() {
    let whole = include_bytes!("encoded.webp");
    prepare(whole, Kind::Webp).expect("a picture");
    let mut random = fastrand::Rng::with_seed(11);
    let (mut shown, mut refused) = (0, 0);
    for _ in 0..400 {
        let mut bytes = whole.to_vec();
        // Most of the parts before the pixels are near the beginning.
        let within = if random.bool() { bytes.len() } else { 400 };
        let at = random.usize(..within);
        bytes[at] = random.u8(..);
        match prepare(&bytes, Kind::Webp) {
            Ok(_) => shown += 1,
            Err(Refused::Broken) => {
                refused += 1;
                let reader = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::WebP);
                assert!(reader.decode().is_err(), "byte {at}: {}", bytes[at]);
            }
            // The file's length is the decoder's business only as long as it finds the picture.
            Err(other) => assert!(
                matches!(other, Refused::Cut | Refused::Kind(_) | Refused::TooLarge),
                "{other:?}"
            ),
        }
    }
    assert!(shown > 20 && refused > 20, "{shown} {refused}");
}

/// A GIF with 200 frames of a million pixels each: all frames decoded at once would take 800 MB.
#[test]
fn abuse_36_of_many_frames_one_is_decoded() {
    let one = file(Kind::Gif, 1000, 1000);
    // The GIF header, and the global colour table if there is one.
    let colours = match one[10] & 0x80 {
        0 => 0,
        _ => 3 << ((one[10] & 7) + 1),
    };
    let (head, rest) = one.split_at(13 + colours);
    let (frame, end) = rest.split_at(rest.len() - 1);
    assert_eq!(end, [0x3b], "the end of a GIF");
    let many = [head, &frame.repeat(200), end].concat();
    let before = most_memory();
    let shown = prepare(&many, Kind::Gif);
    let more = most_memory() - before;
    assert!(shown.is_ok(), "{:?}", shown.err());
    assert!(more < 200 << 10, "{more} kB");
}

/// The peak memory of this process, in kB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.expect("a figure").parse().expect("a number")
}
