//! Measures how long it takes to process a photograph of 24 megapixels (MD6) and to refuse a picture that claims huge
//! dimensions (MD4):
//! `cargo run --release -p images --example measure`.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use images::{Kind, prepare};
use std::{io::Cursor, time::Instant};

fn main() {
    // Detail everywhere, as in photographs.
    let drawn = RgbImage::from_fn(6000, 4000, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 27;
        Rgb([(x / 24) as u8, (y / 16) as u8, ((x + y) / 40) as u8]
            .map(|part| part.wrapping_add(noise as u8)))
    });
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::from(drawn);
    picture
        .write_to(&mut bytes, ImageFormat::Jpeg)
        .expect("a file");
    let bytes = bytes.into_inner();
    println!("6000 × 4000, {} KB", bytes.len() / 1024);
    let mut took = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        prepare(&bytes, Kind::Jpeg).expect("a picture");
        took.push(began.elapsed().as_millis());
    }
    took.sort_unstable();
    println!(
        "MD6: three sizes in {} ms (median of {}; {} to {})",
        took[4],
        took.len(),
        took[0],
        took[8]
    );
    let bomb = of_size(30_000);
    let mut took = Vec::new();
    for _ in 0..99 {
        let began = Instant::now();
        prepare(&bomb, Kind::Png).expect_err("too large");
        took.push(began.elapsed().as_micros());
    }
    took.sort_unstable();
    println!(
        "MD4: a PNG of 30,000 × 30,000 refused in {} µs (median of {}; at most {})",
        took[49],
        took.len(),
        took[98]
    );
}

/// A PNG whose header claims this width and height: a picture of 8 × 8 pixels with an altered header and its new
/// checksum.
fn of_size(side: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::from(RgbImage::new(8, 8));
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("a file");
    let mut bytes = bytes.into_inner();
    bytes[16..20].copy_from_slice(&side.to_be_bytes());
    bytes[20..24].copy_from_slice(&side.to_be_bytes());
    let sum = bytes[12..29].iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| match sum & 1 {
            1 => (sum >> 1) ^ 0xEDB8_8320,
            _ => sum >> 1,
        })
    });
    bytes[29..33].copy_from_slice(&(!sum).to_be_bytes());
    bytes
}
