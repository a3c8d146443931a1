//! Compiled code: the code cache, and what the VM wrote down of each method that it compiled.

pub mod cache;
mod constants;
pub mod debug_info;
pub mod method;
pub mod nmethod;
mod stream;

pub use cache::{Blob, BlobKind, CodeCache};
pub use debug_info::{Location, Monitor, Scope, ScopeValue};
pub use method::Method;
pub use nmethod::Nmethod;
pub use stream::{Coding, Stream};
