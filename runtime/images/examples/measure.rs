//! Measures how long a photograph of 24 megapixels takes: `cargo run --release -p images --example measure`.

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
        "three sizes in {} ms (median of {}; {} to {})",
        took[4],
        took.len(),
        took[0],
        took[8]
    );
}
