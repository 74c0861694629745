//! A process whose memory cannot be read: every reader of its environment or arguments blocks.
//!
//! The kernel reads both under the lock of the target's memory map. One thread holds that lock for ever, in a
//! page fault on a file whose read is never answered; another waits to change the map, and all later readers queue
//! behind it. That is how real processes on a dead network or FUSE mount behave. The process serves the file
//! itself, so that its own end releases all readers.

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::fuse::{mount, reply, serve_until_open};
use crate::process_ref::poll;
use crate::sys::check;

const PAGE: usize = 4096;

/// Makes every reader of this process's memory block until this process ends. Needs `/dev/fuse` and the right to
/// mount; `mount_point` must be an empty directory of its own.
///
/// Gives the open connection and the file: the hang lasts as long as they are open.
pub fn hang_readers(mount_point: &Path) -> io::Result<[File; 2]> {
    let mut device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    mount(&device, mount_point)?;
    // Opening the file waits for an answer that only this process can give: a thread gives it.
    let mut server = device.try_clone()?;
    let serve = std::thread::spawn(move || serve_until_open(&mut server, true));
    let file = File::open(mount_point.join("memory"))?;
    serve.join().map_err(|_| io::Error::other("the FUSE server failed"))??;
    let page = map(Some(&file))?;

    // Both threads exist before the lock is held: to start one needs the lock.
    let rounds = Arc::new([AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)]);
    let theirs = Arc::clone(&rounds);
    std::thread::spawn(move || change_map_when_asked(&theirs));
    std::thread::spawn(move || {
        // SAFETY: the page is mapped readable; the read simply never returns.
        unsafe { std::ptr::read_volatile(page as *const u8) }
    });
    let mut request = vec![0_u8; 1 << 18];
    while rounds[2].load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    let changer = CString::new(format!("/proc/self/task/{}/stat", rounds[2].load(Ordering::Acquire)))?;
    for round in 1..=8 {
        // The first faults release the lock while they wait; the kernel's last retry does not.
        wait_for_request(&device)?;
        rounds[0].store(round, Ordering::Release);
        // The other thread must be seen to wait for the lock; on a busy machine it may only be late.
        let mut waits = 0;
        while waits < 3 && rounds[1].load(Ordering::Acquire) != round {
            std::thread::sleep(Duration::from_millis(1));
            waits = if is_blocked(&changer) { waits + 1 } else { 0 };
        }
        if rounds[1].load(Ordering::Acquire) != round {
            return Ok([device, file]);
        }
        let length = device.read(&mut request)?;
        reply(&mut device, request.get(..length).unwrap_or_default(), -libc::EIO, &[])?;
    }
    Err(io::Error::other("the memory map did not stay locked"))
}

/// Whether a thread waits in the kernel and cannot be woken by signals. Changes nothing in the memory map.
fn is_blocked(stat: &CStr) -> bool {
    let mut line = [0_u8; 256];
    // SAFETY: the path is valid, and the buffer is as long as is said.
    let length = unsafe {
        let fd = libc::open(stat.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        let length = libc::read(fd, line.as_mut_ptr().cast(), line.len());
        libc::close(fd);
        length
    };
    let line = line.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
    line.windows(3).any(|part| part == b") D")
}

/// Changes the memory map once for every round requested in `rounds[0]`, and counts it in `rounds[1]`; stores in
/// `rounds[2]` its thread id.
fn change_map_when_asked(rounds: &[AtomicU32; 3]) {
    // SAFETY: gettid has no preconditions.
    rounds[2].store(unsafe { libc::gettid() } as u32, Ordering::Release);
    let mut done = 0;
    loop {
        let asked = rounds[0].load(Ordering::Acquire);
        if asked != done {
            if let Ok(page) = map(None) {
                // SAFETY: this mapping is used nowhere else.
                unsafe { libc::munmap(page as *mut libc::c_void, PAGE) };
            }
            done = asked;
            rounds[1].store(done, Ordering::Release);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Maps a page of `file`, or of nothing.
fn map(file: Option<&File>) -> io::Result<usize> {
    let flags = libc::MAP_PRIVATE | if file.is_none() { libc::MAP_ANONYMOUS } else { 0 };
    let fd = file.map_or(-1, |file| file.as_raw_fd());
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_READ, flags, fd, 0) };
    if address == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(address as usize) }
}

fn wait_for_request(device: &File) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one valid pollfd.
    match check(unsafe { libc::poll(&raw mut poll, 1, 2000) })? {
        0 => Err(io::Error::new(io::ErrorKind::TimedOut, "the file is not read")),
        _ => Ok(()),
    }
}

/// A directory with a file `memory` that cannot be opened: a process that tries cannot even be killed until this is
/// dropped. (The request has been read, and the kernel waits for the answer without a limit.)
#[derive(Debug)]
pub struct HangingMount {
    /// The file not to open.
    pub file: PathBuf,
    _device: File,
    server: JoinHandle<io::Result<()>>,
}

impl HangingMount {
    /// Mounts it on `mount_point`, an empty directory. Needs `/dev/fuse` and the right to mount.
    pub fn new(mount_point: &Path) -> io::Result<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
        mount(&device, mount_point)?;
        // The thread ends with the first attempt to open, and then no longer holds the connection.
        let mut server = device.try_clone()?;
        let server = std::thread::spawn(move || serve_until_open(&mut server, false));
        Ok(Self { file: mount_point.join("memory"), _device: device, server })
    }

    /// Waits until a process has tried to open it, and is stuck; says whether that is so.
    #[must_use]
    pub fn wait_entered(&self) -> bool {
        poll(Duration::from_secs(10), || self.server.is_finished())
    }
}
