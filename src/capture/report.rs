//! What a capture did: by which method, why that one, what it cost.

use serde::Serialize;

use super::huge;

/// How the snapshot is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// A child of the target holds its memory as it was.
    Fork,
    /// Copied while it runs, the rest within the stop.
    Precopy,
    /// Copied within the stop.
    Stop,
}

impl Method {
    /// Its name in words and in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Fork => "fork",
            Method::Precopy => "precopy",
            Method::Stop => "stop",
        }
    }
}

/// A method that was tried or ruled out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    /// The method.
    pub method: Method,
    /// Why it did not do.
    pub code: WhyNot,
    /// The same for people, with what was seen.
    pub text: String,
}

/// Why a method does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub(crate) enum WhyNot {
    /// Much of its memory is shared: a fork's child sees what is written to that.
    SharedMemory,
    /// There is no room for copies of the pages that it writes to.
    NoRoom,
    /// rjcore does not know how threads are borrowed on this CPU.
    UnknownCpu,
    /// It was tried, and the process or the kernel did not let it.
    Failed,
    /// The snapshot was lost before all of it was read.
    Lost,
    /// Another way stops it for less.
    LongerStop,
}

/// Why a method was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub(crate) enum Reason {
    /// The user wanted it.
    AsAskedFor,
    /// It stops the process the shortest.
    ShortestStop,
    /// Others do not do: see what was refused.
    OthersRefused,
}

/// How long the process would stand still by one method.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Prediction {
    /// The method.
    pub method: Method,
    /// Milliseconds from the first thread's stop to the last one's release.
    pub pause_ms: f64,
}

/// What a capture did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// The process.
    pub pid: i32,
    /// How.
    pub method: Method,
    /// Why this way.
    pub reason: Reason,
    /// The same for people.
    pub reason_text: String,
    /// What was tried before.
    pub refused: Vec<Refused>,
    /// From the first thread's stop to the last one's release.
    pub pause_ms: f64,
    /// The same as it was expected before, by each method that was thought of.
    pub predicted: Vec<Prediction>,
    /// How long the stops before that one took, which were given up.
    pub given_up_ms: Vec<f64>,
    /// How many of them because a collection was under way.
    pub retries: u32,
    /// Whether one is under way in the core; `None` if that could not be told.
    pub collecting: Option<bool>,
    /// Threads that were stopped.
    pub threads: usize,
    /// Bytes of the core, zeros and all, before compression.
    pub core_bytes: u64,
    /// Bytes of pages in it that are not zero.
    pub data_bytes: u64,
    /// Bytes that the process had in memory (VmRSS and swap), for comparison.
    pub resident_bytes: u64,
    /// Bytes copied while it stood still.
    pub copied_in_stop: u64,
    /// Bytes of each round of a pre-copy.
    pub rounds: Vec<u64>,
    /// Bytes of huge pages that the snapshot split and that are huge again.
    pub huge_again: u64,
    /// Bytes of huge pages that stayed split.
    pub huge_split: u64,
    /// Why they did; none if none did.
    pub huge_split_reason: Option<huge::StaySplit>,
    /// Stretches of memory that could not be read: (first address, first after it).
    #[serde(serialize_with = "crate::address::ranges")]
    pub unreadable: Vec<(u64, u64)>,
}
