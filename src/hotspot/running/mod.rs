//! HotSpot in a process that runs on: its libjvm's tables, and whether it collects.

mod collecting;
mod image;

pub use collecting::Collecting;
pub use image::LiveImage;
