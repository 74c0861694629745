//! The options of a population. They are passed twice: as arguments of the command, and as one environment variable
//! to the helper processes that build it, so reading and writing them are each other's inverse.

/// The environment variable that passes the options to helpers.
pub const HANDED_DOWN: &str = "POPULATION_OPTIONS";

pub const USAGE: &str = "usage: population [OPTION NUMBER]... -- COMMAND [ARG...]
       population usage -- COMMAND [ARG...]
  -n  processes in all, about                                        [1000]
  -k  marked orphans of uid 1000: these are to be found              [10]
  -m  how many of those hang under the user manager                  [half of k]
  -d  unmarked daemons under PID 1, and as many under the manager    [60]
  -l  marked agents with a live parent                               [100]
  -x  decoys of each of three kinds                                  [5]
  -i  per cent of the marked orphans that ignore SIGTERM             [0]
  -t  ms from SIGTERM to the exit of the others (0: at once)         [0]
  -e  bytes of environment          -v  variables in it              [4096, 50]
  -c  bytes of command line         -f  children of one live parent  [160, 19]
  -C  churn: short-lived children of PID 1 a second                  [0]
  -U  uid that COMMAND runs under                                    [0]";

/// The numbers a population is made to. See [`USAGE`].
#[derive(Clone, Debug)]
pub struct Options {
    pub processes: usize,
    pub orphans: usize,
    pub managed: usize,
    pub daemons: usize,
    pub live: usize,
    pub decoys: usize,
    pub ignoring: usize,
    pub delay_ms: usize,
    pub env_bytes: usize,
    pub env_vars: usize,
    pub cmd_bytes: usize,
    pub fan: usize,
    pub churn: usize,
    pub command_uid: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            processes: 1000,
            orphans: 10,
            managed: usize::MAX,
            daemons: 60,
            live: 100,
            decoys: 5,
            ignoring: 0,
            delay_ms: 0,
            env_bytes: 4096,
            env_vars: 50,
            cmd_bytes: 160,
            fan: 19,
            churn: 0,
            command_uid: 0,
        }
    }
}

impl Options {
    /// Reads options up to `--` or the end; what follows `--` is returned untouched.
    pub fn parse(mut words: &[String]) -> Result<(Self, &[String]), String> {
        let mut options = Self::default();
        loop {
            match words {
                [] => return Ok((options.settled(), &[])),
                [dashes, command @ ..] if dashes == "--" => return Ok((options.settled(), command)),
                [flag, value, rest @ ..] => {
                    let slot =
                        options.slot(flag).ok_or_else(|| format!("unknown option `{flag}`\n{USAGE}"))?;
                    *slot = value.parse().map_err(|_| format!("{flag}: `{value}` is not a number"))?;
                    words = rest;
                }
                [flag] => return Err(format!("`{flag}` needs a number\n{USAGE}")),
            }
        }
    }

    /// The options as [`Options::parse`] reads them.
    pub fn to_words(&self) -> String {
        let mut copy = self.clone();
        let mut words = Vec::new();
        for flag in FLAGS {
            if let Some(value) = copy.slot(flag) {
                words.push(format!("{flag} {value}"));
            }
        }
        words.join(" ")
    }

    /// The options passed on by the process that started this one.
    pub fn handed_down() -> Result<Self, String> {
        let words = std::env::var(HANDED_DOWN).map_err(|_| format!("{HANDED_DOWN} is not set"))?;
        let words: Vec<String> = words.split(' ').map(String::from).collect();
        Ok(Self::parse(&words)?.0)
    }

    /// Processes left for the trees with live parents, once all children of the adopters are counted.
    pub fn ordinary(&self) -> usize {
        self.processes.saturating_sub(self.orphans + 2 * self.daemons + 3 * self.decoys + 3)
    }

    fn settled(mut self) -> Self {
        if self.managed == usize::MAX {
            self.managed = self.orphans / 2;
        }
        self.managed = self.managed.min(self.orphans);
        self
    }

    fn slot(&mut self, flag: &str) -> Option<&mut usize> {
        Some(match flag {
            "-n" => &mut self.processes,
            "-k" => &mut self.orphans,
            "-m" => &mut self.managed,
            "-d" => &mut self.daemons,
            "-l" => &mut self.live,
            "-x" => &mut self.decoys,
            "-i" => &mut self.ignoring,
            "-t" => &mut self.delay_ms,
            "-e" => &mut self.env_bytes,
            "-v" => &mut self.env_vars,
            "-c" => &mut self.cmd_bytes,
            "-f" => &mut self.fan,
            "-C" => &mut self.churn,
            "-U" => &mut self.command_uid,
            _ => return None,
        })
    }
}

const FLAGS: [&str; 14] =
    ["-n", "-k", "-m", "-d", "-l", "-x", "-i", "-t", "-e", "-v", "-c", "-f", "-C", "-U"];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(String::from).collect()
    }

    #[test]
    fn options_survive_being_handed_down() {
        let line = words("-n 5000 -k 31 -U 1000 -- ps -e");
        let (options, command) = Options::parse(&line).unwrap();
        assert_eq!(command, ["ps", "-e"]);
        let (again, _) = Options::parse(&words(&options.to_words())).unwrap();
        assert_eq!(format!("{options:?}"), format!("{again:?}"));
        assert_eq!((again.processes, again.orphans, again.managed, again.command_uid), (5000, 31, 15, 1000));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["-n", "-n many -- x", "-q 3 -- x", "ps"] {
            assert!(Options::parse(&words(line)).is_err(), "{line}");
        }
    }
}
