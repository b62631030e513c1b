//! Draws pictures: an evening sky, a sun and hills, all derived from a word.
//!
//! The pictures are dedicated to the public domain (CC0 1.0).

use anyhow::Result;
use sha2::{Digest, Sha256};

pub const WIDTH: u32 = 1600;
pub const HEIGHT: u32 = 1000;

type Colour = [f64; 3];

/// Above and below, the sun, the nearest hill.
const EVENINGS: [[Colour; 4]; 6] = [
    [
        [28.0, 32.0, 74.0],
        [240.0, 142.0, 92.0],
        [255.0, 214.0, 140.0],
        [24.0, 20.0, 44.0],
    ],
    [
        [16.0, 66.0, 96.0],
        [246.0, 214.0, 166.0],
        [255.0, 246.0, 214.0],
        [14.0, 46.0, 52.0],
    ],
    [
        [86.0, 30.0, 82.0],
        [250.0, 172.0, 128.0],
        [255.0, 228.0, 176.0],
        [44.0, 16.0, 50.0],
    ],
    [
        [36.0, 92.0, 110.0],
        [206.0, 232.0, 214.0],
        [255.0, 252.0, 226.0],
        [20.0, 62.0, 56.0],
    ],
    [
        [120.0, 44.0, 44.0],
        [252.0, 202.0, 120.0],
        [255.0, 240.0, 190.0],
        [60.0, 22.0, 30.0],
    ],
    [
        [22.0, 26.0, 48.0],
        [112.0, 128.0, 190.0],
        [236.0, 238.0, 255.0],
        [10.0, 12.0, 28.0],
    ],
];

const HILLS: usize = 4;

/// A PNG; the same word always gives the same bytes.
pub fn draw(word: &str) -> Result<Vec<u8>> {
    let dice: [u8; 32] = Sha256::digest(word).into();
    let roll = |at: usize| f64::from(dice[at]) / 255.0;
    let [above, below, sun, near] = EVENINGS[usize::from(dice[0]) % EVENINGS.len()];
    let (width, height) = (f64::from(WIDTH), f64::from(HEIGHT));
    let (sun_x, sun_y) = (
        width * (0.15 + 0.7 * roll(1)),
        height * (0.2 + 0.3 * roll(2)),
    );
    let radius = height * (0.06 + 0.08 * roll(3));
    // Where each hill begins, for every column.
    let hills: Vec<Vec<f64>> = (0..HILLS)
        .map(|hill| {
            let base = height * (0.55 + 0.11 * hill as f64);
            let wave = |x: f64, at: usize, length: f64| {
                ((x / width * length + roll(at) * 6.0) * std::f64::consts::TAU / 2.0).sin()
            };
            let column = |x: u32| {
                let x = f64::from(x);
                let sum = wave(x, 4 + hill, 2.0)
                    + 0.4 * wave(x, 8 + hill, 5.0)
                    + 0.15 * wave(x, 12 + hill, 13.0);
                base + height * 0.05 * sum
            };
            (0..WIDTH).map(column).collect()
        })
        .collect();
    let mut pixels = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for row in 0..HEIGHT {
        let y = f64::from(row);
        let sky = mixed(above, below, y / height);
        for column in 0..WIDTH {
            let nearest = (0..HILLS)
                .rev()
                .find(|hill| y >= hills[*hill][column as usize]);
            let colour = match nearest {
                // The nearer, the darker.
                Some(hill) => mixed(below, near, (hill + 1) as f64 / HILLS as f64),
                None => {
                    let away = (f64::from(column) - sun_x).hypot(y - sun_y);
                    // Its edge is soft.
                    mixed(sky, sun, ((radius - away) / 3.0 + 0.5).clamp(0.0, 1.0))
                }
            };
            pixels.extend(colour.map(|part| part.round() as u8));
        }
    }
    encoded(&pixels)
}

fn mixed(one: Colour, other: Colour, share: f64) -> Colour {
    std::array::from_fn(|at| one[at] + (other[at] - one[at]) * share)
}

fn encoded(pixels: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}
