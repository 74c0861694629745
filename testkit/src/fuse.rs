//! A minimal FUSE server that has one file and leaves a request unanswered.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use crate::sys::check;

const FUSE_LOOKUP: u32 = 1;
const FUSE_OPEN: u32 = 14;
const FUSE_INIT: u32 = 26;
/// `FOPEN_NOFLUSH`: no flush on close, because it would never be answered.
const FOPEN_NOFLUSH: u8 = 1 << 5;
const PAGE: usize = 4096;

/// Mounts the connection `device` at this directory.
pub(crate) fn mount(device: &File, at: &Path) -> io::Result<()> {
    // SAFETY: these calls only report ids.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let fd = device.as_raw_fd();
    let options = CString::new(format!("fd={fd},rootmode=40000,user_id={uid},group_id={gid},allow_other"))?;
    let target = crate::sys::c_string(at.as_os_str())?;
    // SAFETY: all strings are valid and outlive the call.
    check(unsafe {
        libc::mount(
            c"hang".as_ptr(),
            target.as_ptr(),
            c"fuse".as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV,
            options.as_ptr().cast(),
        )
    })
    .map(drop)
}

/// Answers requests up to the open of the one file; that too if `answer_open`.
pub(crate) fn serve_until_open(device: &mut File, answer_open: bool) -> io::Result<()> {
    let mut request = vec![0_u8; 1 << 20];
    loop {
        let length = device.read(&mut request)?;
        let Some(header) = request.get(..length.min(40)).filter(|header| header.len() == 40) else {
            continue;
        };
        let opcode = word(header, 4);
        let mut body = Vec::new();
        if opcode == FUSE_OPEN && !answer_open {
            return Ok(());
        }
        match opcode {
            FUSE_INIT => {
                // fuse_init_out: major, minor, readahead, flags, background, congestion, write, time granularity, …
                for value in [7_u32, 31, 0, 0, 0, PAGE as u32, 1] {
                    body.extend_from_slice(&value.to_le_bytes());
                }
                body.resize(64, 0);
            }
            FUSE_LOOKUP => {
                // fuse_entry_out: nodeid, generation, validities; then fuse_attr.
                for value in [2_u64, 1, 3600, 3600, 0] {
                    body.extend_from_slice(&value.to_le_bytes());
                }
                for value in [2_u64, PAGE as u64, 8, 0, 0, 0] {
                    body.extend_from_slice(&value.to_le_bytes());
                }
                for value in [0_u32, 0, 0, libc::S_IFREG | 0o444, 1, 0, 0, 0, PAGE as u32, 0] {
                    body.extend_from_slice(&value.to_le_bytes());
                }
            }
            FUSE_OPEN => {
                body.resize(16, 0);
                body[8] = FOPEN_NOFLUSH;
            }
            _ => {
                reply(device, header, -libc::ENOSYS, &[])?;
                continue;
            }
        }
        reply(device, header, 0, &body)?;
        if opcode == FUSE_OPEN {
            return Ok(());
        }
    }
}

/// Answers one request.
pub(crate) fn reply(device: &mut File, request: &[u8], error: i32, body: &[u8]) -> io::Result<()> {
    let mut answer = Vec::with_capacity(16 + body.len());
    answer.extend_from_slice(&((16 + body.len()) as u32).to_le_bytes());
    answer.extend_from_slice(&error.to_le_bytes());
    answer.extend_from_slice(request.get(8..16).unwrap_or(&[0; 8]));
    answer.extend_from_slice(body);
    device.write_all(&answer)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}
