//! The system calls that have no safe wrapper in a library. They take and return plain bytes, which are interpreted
//! in [`super::bsdinfo`], [`super::socket`] and [`super::procargs`].

use std::ffi::CStr;
use std::sync::OnceLock;

use libc::{c_int, c_uint, c_void};
use libproc::bsd_info::BSDInfo;
use libproc::file_info::ProcFDInfo;
use libproc::net_info::{InSockInfo, SocketFDInfo, SocketInfo, TcpSockInfo, UnSockInfo};
use nix::errno::Errno;

use super::errors::why;
use crate::types::{Pid, Why};

// The answer that `bsdinfo` reads by offsets is this structure, and 56 bytes behind it.
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<BSDInfo>() + super::bsdinfo::UNIQUE.1 == super::bsdinfo::WHOLE.1);
    assert!(offset_of!(BSDInfo, pbi_flags) == 0 && offset_of!(BSDInfo, pbi_status) == 4);
    assert!(offset_of!(BSDInfo, pbi_pid) == 12 && offset_of!(BSDInfo, pbi_ppid) == 16);
    assert!(offset_of!(BSDInfo, pbi_uid) == 20 && offset_of!(BSDInfo, pbi_ruid) == 28);
    assert!(offset_of!(BSDInfo, pbi_svuid) == 36 && offset_of!(BSDInfo, pbi_comm) == 48);
    assert!(offset_of!(BSDInfo, pbi_pgid) == 100 && offset_of!(BSDInfo, pbi_start_tvsec) == 120);
    assert!(offset_of!(BSDInfo, pbi_start_tvusec) == 128);
    assert!(size_of::<libc::proc_bsdshortinfo>() == super::bsdinfo::SHORT.1);
    assert!(offset_of!(libc::proc_bsdshortinfo, pbsi_uid) == 36);
};

// These are read by offsets, too, by `socket`.
const _: () = {
    use super::socket::{DESCRIPTORS, SOCKET, at};
    use std::mem::{offset_of, size_of};
    assert!(size_of::<ProcFDInfo>() == DESCRIPTORS.1);
    assert!(offset_of!(ProcFDInfo, proc_fd) == 0 && offset_of!(ProcFDInfo, proc_fdtype) == 4);
    assert!(size_of::<SocketFDInfo>() == SOCKET.1);
    let info = offset_of!(SocketFDInfo, psi);
    assert!(info + offset_of!(SocketInfo, soi_options) == at::OPTIONS);
    assert!(info + offset_of!(SocketInfo, soi_kind) == at::KIND);
    let own = info + offset_of!(SocketInfo, soi_proto);
    let port = offset_of!(TcpSockInfo, tcpsi_ini) + offset_of!(InSockInfo, insi_lport);
    assert!(own + port == at::PORT);
    assert!(own + offset_of!(TcpSockInfo, tcpsi_state) == at::TCP_STATE);
    assert!(own + offset_of!(UnSockInfo, unsi_addr) == at::ADDRESS);
    assert!(offset_of!(libc::sockaddr_un, sun_len) == 0 && offset_of!(libc::sockaddr_un, sun_path) == 2);
};

/// Which processes to list.
#[derive(Debug, Clone, Copy)]
pub enum PidFilter {
    /// All processes.
    All,
    /// Those of this effective user.
    Of(u32),
    /// The children of this process.
    Below(Pid),
}

fn last() -> Why {
    why(Errno::last_raw())
}

/// Calls `proc_pidinfo(2)` for an answer of fixed length. It works for zombies too, where the kernel allows that.
pub fn pid_info<const N: usize>(pid: Pid, flavor: c_int) -> Result<[u8; N], Why> {
    const ZOMBIES_TOO: u64 = 1;
    let mut answer = [0u8; N];
    let size = c_int::try_from(N).map_err(|_| Why::Garbled("no answer is so long"))?;
    // SAFETY: the kernel writes at most `size` bytes, which is the length of the buffer.
    let len = unsafe {
        libc::proc_pidinfo(pid.get(), flavor, ZOMBIES_TOO, answer.as_mut_ptr().cast::<c_void>(), size)
    };
    if len == size {
        Ok(answer)
    } else if len <= 0 {
        Err(last())
    } else {
        Err(Why::Garbled("the kernel's answer has another length"))
    }
}

/// Lists processes, zombies included. The kernel fills the list at once, under the lock of its own list
/// (`proc_listpids` in bsd/kern/proc_info.c); only of the list of all, the oldest are missing when more than twenty
/// were forked between its counting and its locking.
///
/// libproc's `pids_by_type` asks for the length first, so that the list can be too short when many were forked in
/// between; and it takes an empty list for an error if any earlier call left an error number behind.
pub fn list_pids(filter: PidFilter) -> Result<Vec<Pid>, Why> {
    let (kind, of): (u32, u32) = match filter {
        PidFilter::All => (1, 0),
        PidFilter::Of(uid) => (4, uid),
        PidFilter::Below(parent) => (6, parent.get().cast_unsigned()),
    };
    let mut room = 4096;
    loop {
        let mut list: Vec<c_int> = vec![0; room];
        let size =
            c_int::try_from(size_of_val(list.as_slice())).map_err(|_| Why::Garbled("too many processes"))?;
        Errno::clear();
        // SAFETY: the kernel writes at most `size` bytes, which is the length of the buffer.
        let len = unsafe { libc::proc_listpids(kind, of, list.as_mut_ptr().cast::<c_void>(), size) };
        let found = usize::try_from(len).unwrap_or(0) / size_of::<c_int>();
        if found == 0 && Errno::last_raw() != 0 {
            return Err(last());
        }
        if found < room {
            list.truncate(found);
            return Ok(list.into_iter().filter_map(Pid::new).collect());
        }
        room *= 4;
    }
}

/// Lists a process's descriptors: entries of [`super::socket::DESCRIPTORS`]. The kernel reads as many entries of the
/// descriptor table as the buffer has room for (`proc_pidfdlist` in bsd/kern/proc_info.c), so the size of the table
/// is read first. Descriptors that are opened between the two calls can be missing.
pub fn list_descriptors(pid: Pid) -> Result<Vec<u8>, Why> {
    let ask = |buffer: *mut c_void, size: c_int| {
        Errno::clear();
        // SAFETY: the kernel writes at most `size` bytes, which is the length of the buffer, or nothing if that is
        // null.
        let len = unsafe { libc::proc_pidinfo(pid.get(), super::socket::DESCRIPTORS.0, 0, buffer, size) };
        let len = usize::try_from(len).unwrap_or(0);
        if len == 0 && Errno::last_raw() != 0 { Err(last()) } else { Ok(len) }
    };
    let mut list = vec![0; ask(std::ptr::null_mut(), 0)?];
    let size = c_int::try_from(list.len()).map_err(|_| Why::Garbled("too many descriptors"))?;
    let len = ask(list.as_mut_ptr().cast::<c_void>(), size)?;
    list.truncate(len);
    Ok(list)
}

/// Calls `proc_pidfdinfo` for one socket of a process; `None` when the descriptor was closed, or is of something else
/// by now.
pub fn socket_info(pid: Pid, fd: c_int) -> Result<Option<[u8; super::socket::SOCKET.1]>, Why> {
    let (flavor, len) = super::socket::SOCKET;
    let mut answer = [0u8; super::socket::SOCKET.1];
    let size = c_int::try_from(len).map_err(|_| Why::Garbled("no answer is so long"))?;
    // SAFETY: the kernel writes at most `size` bytes, which is the length of the buffer.
    let len =
        unsafe { libc::proc_pidfdinfo(pid.get(), fd, flavor, answer.as_mut_ptr().cast::<c_void>(), size) };
    if len == size {
        return Ok(Some(answer));
    }
    match Errno::last() {
        _ if len > 0 => Err(Why::Garbled("the kernel's answer has another length")),
        Errno::EBADF | Errno::ENOTSOCK => Ok(None),
        errno => Err(why(errno as i32)),
    }
}

/// Calls `sysctl(3)` by number; returns how many bytes of the buffer were filled.
pub fn sysctl(name: &mut [c_int], buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut len = buffer.len();
    let count = c_uint::try_from(name.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `name` has `count` numbers; the kernel writes at most `len` bytes, which is the length of the buffer,
    // and sets `len` to what it wrote. Nothing is set.
    let done = unsafe {
        libc::sysctl(
            name.as_mut_ptr(),
            count,
            buffer.as_mut_ptr().cast::<c_void>(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    if done == 0 { Ok(len.min(buffer.len())) } else { Err(Errno::last()) }
}

/// Reads a text by `sysctlbyname(3)`.
pub fn sysctl_text(name: &CStr) -> Result<String, Why> {
    let mut buffer = [0u8; 256];
    let mut len = buffer.len();
    // SAFETY: `name` ends with a NUL; the kernel writes at most `len` bytes, which is the length of the buffer, and
    // sets `len` to what it wrote. Nothing is set.
    let done = unsafe {
        libc::sysctlbyname(
            name.as_ptr(),
            buffer.as_mut_ptr().cast::<c_void>(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    if done != 0 {
        return Err(last());
    }
    let text = CStr::from_bytes_until_nul(&buffer).ok().and_then(|text| text.to_str().ok());
    text.map(str::to_owned).ok_or(Why::Garbled("the kernel's answer is no text"))
}

/// `audit_token_t`: eight words, of which the kernel reads two in this call.
type Token = [u32; 8];
type SignalByToken = unsafe extern "C" fn(*mut Token, c_int) -> c_int;

/// `proc_signal_with_audittoken`, where the system has it. It is looked up, not linked, so that the program starts
/// on systems without it.
fn signal_by_token() -> Option<SignalByToken> {
    static FOUND: OnceLock<Option<SignalByToken>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: the name ends with a NUL, and the handle means all that is loaded.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"proc_signal_with_audittoken".as_ptr()) };
        // SAFETY: the symbol is a function of this type (libsyscall/wrappers/libproc/libproc_private.h), and a
        // function pointer is as large as the pointer that was found.
        (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, SignalByToken>(found) })
    })
}

/// Whether [`signal`] can bind a signal to a process with this `p_idversion`.
pub fn can_bind(version: i32) -> bool {
    version != 0 && signal_by_token().is_some()
}

/// Sends a signal to the process that has this pid and this `p_idversion`, and to no other: the
/// kernel compares both while it holds the process. `None` where the system lacks the call.
pub fn signal(pid: Pid, version: i32, signal: c_int) -> Option<Result<(), Errno>> {
    let send = signal_by_token().filter(|_| version != 0)?;
    let mut token: Token = [0; 8];
    let [.., number, _, generation] = &mut token;
    (*number, *generation) = (pid.get().cast_unsigned(), version.cast_unsigned());
    // SAFETY: the token is ours and has the length that the kernel copies; nothing of it is kept.
    let done = unsafe { send(&raw mut token, signal) };
    match done {
        0 => Some(Ok(())),
        // A kernel older than the library does not know the call.
        libc::ENOSYS | libc::ENOTSUP | libc::EINVAL => None,
        errno => Some(Err(Errno::from_raw(errno))),
    }
}
