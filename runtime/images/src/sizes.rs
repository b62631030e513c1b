//! Makes the sizes of a picture that pages show.

use crate::{Prepared, Refused, Size};
use fast_image_resize::{
    FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, TypedImageRef},
    pixels::{U8, U8x3, U8x4},
};
use image::{
    DynamicImage, GrayImage, RgbImage, RgbaImage, codecs::jpeg::JpegEncoder, metadata::Orientation,
};

/// The longer side of each size in pixels. Smaller pictures are not enlarged.
pub const SIDES: [u32; 3] = [320, 800, 1600];

/// The JPEG quality, at which pictures look like the original at a tenth of its bytes.
const QUALITY: u8 = 82;

/// Makes all sizes. A picture is rotated after it has been scaled down, since rotating copies it.
pub fn make(picture: DynamicImage, orientation: Orientation) -> Result<Prepared, Refused> {
    let mut resizer = Resizer::new();
    let mut from = match picture {
        DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) | DynamicImage::ImageLuma8(_) => {
            picture
        }
        other if other.color().has_alpha() => other.into_rgba8().into(),
        other => other.into_rgb8().into(),
    };
    let mut sizes = Vec::new();
    // Each size is made from the next larger one.
    for side in SIDES.into_iter().rev() {
        from = resized(&mut resizer, from, side)?;
        let mut turned = DynamicImage::from(on_white(&from));
        turned.apply_orientation(orientation);
        sizes.push(encoded(&turned.into_rgb8())?);
    }
    sizes.reverse();
    Ok(Prepared { sizes })
}

fn resized(resizer: &mut Resizer, from: DynamicImage, side: u32) -> Result<DynamicImage, Refused> {
    let (width, height) = (from.width(), from.height());
    let longer = width.max(height);
    if longer <= side {
        return Ok(from);
    }
    let scaled = |length: u32| {
        let scaled =
            (u64::from(length) * u64::from(side) + u64::from(longer) / 2) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(side).max(1)
    };
    let (width, height) = (scaled(width), scaled(height));
    // Only the three pixel types that occur here. With the library's type for any picture, its code is compiled for
    // all thirteen types, which took more than a minute.
    let to: Option<DynamicImage> = match &from {
        DynamicImage::ImageLuma8(_) => {
            let pixels = resampled::<U8>(resizer, &from, width, height)?;
            GrayImage::from_raw(width, height, pixels).map(Into::into)
        }
        DynamicImage::ImageRgb8(_) => {
            let pixels = resampled::<U8x3>(resizer, &from, width, height)?;
            RgbImage::from_raw(width, height, pixels).map(Into::into)
        }
        DynamicImage::ImageRgba8(_) => {
            let pixels = resampled::<U8x4>(resizer, &from, width, height)?;
            RgbaImage::from_raw(width, height, pixels).map(Into::into)
        }
        _ => None,
    };
    to.ok_or(Refused::Broken)
}

fn resampled<P: PixelTrait>(
    resizer: &mut Resizer,
    from: &DynamicImage,
    width: u32,
    height: u32,
) -> Result<Vec<u8>, Refused> {
    let from = TypedImageRef::<P>::from_buffer(from.width(), from.height(), from.as_bytes());
    let from = from.map_err(|_| Refused::Broken)?;
    let mut to = Image::new(width, height, P::pixel_type());
    let mut pixels = to.typed_image_mut::<P>().ok_or(Refused::Broken)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    let done = resizer.resize_typed(&from, &mut pixels, &options);
    done.map_err(|_| Refused::Broken)?;
    Ok(to.into_vec())
}

/// Replaces transparency, which JPEG does not support.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let DynamicImage::ImageRgba8(picture) = picture else {
        return picture.to_rgb8();
    };
    let mut flat = RgbImage::new(picture.width(), picture.height());
    for (to, from) in flat.pixels_mut().zip(picture.pixels()) {
        let [red, green, blue, alpha] = from.0;
        let over = |colour: u8| {
            let (colour, alpha) = (u32::from(colour), u32::from(alpha));
            ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        to.0 = [over(red), over(green), over(blue)];
    }
    flat
}

fn encoded(picture: &RgbImage) -> Result<Size, Refused> {
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    let done = encoder.encode_image(picture);
    done.map_err(|_| Refused::Broken)?;
    Ok(Size {
        width: picture.width(),
        height: picture.height(),
        jpeg,
    })
}
