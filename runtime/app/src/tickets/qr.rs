//! Renders a code as a QR code, in SVG and PNG. Doesn't know what the code means.

use kernel::{Error, Result};
use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write;

/// The width of the white margin around the code, in QR modules, as the standard requires.
const QUIET: usize = 4;
/// The size of a QR module in a PNG, in pixels.
const SCALE: usize = 8;

struct Picture {
    width: usize,
    dark: Vec<bool>,
}

impl Picture {
    fn of(code: &str) -> Result<Self> {
        // Level M, at which 15 % of the code may be unreadable: screens are scratched and dim.
        let made =
            QrCode::with_error_correction_level(code, EcLevel::M).map_err(Error::internal)?;
        let (inner, colors) = (made.width(), made.to_colors());
        let width = inner + 2 * QUIET;
        let mut dark = vec![false; width * width];
        for (at, color) in colors.iter().enumerate() {
            let (x, y) = (at % inner + QUIET, at / inner + QUIET);
            dark[y * width + x] = *color == Color::Dark;
        }
        Ok(Self { width, dark })
    }
}

pub fn svg(code: &str) -> Result<String> {
    let picture = Picture::of(code)?;
    let width = picture.width;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {width}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{width}\" height=\"{width}\" fill=\"#fff\"/><path fill=\"#000\" d=\""
    );
    for (at, _) in picture.dark.iter().enumerate().filter(|(_, dark)| **dark) {
        let _ = write!(text, "M{} {}h1v1h-1z", at % width, at / width);
    }
    text.push_str("\"/></svg>");
    Ok(text)
}

pub fn png(code: &str) -> Result<Vec<u8>> {
    let picture = Picture::of(code)?;
    let side = picture.width * SCALE;
    let mut pixels = Vec::with_capacity(side * side);
    for y in 0..side {
        for x in 0..side {
            let dark = picture.dark[y / SCALE * picture.width + x / SCALE];
            pixels.push(if dark { 0 } else { 255 });
        }
    }
    let mut bytes = Vec::new();
    let side = u32::try_from(side).map_err(Error::internal)?;
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(Error::internal)?;
    writer.write_image_data(&pixels).map_err(Error::internal)?;
    drop(writer);
    Ok(bytes)
}
