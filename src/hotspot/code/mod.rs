//! Compiled code: the code cache, and what the VM wrote down of each method that it compiled.

pub(crate) mod cache;
mod constants;
pub(crate) mod debug_info;
pub(crate) mod method;
pub(crate) mod nmethod;
mod stream;

pub use cache::CodeKind;
pub(crate) use cache::{Blob, BlobKind, CodeCache};
pub(crate) use debug_info::{Location, Monitor, Scope, ScopeValue};
pub(crate) use method::Method;
pub(crate) use nmethod::Nmethod;
pub(crate) use stream::Stream;
