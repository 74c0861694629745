//! The text below the flags in `--help`. Each paragraph is one line: clap wraps it.

/// Below the help of `reaper`.
pub const REAPER: &str = "\
Examples:
  reaper scan --dry-run    see which agents are orphans, and what goes down with each
  reaper scan              the same, then ask, wait out the grace period, end them
  reaper explain 4242      every gate's answer for one process, with its evidence
  reaper history           what was ended, why, and what became of it
  reaper doctor            whether it can do its job here, tried on a process of its own
  reaper service install   do the same all the time, in the background
  reaper profiles          which agents are known, by which marker, and what is on

Exit status:
  0   done, or nothing to do
  1   orphans were found (only with --exit-code)
  2   wrong usage
  3   the config cannot be used
  4   could not do the job: blind, incomplete census, something unknown, lock, state directory
  5   a target survived or could not be signalled
  70  a bug in reaper";

/// Below the help of `reaper scan`.
pub const SCAN: &str = "\
An orphan is a process whose parent has exited, so that init or the user's service manager has it now. It is \
ended only when all eight gates say yes; the column REASON holds the evidence of the gate that decided, and \
-v shows all of them.

Verdicts:
  reap     all gates say yes: it is ended
  wait     the same, but it has not been seen orphaned for as long as grace
  spare    a gate says no: it is left alone
  unknown  something that matters is not known: it is left alone, and the exit status is 4

Without --dry-run, `scan` shows what it found, asks, waits until the grace of each orphan is over, looks again, \
sends SIGTERM, and SIGKILL to what is still there after term-timeout. Before each signal every process is judged \
once more. Earlier runs count: an orphan seen a minute ago does not wait again.

Examples:
  reaper scan --dry-run                   look only: signal nothing, write nothing
  reaper scan --dry-run --all             also list what was spared, with the reason
  reaper scan --yes                       do not ask
  reaper scan --grace 5m                  a longer grace than in the config
  reaper scan --dry-run --profile sprout  one family of agents only
  reaper scan --yes --format json         for a timer or a script
  reaper scan --dry-run --exit-code       status 1 when there are orphans";

/// Below the help of `reaper explain`.
pub const EXPLAIN: &str = "\
`yes` always speaks for ending the process, `no` spares it, `unknown` spares it and is reported. `not-asked` \
means that an earlier answer decided.

Examples:
  reaper explain 4242                every gate, one a line
  reaper explain 4242 --format json  the same for a program";

/// Below the help of `reaper profiles`.
pub const PROFILES: &str = "\
Examples:
  reaper profiles     what is on and off, and why
  reaper profiles -v  also the evidence for every marker and program

A profile is switched on by the key `use` of the config, or for one run by `scan --profile`.";

/// Below the help of `reaper config`.
pub const CONFIG: &str = "\
Examples:
  reaper config path                          which files are read
  reaper config example > reaper.toml         start from a file with every key explained
  reaper config check --config reaper.toml    check a file before it is put in place
  reaper config show                          what is in force, and where each value comes from";

/// Below the help of `reaper completions`.
pub const COMPLETIONS: &str = "\
Examples:
  reaper completions bash > ~/.local/share/bash-completion/completions/reaper
  reaper completions zsh > ~/.zfunc/_reaper
  reaper completions fish > ~/.config/fish/completions/reaper.fish";

/// Below the help of `reaper run`.
pub const RUN: &str = "\
The service sweeps every `interval`, and notices the moment an agent's parent dies. It runs in the foreground \
until SIGTERM or SIGINT, and finishes or hands back what it is ending first. SIGHUP reads the config again, SIGUSR1 \
sweeps at once. One runs at a time for each user; a second one reports the pid that holds the lock.

Examples:
  reaper run              the service, as a service manager starts it
  reaper run --dry-run    log what would be ended; signals nothing, writes nothing, needs no lock
  reaper run -v           with a log of everything it notices";

/// Below the help of `reaper status`.
pub const STATUS: &str = "\
Examples:
  reaper status                       for people
  reaper status --format json         everything, versioned
  reaper status --format openmetrics  the counters, for a scraper
  reaper status --check live          for probes: exit status 0 when it answers, else 4
  reaper status --check ready         the same, and it sees what it must see";

/// Below the help of `reaper sweep`.
pub const SWEEP: &str = "\
It judges all processes again, ends what is due, and shows the status. Orphans still in grace go on waiting.

Examples:
  reaper sweep    sweep now, then show the status";

/// Below the help of `reaper pause`.
pub const PAUSE: &str = "\
What is being ended right now is finished; nothing new is begun. The pause outlives a restart of the service and ends \
with the boot. Graces run on, so that orphans may be due when it ends.

Examples:
  reaper pause        until `reaper resume`
  reaper pause 90m    for an hour and a half";

/// Below the help of `reaper resume`.
pub const RESUME: &str = "\
Examples:
  reaper resume    end what is due, at once";

/// Below the help of `reaper reload`.
pub const RELOAD: &str = "\
A config that cannot be used changes nothing: the one in force stays, `reaper status` shows why, and the exit status \
is 4.

Examples:
  reaper config check    first see whether it is sound
  reaper reload          then use it";

/// Below the help of `reaper man`.
pub const MAN: &str = "\
Prints the name of each file that it writes; one that is there is written over. SOURCE_DATE_EPOCH, if it is set, \
holds the date for the foot of the pages.

Examples:
  reaper man ~/.local/share/man    for one user, where man(1) looks when ~/.local/bin is in PATH
  reaper man /usr/local/share/man  as root, for all users";

/// Below the help of `reaper history`.
pub const HISTORY: &str = "\
Every signal is written down before it is sent, and its outcome after. `unfinished` means that a signal was announced \
and nothing more was written: reaper was ended in the middle, or the machine was.

Examples:
  reaper history                      the newest ones, and totals
  reaper history --since 7d -v        of the last week, with what every gate said
  reaper history --pid 4242           what became of one process
  reaper history --all --format json  everything, for a program";

/// Below the help of `reaper doctor`.
pub const DOCTOR: &str = "\
The live self-test starts a harmless process of reaper's own, orphans it, finds it, explains it and ends it, by the \
means of a scan. It can end nothing else; the history marks its account as a self-test. The state and runtime \
directories are made if they are missing. The exit status is 0 when nothing failed, warnings or not, and 4 when \
something did.

Examples:
  reaper doctor                   every check, and the self-test
  reaper doctor -v                also what each gate said in the self-test
  reaper doctor --no-self-test    only look
  reaper doctor --all-users       as root, for a service that looks after all users";

/// Below the help of `reaper service`.
pub const SERVICE: &str = "\
The service belongs to the user who installs it, and needs no rights of root: a unit of `systemd --user` on Linux, an \
agent of launchd on macOS. Each command that is run is shown. A file that reaper did not write, or that was edited \
since, is neither overwritten nor removed.

Examples:
  reaper service install --print  show the file and the commands, and do nothing
  reaper service install          make it run, now and from now on
  reaper service status           whether it runs
  reaper service uninstall        remove it

For all users of a machine there is a system unit, reaper-system.service; for one user without a service manager \
reaper@UID.service.";

/// Below the help of `reaper service install`.
pub const SERVICE_INSTALL: &str = "\
The file names this very program, and the config of --config if it is given. Where a package has brought a unit that \
runs this program, that one is used. The exit status is 3 when the config is broken, and 4 when there is no service \
manager, the file cannot be written, or another file is in the way.

Examples:
  reaper service install
  reaper service install --print
  reaper --config agents.toml service install";

/// Below the help of `reaper service uninstall`.
pub const SERVICE_UNINSTALL: &str = "\
Examples:
  reaper service uninstall
  reaper service uninstall --print";

/// Below the help of `reaper service status`.
pub const SERVICE_STATUS: &str = "\
The exit status is 0 when it runs, else 4. `reaper status` asks the service itself.

Examples:
  reaper service status
  reaper service status --print";
