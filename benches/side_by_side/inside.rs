//! The measurement, as an ordinary user inside the population. It prints one line per row for the benchmark outside;
//! see [`Row::to_line`](super::table::Row::to_line).

use super::common::{Args, beside, doing, median};
use super::scanners::{Found, Scanner, all};
use super::table::{Group, Row};
use super::usage::{Usage, usage};
use rustix::time::{ClockId, clock_gettime};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The measured command. With `--grace 0s` every orphan passes through all gates.
const REAPER: [&str; 6] = ["scan", "--dry-run", "--grace", "0s", "--format", "json"];

/// Measures everything; prints the rows.
pub fn run(args: &Args) -> Result<Vec<Row>, String> {
    let manager = variable("POPULATION_MANAGER")?;
    let mut scanners = all(manager)?;
    if let Some(name) = args.value("--once") {
        // A fresh process that scans once, for its system calls and its memory; "nothing" is the cost of starting it.
        if let Some(scanner) = scanners.iter_mut().find(|s| s.name == name) {
            (scanner.scan)()?;
        }
        return Ok(Vec::new());
    }
    let rounds = args.numbers("--rounds", &[7])?.first().copied().unwrap_or(7).max(1);
    let expected = agree(&mut scanners, variable("POPULATION_EXPECT")?)?;
    let mut rows = commands(rounds, &expected)?;
    rows.extend(in_process(&mut scanners, rounds)?);
    Ok(rows)
}

fn variable(name: &str) -> Result<u32, String> {
    let value = doing(&format!("read {name}"), std::env::var(name))?;
    doing(&format!("read {name}"), value.parse())
}

/// Checks before any timing that all scanners find the same processes, and as many as there are.
fn agree(scanners: &mut [Scanner], count: u32) -> Result<Found, String> {
    let mut expected: Option<Found> = None;
    for scanner in scanners.iter_mut().filter(|s| s.answers) {
        let found = (scanner.scan)()?;
        if u32::try_from(found.len()) != Ok(count) || expected.as_ref().is_some_and(|e| *e != found) {
            return Err(format!(
                "{} found {} orphans where {count} are: {found:?}",
                scanner.name,
                found.len()
            ));
        }
        expected = Some(found);
    }
    expected.ok_or_else(|| "no scanner answers".into())
}

/// Whole commands, from before the fork until they are reaped, one of each in turn.
fn commands(rounds: usize, expected: &Found) -> Result<Vec<Row>, String> {
    let reaper = beside("reaper")?;
    let uid = rustix::process::getuid().as_raw().to_string();
    let lines: [(&str, PathBuf, Vec<&str>); 3] = [
        ("reaper scan --dry-run", reaper.clone(), REAPER.to_vec()),
        ("pgrep -P 1 -u USER", "pgrep".into(), vec!["-P", "1", "-u", &uid]),
        ("ps -eo pid,ppid,user,comm", "ps".into(), vec!["-eo", "pid,ppid,user,comm"]),
    ];
    let note = check_reaper(&reaper, expected).err();
    let mut samples: Vec<Vec<_>> = lines.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for ((name, program, args), samples) in lines.iter().zip(&mut samples) {
            let sample = usage(program, args).and_then(|usage| match usage.status {
                // `pgrep` says 1 when it finds nothing.
                0 | 1 => Ok(usage),
                status => Err(format!("{name} ended with status {status}")),
            });
            // The first round warms the caches.
            if round > 0 || sample.is_err() {
                samples.push(sample);
            }
        }
    }
    let rows = lines.iter().zip(samples).map(|((name, program, args), samples)| {
        let samples: Result<Vec<_>, String> = samples.into_iter().collect();
        let mut row = Row::new(Group::Command, name);
        match samples {
            Ok(all) => {
                row.cpu_ms = median(all.iter().map(|u| u.cpu_us as f64 / 1000.0).collect());
                row.wall_ms = median(all.iter().map(Usage::wall_ms).collect());
                row.peak_kib = median(all.iter().map(|u| u.peak_kib as f64).collect());
                (row.syscalls, row.note) = or_note(syscalls(program, args));
            }
            Err(why) => row.note = why,
        }
        row
    });
    let mut rows: Vec<Row> = rows.collect();
    if let (Some(row), Some(why)) = (rows.first_mut(), note) {
        row.note = format!("NOT COMPARABLE: {why}");
    }
    Ok(rows)
}

/// The command must have found what the scanners found, or its figures mean nothing.
fn check_reaper(reaper: &Path, expected: &Found) -> Result<(), String> {
    let output = doing("run reaper", Command::new(reaper).args(REAPER).stderr(Stdio::inherit()).output())?;
    let document: serde_json::Value = doing("read the report", serde_json::from_slice(&output.stdout))?;
    let judgements =
        document.get("judgements").and_then(|j| j.as_array()).ok_or("no judgements in the report")?;
    let reap = judgements.iter().filter(|j| j.get("verdict").is_some_and(|v| v == "reap"));
    let pid = |j: &serde_json::Value| j.get("pid")?.as_u64()?.try_into().ok();
    let found: Found = reap.filter_map(pid).collect();
    match found == *expected {
        true => Ok(()),
        false => Err(format!("it found {} orphans where {} are", found.len(), expected.len())),
    }
}

/// Repeated scans inside this process: the steady state, which favours libraries that cache data.
fn in_process(scanners: &mut [Scanner], rounds: usize) -> Result<Vec<Row>, String> {
    let mut samples: Vec<Vec<(f64, f64)>> = scanners.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (scanner, samples) in scanners.iter_mut().zip(&mut samples) {
            // The scan before left its own data in the processor's caches: one unmeasured scan, then enough of them
            // for a cheap scanner's median to be as good as that of an expensive one.
            (scanner.scan)()?;
            let batch = Instant::now();
            for _ in 0..20 {
                let (cpu, wall) = (cpu_time(), Instant::now());
                (scanner.scan)()?;
                samples.push(((cpu_time() - cpu).as_secs_f64() * 1e3, wall.elapsed().as_secs_f64() * 1e3));
                if batch.elapsed() > Duration::from_millis(200) {
                    break;
                }
            }
        }
    }
    let me = beside("bench")?;
    let idle = once(&me, "nothing");
    let rows = scanners.iter().zip(samples).map(|(scanner, samples)| {
        let mut row = Row::new(Group::InProcess, scanner.name);
        row.cpu_ms = median(samples.iter().map(|s| s.0).collect());
        row.wall_ms = median(samples.iter().map(|s| s.1).collect());
        let (calls, peak) = once(&me, scanner.name);
        (row.syscalls, row.note) = or_note(calls.and_then(|c| Ok(c - idle.0.clone()?)));
        row.peak_kib = peak;
        row
    });
    Ok(rows.collect())
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// System calls and peak memory of a fresh process that scans once.
fn once(me: &Path, name: &str) -> (Result<f64, String>, f64) {
    let args = ["--inside", "--once", name];
    let peak = usage(me, &args).map_or(f64::NAN, |usage| usage.peak_kib as f64);
    (syscalls(me, &args), peak)
}

/// System calls of a whole command, by strace's summary: `100.00 0.012345 3 4105 12 total`.
fn syscalls(program: &Path, args: &[&str]) -> Result<f64, String> {
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f", "--"]).arg(program).args(args).stdout(Stdio::null());
    let output = strace.output().map_err(|e| format!("no system calls: strace: {e}"))?;
    let summary = String::from_utf8_lossy(&output.stderr);
    let total = summary.lines().find(|line| line.ends_with(" total"));
    let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    calls.ok_or_else(|| {
        format!("no system calls: strace said `{}`", summary.lines().next().unwrap_or_default())
    })
}

fn or_note(result: Result<f64, String>) -> (f64, String) {
    match result {
        Ok(value) => (value, String::new()),
        Err(why) => (f64::NAN, why),
    }
}
