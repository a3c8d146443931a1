//! The system calls that no crate at hand has: ptrace, waits for tracees, reads of another
//! process's memory, userfaultfd and PAGEMAP_SCAN.
//!
//! The only unsafe code of the capture, beside the buffers in `image`. Knows numbers and
//! structures of the kernel's interface; nothing of what they are used for.
#![allow(unsafe_code, reason = "system calls that no crate at hand has")]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// PTRACE_O_TRACESYSGOOD: syscall-stops have bit 7 set in their signal.
pub(crate) const TRACESYSGOOD: u64 = libc::PTRACE_O_TRACESYSGOOD as u64;
/// PTRACE_O_TRACECLONE: stop at clone and attach to what it makes.
pub(crate) const TRACECLONE: u64 = libc::PTRACE_O_TRACECLONE as u64;
/// PTRACE_O_EXITKILL: the tracee dies with its tracer.
pub(crate) const EXITKILL: u64 = libc::PTRACE_O_EXITKILL as u64;

/// PTRACE_O_SUSPEND_SECCOMP: no seccomp filter while traced; for CAP_SYS_ADMIN only.
pub(crate) const SUSPEND_SECCOMP: u64 = 1 << 21;

fn check(result: libc::c_long) -> io::Result<u64> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result as u64) }
}

fn ptrace(request: libc::c_uint, tid: i32, addr: usize, data: usize) -> io::Result<()> {
    // SAFETY: every caller passes addresses of live buffers of the size that the request asks
    // for, or plain numbers.
    check(unsafe { libc::ptrace(request, tid, addr as *mut c_void, data as *mut c_void) }).map(drop)
}

/// PTRACE_SEIZE with TRACESYSGOOD: attach, and let it run on.
pub(crate) fn seize(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SEIZE, tid, 0, TRACESYSGOOD as usize)
}

/// PTRACE_INTERRUPT: ask it to stop; `wait` says when it has.
pub(crate) fn interrupt(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// PTRACE_DETACH, with `signal` (or 0) delivered.
pub(crate) fn detach(tid: i32, signal: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_DETACH, tid, 0, signal as usize)
}

/// PTRACE_SYSCALL: run on to the next entry or exit of a system call.
pub(crate) fn run_to_syscall(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SYSCALL, tid, 0, 0)
}

/// PTRACE_SETOPTIONS.
pub(crate) fn set_options(tid: i32, options: u64) -> io::Result<()> {
    ptrace(libc::PTRACE_SETOPTIONS, tid, 0, options as usize)
}

/// PTRACE_GETEVENTMSG: what belongs to the event-stop, such as a new process's id.
pub(crate) fn event_message(tid: i32) -> io::Result<u64> {
    let mut message: libc::c_ulong = 0;
    ptrace(libc::PTRACE_GETEVENTMSG, tid, 0, &raw mut message as usize)?;
    Ok(message)
}

/// PTRACE_GETREGSET of the set `kind`, which has the number of its note in a core: at most `max` bytes.
pub(crate) fn registers(tid: i32, kind: u32, max: usize) -> io::Result<Vec<u8>> {
    let mut buf = vec![0u8; max];
    let n = registers_into(tid, kind, &mut buf)?;
    buf.truncate(n);
    buf.shrink_to_fit();
    Ok(buf)
}

/// The same into `buf`; answers its length.
pub(crate) fn registers_into(tid: i32, kind: u32, buf: &mut [u8]) -> io::Result<usize> {
    let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    ptrace(libc::PTRACE_GETREGSET, tid, kind as usize, &raw mut iov as usize)?;
    Ok(iov.iov_len.min(buf.len()))
}

/// PTRACE_SETREGSET of the set `kind`.
pub(crate) fn set_registers(tid: i32, kind: u32, bytes: &[u8]) -> io::Result<()> {
    // The kernel only reads the buffer of a SETREGSET.
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    ptrace(libc::PTRACE_SETREGSET, tid, kind as usize, &raw mut iov as usize)
}

/// PTRACE_GETSIGMASK: the signals that the thread blocks.
pub(crate) fn signal_mask(tid: i32) -> io::Result<u64> {
    let mut mask = 0u64;
    ptrace(libc::PTRACE_GETSIGMASK, tid, size_of::<u64>(), &raw mut mask as usize)?;
    Ok(mask)
}

/// PTRACE_SETSIGMASK.
pub(crate) fn set_signal_mask(tid: i32, mask: u64) -> io::Result<()> {
    ptrace(libc::PTRACE_SETSIGMASK, tid, size_of::<u64>(), &raw const mask as usize)
}

/// PTRACE_GETSIGINFO: the 128 bytes of `siginfo_t` of a signal-delivery-stop.
pub(crate) fn signal_info(tid: i32) -> io::Result<[u8; 128]> {
    let mut info = [0u8; 128];
    ptrace(libc::PTRACE_GETSIGINFO, tid, 0, info.as_mut_ptr() as usize)?;
    Ok(info)
}

/// The page size of this machine's kernel.
pub(crate) fn page_size() -> u64 {
    // SAFETY: it only answers a number.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

/// Whether the kernel lets this process use ptrace at all: a seccomp filter that forbids it
/// answers EPERM where the kernel itself says that we do not trace ourselves (ESRCH).
pub(crate) fn ptrace_is_allowed() -> bool {
    let own = std::process::id() as i32;
    !matches!(detach(own, 0), Err(e) if e.raw_os_error() != Some(libc::ESRCH))
}

/// SO_PEERCRED of a connected socket: the process that called listen, 0 if it cannot be seen from
/// here. rustix has no place for the 0.
pub(crate) fn peer_pid(socket: BorrowedFd<'_>) -> io::Result<i32> {
    let mut cred = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `cred` and `len` are live, and `len` is the size of `cred`.
    let n = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut cred).cast(),
            &mut len,
        )
    };
    check(n.into()).map(|_| cred.pid)
}

/// What `wait` saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It exited or was killed; it is gone.
    Gone,
    /// PTRACE_EVENT_STOP by our interrupt, or of a new tracee.
    Interrupted,
    /// PTRACE_EVENT_STOP of a group-stop: the process was stopped by this signal.
    GroupStop(i32),
    /// Stopped with this signal in hand; it must get it back when it is detached.
    Signal(i32),
    /// At the entry or the exit of a system call.
    Syscall,
    /// Another PTRACE_EVENT_*.
    Event(i32),
}

/// waitpid with __WALL: what happened to `tid`; `None` if nothing did and `block` is false.
pub(crate) fn wait(tid: i32, block: bool) -> io::Result<Option<Status>> {
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    Ok(waitpid(tid, flags)?.map(|(_, status)| status))
}

/// The same of any tracee of the calling thread, without blocking. With many tracees it takes as many steps.
pub(crate) fn wait_for_any() -> io::Result<Option<(i32, Status)>> {
    waitpid(-1, libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG)
}

fn waitpid(tid: i32, flags: c_int) -> io::Result<Option<(i32, Status)>> {
    let mut status: c_int = 0;
    let tid = loop {
        // SAFETY: `status` is a live int.
        match check(unsafe { libc::waitpid(tid, &mut status, flags) }.into()) {
            Ok(0) => return Ok(None),
            Ok(tid) => break tid as i32,
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
            Err(e) => return Err(e),
        }
    };
    if !libc::WIFSTOPPED(status) {
        return Ok(Some((tid, Status::Gone)));
    }
    let signal = libc::WSTOPSIG(status);
    let status = match status >> 16 {
        0 if signal == libc::SIGTRAP | 0x80 => Status::Syscall,
        0 => Status::Signal(signal),
        libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Status::Interrupted,
        libc::PTRACE_EVENT_STOP => Status::GroupStop(signal),
        event => Status::Event(event),
    };
    Ok(Some((tid, status)))
}

/// Give the processor to others: first at once, later by sleeping, so that waiting does not
/// take it from the threads that are to stop.
pub(crate) fn relax(turn: u32) {
    if turn < 20 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// process_vm_readv of one range; answers the bytes that were read, which may be fewer.
///
/// Only for a process that stands still or shares no page with a fork child: it pins pages, and
/// pinning a page that is shared since a fork copies it.
pub(crate) fn read_process(pid: i32, addr: u64, buf: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let remote = libc::iovec { iov_base: addr as *mut c_void, iov_len: buf.len() };
    // SAFETY: `local` is `buf`; `remote` is checked by the kernel.
    let read = unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) };
    check(read as libc::c_long).map(|n| n as usize)
}

/// Pages' categories for PAGEMAP_SCAN, linux/fs.h.
pub(crate) mod page {
    /// Written since it was last write-protected (asynchronous userfaultfd).
    pub(crate) const WRITTEN: u64 = 1 << 1;
    /// A page of a file or of shared memory.
    pub(crate) const FILE: u64 = 1 << 2;
    /// In memory and mapped.
    pub(crate) const PRESENT: u64 = 1 << 3;
    /// In swap.
    pub(crate) const SWAPPED: u64 = 1 << 4;
    /// The page of zeros that reads of untouched memory map.
    pub(crate) const ZERO: u64 = 1 << 5;
    /// Part of a huge page.
    pub(crate) const HUGE: u64 = 1 << 6;
}

/// `struct page_region`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PageRegion {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Bits of [`page`] that were asked for.
    pub categories: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScanArg {
    /// Bytes of this structure; set by [`pagemap_scan`].
    pub size: u64,
    /// PM_SCAN_*.
    pub flags: u64,
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// How far it came.
    pub walk_end: u64,
    /// Where the regions go; set by [`pagemap_scan`].
    pub vec: u64,
    /// How many fit; set by [`pagemap_scan`].
    pub vec_len: u64,
    /// Most pages to be told, 0 for all.
    pub max_pages: u64,
    /// Categories to be taken as their opposite.
    pub category_inverted: u64,
    /// Categories that all must hold.
    pub category_mask: u64,
    /// Categories of which one must hold.
    pub category_anyof_mask: u64,
    /// Categories to be told.
    pub return_mask: u64,
}

/// PM_SCAN_WP_MATCHING: write-protect what is reported.
pub(crate) const SCAN_WP_MATCHING: u64 = 1;
/// PM_SCAN_CHECK_WPASYNC: fail where no asynchronous userfaultfd is registered.
pub(crate) const SCAN_CHECK_WPASYNC: u64 = 2;
/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// PAGEMAP_SCAN on a /proc/PID/pagemap; fills `out` from its start, answers how many regions.
pub(crate) fn pagemap_scan(
    pagemap: BorrowedFd<'_>,
    arg: &mut ScanArg,
    out: &mut [PageRegion],
) -> io::Result<usize> {
    arg.size = size_of::<ScanArg>() as u64;
    arg.vec = out.as_mut_ptr() as u64;
    arg.vec_len = out.len() as u64;
    // SAFETY: `arg` names `out` with its true length.
    let n = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN as libc::Ioctl, arg) };
    check(n.into()).map(|n| n as usize)
}

/// userfaultfd's numbers, linux/userfaultfd.h.
pub(crate) mod uffd {
    use super::*;

    /// UFFD_USER_MODE_ONLY: faults of the kernel itself are not ours; allowed to everyone.
    pub(crate) const USER_MODE_ONLY: u64 = 1;
    /// UFFD_FEATURE_WP_ASYNC with what it builds on: PAGEFAULT_FLAG_WP, WP_HUGETLBFS_SHMEM,
    /// WP_UNPOPULATED.
    const FEATURES: u64 = 1 | 1 << 12 | 1 << 13 | 1 << 15;
    const API: u64 = 0xc018_aa3f;
    const REGISTER: u64 = 0xc020_aa00;
    const UNREGISTER: u64 = 0x8010_aa01;
    const MODE_WP: u64 = 2;

    fn ioctl(fd: BorrowedFd<'_>, request: u64, words: &mut [u64]) -> io::Result<()> {
        // SAFETY: every request's structure is as many 64-bit words as the caller passes.
        let n = unsafe { libc::ioctl(fd.as_raw_fd(), request as libc::Ioctl, words.as_mut_ptr()) };
        check(n.into()).map(drop)
    }

    /// A descriptor of our own, with its handshake: whether the kernel can do it at all.
    pub(crate) fn own() -> io::Result<OwnedFd> {
        let flags = USER_MODE_ONLY | libc::O_CLOEXEC as u64;
        // SAFETY: a call with numbers only.
        let fd = check(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) })?;
        // SAFETY: the kernel made it for us, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        handshake(fd.as_fd())?;
        Ok(fd)
    }

    /// UFFDIO_API: agree on write-protection that the kernel lifts by itself at a write.
    pub(crate) fn handshake(fd: BorrowedFd<'_>) -> io::Result<()> {
        ioctl(fd, API, &mut [0xaa, FEATURES, 0])
    }

    /// UFFDIO_REGISTER for write-protection.
    pub(crate) fn register(fd: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<()> {
        ioctl(fd, REGISTER, &mut [start, end - start, MODE_WP, 0])
    }

    /// UFFDIO_UNREGISTER.
    pub(crate) fn unregister(fd: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<()> {
        ioctl(fd, UNREGISTER, &mut [start, end - start])
    }
}

/// process_madvise(MADV_COLLAPSE): make huge pages of the range again.
pub(crate) fn collapse(pidfd: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<()> {
    let range = libc::iovec { iov_base: start as *mut c_void, iov_len: (end - start) as usize };
    // SAFETY: one iovec of another process's addresses, which the kernel checks.
    let n = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            pidfd.as_raw_fd(),
            &range,
            1usize,
            libc::MADV_COLLAPSE,
            0u32,
        )
    };
    check(n).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn scan_finds_a_page_of_our_own() {
        let page = vec![7u8; 1 << 16];
        let pagemap = std::fs::File::open("/proc/self/pagemap").expect("pagemap");
        let start = (page.as_ptr() as u64).next_multiple_of(4096);
        let mut arg = ScanArg {
            start,
            end: start + 8192,
            category_anyof_mask: page::PRESENT | page::SWAPPED,
            return_mask: page::PRESENT | page::FILE,
            ..ScanArg::default()
        };
        let mut out = [PageRegion::default(); 8];
        match pagemap_scan(pagemap.as_fd(), &mut arg, &mut out) {
            Ok(n) => {
                let pages: u64 = out[..n].iter().map(|r| (r.end - r.start) / 4096).sum();
                assert_eq!((pages, arg.walk_end), (2, start + 8192));
            }
            // Kernels before 6.7 do not know it.
            Err(e) => assert_eq!(e.raw_os_error(), Some(libc::ENOTTY)),
        }
    }

    #[test]
    fn reads_of_our_own_memory() {
        let text = *b"some bytes";
        let mut got = [0; 10];
        let n = read_process(std::process::id() as i32, text.as_ptr() as u64, &mut got);
        assert_eq!((n.expect("read"), got), (10, text));
        assert!(read_process(std::process::id() as i32, 8, &mut got).is_err());
        assert!(ptrace_is_allowed());
    }
}
