//! Objects of the JDK's own classes, read by the names of their fields (HotSpot's javaClasses.hpp):
//! strings, modules, system properties.

mod modules;
mod properties;
mod strings;

pub(crate) use properties::read as system_properties;
