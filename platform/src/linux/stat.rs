//! `/proc/PID/stat`: parent, session, start and size in one short read (proc_pid_stat(5)).

use crate::types::{Pid, StartTime, Stat, State, Why};

const BROKEN: Why = Why::Garbled("its stat line cannot be read");

/// Parses the line. The name in parentheses may hold anything, `)` and newlines included, so the fields
/// are counted from the last `)`.
///
/// ```text
/// 4242 (goose) S 1 4200 4200 0 -1 4194304 310 0 0 0 1 0 0 0 20 0 1 0 1234567 18464000 4507 184…
/// ```
///
/// # Errors
/// [`Why::Garbled`] when a field is missing or not a number.
pub fn parse(line: &[u8], page_size: u64) -> Result<Stat, Why> {
    let open = line.iter().position(|b| *b == b'(').ok_or(BROKEN)?;
    let close = line.iter().rposition(|b| *b == b')').ok_or(BROKEN)?;
    let pid = line.get(..open).map(<[u8]>::trim_ascii).and_then(Pid::parse).ok_or(BROKEN)?;
    let comm = line.get(open + 1..close).ok_or(BROKEN)?.to_vec();
    let rest = line.get(close + 1..).ok_or(BROKEN)?;
    let mut fields = rest.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty());
    // The state is field 3; `skip` counts the fields between the one just taken and the next.
    let mut next = |skip: usize| fields.nth(skip).ok_or(BROKEN);
    let state = match next(0)? {
        [letter] => State(*letter),
        _ => return Err(BROKEN),
    };
    let ppid = link(next(0)?)?;
    let pgrp = link(next(0)?)?;
    let session = link(next(0)?)?;
    let threads = number(next(13)?)?;
    let start = StartTime(number(next(1)?)?);
    let vsize = number(next(0)?)?;
    let rss_pages = number(next(0)?).unwrap_or(0);
    // Fields 48, 50 and 51 (arg_start, env_start and env_end) are 0 for readers without the right to trace.
    let (arg_start, env_start, env_end) = match (fields.nth(23), fields.nth(1), fields.next()) {
        (Some(args), Some(start), Some(end)) => {
            (number(args).unwrap_or(0), number(start).unwrap_or(0), number(end).unwrap_or(0))
        }
        _ => (0, 0, 0),
    };
    Ok(Stat {
        pid,
        comm,
        state,
        threads,
        ppid,
        pgrp,
        session,
        start,
        rss_bytes: rss_pages.saturating_mul(page_size),
        has_memory: vsize > 0,
        environ_len: (env_start > 0).then(|| env_end.saturating_sub(env_start)),
        layout: (env_start > 0).then_some((arg_start, env_start)),
    })
}

/// Completes the facts of a process whose main thread has exited from the `stat` of a living thread: `stat` of
/// the process itself then shows no memory, although all its threads share one.
pub fn complete(process: &mut Stat, thread: &Stat) {
    process.rss_bytes = thread.rss_bytes;
    process.has_memory = thread.has_memory;
    process.environ_len = thread.environ_len;
    process.layout = thread.layout;
}

fn number(field: &[u8]) -> Result<u64, Why> {
    std::str::from_utf8(field).ok().and_then(|s| s.parse().ok()).ok_or(BROKEN)
}

/// A pid field in which 0 (and -1, for a group) means "not in this namespace".
fn link(field: &[u8]) -> Result<Option<Pid>, Why> {
    if field == b"0" || field == b"-1" {
        return Ok(None);
    }
    Pid::parse(field).map(Some).ok_or(BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &[u8] = b" S 1 4200 4199 0 -1 4194304 310 0 0 0 1 2 0 0 20 0 1 0 1234567 18464000 4507 \
        18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 100 140 1000 1512 0\n";

    fn line(name: &[u8]) -> Vec<u8> {
        [b"4242 (", name, b")", TAIL].concat()
    }

    #[test]
    fn reads_a_line() {
        let stat = parse(&line(b"goose"), 4096).unwrap();
        assert_eq!((stat.pid.get(), stat.comm.as_slice()), (4242, &b"goose"[..]));
        assert_eq!((stat.ppid, stat.pgrp, stat.session), (Pid::new(1), Pid::new(4200), Pid::new(4199)));
        assert_eq!((stat.start, stat.rss_bytes), (StartTime(1_234_567), 4507 * 4096));
        assert_eq!((stat.environ_len, stat.has_memory, stat.state), (Some(512), true, State(b'S')));
        assert_eq!((stat.threads, stat.layout), (1, Some((100, 1000))));
    }

    #[test]
    fn a_process_whose_main_thread_has_exited_has_the_memory_of_its_threads() {
        let text = String::from_utf8(line(b"goose")).unwrap();
        let gone = text
            .replace(") S ", ") Z ")
            .replace(" 20 0 1 0 1234567 18464000 4507 ", " 20 0 3 0 1234567 0 0 ");
        let gone = gone.replace(" 1000 1512 0", " 0 0 0").replace(" 100 140 ", " 0 0 ");
        let mut process = parse(gone.as_bytes(), 4096).unwrap();
        assert_eq!((process.threads, process.has_memory, process.environ_len), (3, false, None));
        assert!(process.lost_its_main_thread() && !process.is_dead());
        complete(&mut process, &parse(text.as_bytes(), 4096).unwrap());
        assert_eq!(
            (process.rss_bytes, process.has_memory, process.environ_len),
            (4507 * 4096, true, Some(512))
        );
        assert_eq!((process.state, process.layout), (State(b'Z'), Some((100, 1000))));
    }

    #[test]
    fn hostile_names_do_not_shift_the_fields() {
        for name in [&b"foo) Z"[..], b") R 7 7 7", b"(((", b"a\nb", b"\xff\x1b[31m", b"", b"x)) S 9"] {
            let stat = parse(&line(name), 4096).unwrap();
            assert_eq!(stat.comm, name);
            assert_eq!(stat.ppid, Pid::new(1));
        }
    }

    #[test]
    fn zero_means_outside_the_namespace() {
        let text = String::from_utf8(line(b"x")).unwrap().replace(" 1 4200 4199 ", " 0 0 0 ");
        let stat = parse(text.as_bytes(), 4096).unwrap();
        assert_eq!((stat.ppid, stat.pgrp, stat.session), (None, None, None));
    }

    #[test]
    fn truncation_at_every_offset_is_an_error_or_the_same_facts() {
        let whole = line(b"goose");
        let full = parse(&whole, 4096).unwrap();
        for end in 0..whole.len() {
            if let Ok(stat) = parse(whole.get(..end).unwrap(), 4096) {
                assert_eq!((stat.pid, stat.ppid, stat.session), (full.pid, full.ppid, full.session));
            }
        }
    }
}
