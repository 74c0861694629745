//! The measurement, as an ordinary user inside the population. It prints one line of figures for the benchmark outside.

use super::common::{Args, beside, doing, median};
use super::figures::Figures;
use super::service::Service;
use reaper_platform::{Host as _, NativeHost, Scope};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::time::{ClockId, clock_gettime};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Measures everything; prints one line.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the benchmark outside reads the figures from here"
)]
pub fn run(args: &Args) -> Result<ExitCode, String> {
    let number = |flag: &str| args.numbers(flag, &[1]).map(|all| all.first().copied().unwrap_or(1));
    let (ticks, samples) = (number("--ticks")?, number("--samples")?);
    let interval = Duration::from_secs(number("--interval")? as u64);
    let manager = variable("POPULATION_MANAGER")?;
    let launchers = (0..samples).map(|_| Launcher::start()).collect::<Result<Vec<_>, _>>()?;
    let service = Service::start(interval)?;
    let start_ms = service.cpu()?.as_secs_f64() * 1e3;

    // New processes are rechecked more often, after one interval, two, four and so on up to two minutes: wait until
    // that is over.
    let mut reader = Reader { lists: vec![1, manager] };
    for _ in 0..number("--warm-up")? {
        std::thread::sleep(interval);
        reader.read()?;
    }
    let looks = service.looks()?;
    // In the middle between two ticks, and long after the request.
    std::thread::sleep(interval / 2);
    let wakes = service.figure("status", "voluntary_ctxt_switches")?;
    let (mut theirs, mut own) = (vec![service.cpu()?], vec![cpu_time()]);
    for _ in 0..ticks {
        std::thread::sleep(interval);
        reader.read()?;
        own.push(cpu_time());
        theirs.push(service.cpu()?);
    }
    let wakes = service.figure("status", "voluntary_ctxt_switches")? - wakes;
    let looks = service.looks()? - looks;
    let syscalls = service.syscalls(interval * 3).map(|calls| calls / 3.0);
    if let Err(why) = &syscalls {
        eprintln!("{why}");
    }
    let mut figures = Figures {
        list_us: median(steps_us(&own)),
        tick_us: median(steps_us(&theirs)),
        mean_tick_us: steps_us(&theirs).iter().sum::<f64>() / looks,
        wakes: wakes / looks,
        syscalls: syscalls.unwrap_or(f64::NAN),
        walk_ms: walk_ms()?,
        start_ms,
        rss_kib: service.figure("status", "VmRSS")?,
        pss_kib: service.figure("smaps_rollup", "Pss")?,
        peak_kib: service.figure("status", "VmHWM")?,
        threads: service.figure("status", "Threads")?,
        noticed_us: f64::NAN,
        noticed_worst_us: f64::NAN,
        interval_s: interval.as_secs_f64(),
    };
    let mut late = Vec::new();
    for launcher in launchers {
        late.push(launcher.end(&service)?);
    }
    figures.noticed_worst_us = late.iter().copied().fold(f64::MIN, f64::max);
    figures.noticed_us = median(late);
    println!("{}", figures.to_line());
    Ok(ExitCode::SUCCESS)
}

fn variable(name: &str) -> Result<u32, String> {
    let value = doing(&format!("read {name}"), std::env::var(name))?;
    doing(&format!("read {name}"), value.parse())
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn steps_us(times: &[Duration]) -> Vec<f64> {
    times
        .windows(2)
        .map(|pair| match pair {
            [before, after] => (*after - *before).as_secs_f64() * 1e6,
            _ => f64::NAN,
        })
        .collect()
}

/// The least work to learn of new children: reads the adopters' lists and discards them.
struct Reader {
    lists: Vec<u32>,
}

impl Reader {
    fn read(&mut self) -> Result<(), String> {
        for pid in &self.lists {
            let tasks = format!("/proc/{pid}/task");
            for task in doing("list the threads", std::fs::read_dir(&tasks))?.flatten() {
                let path = task.path().join("children");
                let mut file = doing("open a list", std::fs::File::open(path))?;
                let mut buffer = [0_u8; 16 << 10];
                while doing("read a list", std::io::Read::read(&mut file, &mut buffer))? > 0 {}
            }
        }
        Ok(())
    }
}

/// The CPU time of the service's full list of all processes, in ms; the first one is not measured.
fn walk_ms() -> Result<f64, String> {
    let host = doing("open /proc", NativeHost::new())?;
    let scope = Scope::User(host.info().uid);
    let mut costs = Vec::new();
    for _ in 0..4 {
        let before = cpu_time();
        doing("walk", host.list(scope))?;
        costs.push((cpu_time() - before).as_secs_f64() * 1e3);
    }
    costs.remove(0);
    Ok(median(costs))
}

/// A shell with a marked agent below it.
struct Launcher {
    shell: Child,
    agent: u32,
}

impl Launcher {
    fn start() -> Result<Self, String> {
        let home = doing("find a home", std::env::var("HOME"))?;
        let agent = format!("{home}/claude");
        if !std::path::Path::new(&agent).exists() {
            doing("copy an agent", std::fs::copy(beside("population")?, &agent))?;
        }
        let script = format!("SPROUT_MANAGED_AGENT=1 {agent} --sleep & echo $!; wait");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut shell = doing("start a launcher", command.spawn())?;
        let mut line = String::new();
        if let Some(output) = &mut shell.stdout {
            doing(
                "hear a launcher",
                std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line),
            )?;
        }
        Ok(Self { shell, agent: doing("learn an agent's number", line.trim().parse())? })
    }

    /// Ends the shell; returns how many microseconds later the service has noticed that the agent is an orphan.
    fn end(mut self, service: &Service) -> Result<f64, String> {
        let pid = Pid::from_child(&self.shell);
        let pidfd = doing("open a pidfd", pidfd_open(pid, PidfdFlags::empty()))?;
        let watch = std::thread::spawn(move || {
            let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None);
            ended.map(|_| jiff::Timestamp::now().as_microsecond())
        });
        std::thread::sleep(Duration::from_millis(30));
        doing("end a launcher", kill_process(pid, Signal::KILL))?;
        let ended = watch.join().map_err(|_| "the watching thread failed".to_owned())?;
        let ended = doing("watch a launcher", ended)?;
        doing("collect a launcher", self.shell.wait())?;
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(noticed) = service.noticed(self.agent) {
                return Ok((noticed - ended) as f64);
            }
            if Instant::now() > end {
                return Err(format!("agent {} was not noticed\n{}", self.agent, service.log_text()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
