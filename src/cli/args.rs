//! The command line, as clap parses it. No I/O happens here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use reaper_platform::Pid;

use super::help;
use reaper_policy::duration;

const ABOUT: &str = "Ends AI-agent processes that outlived whatever launched them, and provably nothing else";
/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "reaper", version, about = ABOUT, after_help = help::REAPER)]
pub struct App {
    /// Flags that may stand before or after the subcommand.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that may stand before or after the subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Use this config file instead of the system's and the user's
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: every gate's finding, the evidence behind every profile
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find orphaned agents, and end them unless --dry-run is given
    #[command(after_help = help::SCAN)]
    Scan(Scan),
    /// Say what every gate answers for one process, with its evidence
    #[command(after_help = help::EXPLAIN)]
    Explain(Explain),
    /// Run the service in the foreground: end orphans when their grace is over, for as long as it runs
    #[command(after_help = help::RUN)]
    Run(Run),
    /// Ask the running service how it is and what it did
    #[command(after_help = help::STATUS)]
    Status(Status),
    /// Make the running service sweep now
    #[command(after_help = help::SWEEP)]
    Sweep,
    /// Make the running service end nothing for a while; it keeps tracking
    #[command(after_help = help::PAUSE)]
    Pause(Pause),
    /// End a pause
    #[command(after_help = help::RESUME)]
    Resume,
    /// Make the running service read its config again
    #[command(after_help = help::RELOAD)]
    Reload,
    /// Install the service with your systemd or launchd, remove it, show its state
    #[command(subcommand, after_help = help::SERVICE)]
    Service(Service),
    /// What was ended, why, and what became of it
    #[command(after_help = help::HISTORY)]
    History(History),
    /// Check whether this machine, user and sandbox let reaper do its job, and try it on a process of its own
    #[command(after_help = help::DOCTOR)]
    Doctor(Doctor),
    /// List the profiles: which agents are known, by which marker, what is on or off and why
    #[command(after_help = help::PROFILES)]
    Profiles,
    /// Show, check and find the configuration
    #[command(subcommand, after_help = help::CONFIG)]
    Config(Config),
    /// Print a completion script for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages, one for each command and one for the config, below a directory
    #[command(after_help = help::MAN)]
    Man {
        /// Gets man1 and man5, and is made if it is missing
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// Find orphaned agents, and end them.
#[derive(Debug, Clone, Args)]
pub struct Scan {
    /// Look only: send no signal, write nothing, wait for nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// How long a process must have been seen orphaned, e.g. 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub grace: Option<Duration>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Use only this profile, whether it is on or off; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Also list the processes that were spared
    #[arg(long)]
    pub all: bool,
    /// As root: every user's processes, not only root's own
    #[arg(long)]
    pub all_users: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Exit with status 1 when orphans were found
    #[arg(long)]
    pub exit_code: bool,
}

/// Say what every gate answers for one process.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// The process
    #[arg(value_parser = pid, allow_negative_numbers = true)]
    pub pid: Pid,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Run the service.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Log what would be ended, and end nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// As root: every user's processes, not only root's own
    #[arg(long)]
    pub all_users: bool,
    /// Compare each sweep with a stateless one, and log differences
    #[arg(long, hide = true)]
    pub paranoid: bool,
}

/// Ask the running service how it is.
#[derive(Debug, Clone, Args)]
pub struct Status {
    /// How to print the result
    #[arg(long, value_enum, default_value_t = StatusFormat::Table)]
    pub format: StatusFormat,
    /// Print nothing, and report by the exit status
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "format")]
    pub check: Option<Check>,
}

/// What a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Check {
    /// It answers
    Live,
    /// It answers, and can do its job
    Ready,
}

/// Make the running service end nothing.
#[derive(Debug, Clone, Args)]
pub struct Pause {
    /// For how long, e.g. 10m; until `reaper resume` when it is left out
    #[arg(value_name = "DURATION", value_parser = duration)]
    pub time: Option<Duration>,
}

/// Make the service start by itself.
#[derive(Debug, Clone, Subcommand)]
pub enum Service {
    /// Write its file, have it started now and from now on; again after an update or a move of reaper
    #[command(after_help = help::SERVICE_INSTALL)]
    Install(Print),
    /// Stop it and remove its file; settings and history stay
    #[command(after_help = help::SERVICE_UNINSTALL)]
    Uninstall(Print),
    /// Whether it is installed and runs, as its manager sees it
    #[command(after_help = help::SERVICE_STATUS)]
    Status(Print),
}

/// Whether anything is done.
#[derive(Debug, Clone, Copy, Args)]
pub struct Print {
    /// Do nothing: print the file, and each command that would be run
    #[arg(long)]
    pub print: bool,
}

/// What was ended, why, and what became of it.
#[derive(Debug, Clone, Args)]
pub struct History {
    /// Only what happened within this time, e.g. 24h or 7d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<Duration>,
    /// Only what happened to the processes of this number
    #[arg(long, value_parser = pid)]
    pub pid: Option<Pid>,
    /// How many to show, the newest; the totals count all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// Show all
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// As root: what the service for all users did, from /var/lib/reaper
    #[arg(long)]
    pub all_users: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Check whether the job can be done here.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    /// Leave out the live test, which starts a process and ends it
    #[arg(long)]
    pub no_self_test: bool,
    /// As root: check for every user's processes, not only root's own
    #[arg(long)]
    pub all_users: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs: one document, versioned
    Json,
}

/// How to print the state of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// For people
    Table,
    /// For programs: one document, versioned
    Json,
    /// For scrapers: the metrics as OpenMetrics text
    Openmetrics,
}

/// Show, check and find the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum Config {
    /// Print the settings in force, and where each comes from
    Show,
    /// Check the files and variables, and say what is wrong or odd
    Check,
    /// Print an example file with every key at its default
    Example,
    /// Print the files that are read, in order, and whether they are there
    Path,
}

fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|e| e.to_string())
}

fn pid(text: &str) -> Result<Pid, String> {
    Pid::parse(text.as_bytes())
        .ok_or_else(|| format!("a process id is a whole number from 1 to {}", i32::MAX))
}

/// Parses, as clap does, without touching the process.
///
/// # Errors
/// clap's own, help and version included.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<App, clap::Error> {
    App::try_parse_from(args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        App::command().debug_assert();
    }

    #[test]
    fn global_flags_may_stand_anywhere() {
        for line in ["reaper --color never scan -n", "reaper scan -n --color never"] {
            let app = parse(line.split(' ').map(OsString::from)).unwrap();
            assert_eq!(app.global.color, Color::Never);
        }
    }

    #[test]
    fn durations_need_units_and_pids_are_positive() {
        for bad in ["scan --grace 30", "scan --grace -5s", "explain 0", "explain -1", "explain x"] {
            assert!(parse(format!("reaper {bad}").split(' ').map(OsString::from)).is_err(), "{bad}");
        }
    }
}
