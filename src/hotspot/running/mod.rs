//! HotSpot in a process that runs on: its libjvm's tables, and whether it collects.

mod collecting;
mod image;

pub(crate) use collecting::Collecting;
pub(crate) use image::LiveImage;
