//! What the layers below advise, in the command line's own words: the one place that names flags.

use crate::error::Advice;
use crate::live::diagnosis::{NextStep, Step};
use crate::output::report::Gaps;
use crate::process::refusal::ELSEWHERE;

/// What a dump is called where a step is worded and nobody asked for anything else.
pub(super) const DUMP: &str = "heap.hprof";

/// What is to be said of an input beside the answer: how the sizes of objects were found, where it does not have
/// them, and what could not be read.
pub(super) fn remarks(sizes: Option<&str>, gaps: &Gaps) -> String {
    let sizes = sizes.map(|note| format!("note: {note}\n")).unwrap_or_default();
    sizes + &gaps.text(words)
}

/// Advice about an error or a gap.
pub(super) fn words(advice: Advice) -> &'static str {
    match advice {
        Advice::GiveLibjvm => "give the libjvm.so that the process ran with --jvm",
        Advice::GiveLibjvmOrRoot => {
            "give the libjvm.so that the process ran with --jvm, or its root with --sysroot"
        }
        Advice::GiveItOrRoot => "give it with --jvm or --sysroot",
        Advice::GiveRoot => "name the directory that holds it with --sysroot",
        Advice::GiveJdkRoot => "give the JDK's root with --sysroot",
        Advice::SayWhereFilesAre => "--sysroot DIR says where",
        Advice::AllowOverwrite => "give another name, or --overwrite to replace it",
        Advice::NameOutput => "give -o FILE, or -o -",
        Advice::WriteToFile => "give a file with -o FILE, or send it to a pipe or a file",
        Advice::MakeRoom => "free some space, or name another place with -o; `-o -` streams a file",
        Advice::MoveTemporary => "set TMPDIR to a directory with more room",
        Advice::CheckPermission => "check the owner and the mode, or run as that user",
        Advice::FewerThreads => "give a smaller number with --threads",
        Advice::AnyMethodToFile => {
            "give a file with -o, and no --snapshot, and rjcore goes on in another way by itself"
        }
        Advice::AnyMethod => "leave --snapshot away and rjcore chooses another way",
        Advice::UncompressedFile => "write to a file, without --zstd",
        Advice::WaitForThreads => "try again later, or give it longer with --max-pause",
        Advice::WaitForAnswer => "--timeout 0 waits for it without a limit",
        Advice::AllowMemory => {
            "allow more with --memory, or work where there is more: a core is read on any machine"
        }
        Advice::MoreVirtualThreads => "--virtual shows more",
    }
}

/// The command that takes a step; one that attaches has `what` behind the process id.
pub(super) fn command(next: &NextStep, what: &str) -> String {
    let pid = next.pid;
    let fetch = if next.fetch { "--fetch " } else { "" };
    let attach = format!("rjcore attach {fetch}{pid} {what}");
    match &next.step {
        Step::Attach => attach,
        Step::AttachAsRoot => format!("sudo {attach}"),
        Step::Continue => format!("kill -CONT {pid} && {attach}"),
        Step::EndTracer(tracer) => format!("kill {tracer}  # then: {attach}"),
        Step::Thaw(thaw) => format!("{thaw}  # then: {attach}"),
        Step::Capture => format!("rjcore capture {pid}"),
        Step::CaptureAsRoot => format!("sudo rjcore capture {pid}"),
        Step::CaptureElsewhere => format!("rjcore capture {pid}  # {ELSEWHERE}"),
        Step::Doctor => format!("rjcore doctor {pid}"),
        Step::DoctorAsRoot => format!("sudo rjcore doctor {pid}"),
        Step::ListJvms => "rjcore ps".into(),
    }
}
