//! Pictures that members upload: checks that they are pictures, and makes the sizes that are shown.
//!
//! The output is encoded anew from the pixels alone. It contains no other data of the file, such as the place where a
//! photograph was taken. This crate may not know a table, a store or HTTP.

mod bombs;
mod end;
mod lossless;
mod sizes;
mod webp;
mod workshop;

pub use bombs::{METADATA_MAX, SCANS_MAX};
pub use lossless::CODES_MAX;
pub use sizes::SIDES;
pub use workshop::{Bench, Busy, Workshop};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The accepted file types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Jpeg,
    Png,
    Webp,
    Gif,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::Webp, Self::Gif];

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// In any case, with parameters or without. Some programs say `image/jpg`, which is no registered type.
    pub fn of_content_type(text: &str) -> Option<Self> {
        let media = text.split(';').next().unwrap_or_default().trim();
        let media = match media.eq_ignore_ascii_case("image/jpg") {
            true => "image/jpeg",
            false => media,
        };
        Self::ALL
            .into_iter()
            .find(|kind| kind.content_type().eq_ignore_ascii_case(media))
    }

    const fn format(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::WebP,
            Self::Gif => ImageFormat::Gif,
        }
    }
}

/// The maximum length of a side, in pixels.
pub const SIDE_MAX: u32 = 12_000;

/// The maximum size of a decoded picture in memory, in bytes.
pub const DECODED_MAX: u64 = 256 << 20;

/// Why a picture was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("it is no picture of the type {0}")]
    Kind(&'static str),
    #[error("it has more than {SIDE_MAX} pixels on a side, or more in all than can be looked at")]
    TooLarge,
    #[error("its colour profile or texts unpack to more than {METADATA_MAX} bytes")]
    Metadata,
    #[error("it has more than {SCANS_MAX} scans")]
    Scans,
    #[error("its prefix codes unpack to more than {CODES_MAX} bytes")]
    Codes,
    #[error("its end is missing")]
    Cut,
    #[error("it can't be read")]
    Broken,
}

/// A picture in the sizes that are shown.
#[derive(Debug)]
pub struct Prepared {
    /// One picture for each of [`SIDES`], in the same order.
    pub sizes: Vec<Size>,
}

#[derive(Debug)]
pub struct Size {
    pub width: u32,
    pub height: u32,
    pub jpeg: Vec<u8>,
}

/// Decodes a picture and makes its sizes. This takes much time and memory: [`Workshop`] limits both.
pub fn prepare(bytes: &[u8], kind: Kind) -> Result<Prepared, Refused> {
    // The type is recognized by the first bytes, whatever the client says.
    if image::guess_format(bytes).ok() != Some(kind.format()) {
        return Err(Refused::Kind(kind.content_type()));
    }
    let (picture, orientation) = decode(&bombs::defused(bytes, kind)?, kind)?;
    // Decoders silently fill in what is missing of an incomplete file.
    if !end::is_whole(bytes, kind) {
        return Err(Refused::Cut);
    }
    sizes::make(picture, orientation)
}

fn decode(
    bytes: &[u8],
    kind: Kind,
) -> Result<(DynamicImage, image::metadata::Orientation), Refused> {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODED_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind.format());
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    // Checked before the memory is allocated.
    if decoder.total_bytes() > DECODED_MAX {
        return Err(Refused::TooLarge);
    }
    let orientation = decoder.orientation().map_err(refused)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    Ok((picture, orientation))
}

fn refused(error: ImageError) -> Refused {
    match error {
        ImageError::Limits(_) => Refused::TooLarge,
        _ => Refused::Broken,
    }
}
