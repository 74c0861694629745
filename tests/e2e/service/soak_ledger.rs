//! The processes of a soak, when and how each ended, and whether each end was correct. It is independent of the
//! service's own reasoning: births are what the test ordered, deaths what the parents collected.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reaper_testkit::ProcessRef;

/// A process as it was ordered.
#[derive(Clone)]
pub struct Birth {
    pub alive: ProcessRef,
    pub name: &'static str,
    /// Its parent at birth, and whether that parent exited at once.
    pub parent: usize,
    pub is_left: bool,
    /// Carries a marker that counts.
    pub is_marked: bool,
    /// Its name is an agent's.
    pub is_agent: bool,
    /// Opted out, or of a program that is never touched.
    pub is_protected: bool,
    /// Opted out.
    pub is_kept: bool,
    /// `sh` or `npm`, and marked.
    pub is_wrapper: bool,
    pub group: i32,
    pub session: i32,
    pub born_ns: u64,
}

impl std::fmt::Display for Birth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (pid {}, group {}, session {}", self.name, self.alive.pid, self.group, self.session)?;
        let traits = [(self.is_left, "left"), (self.is_marked, "marked"), (self.is_protected, "protected")];
        for (_, word) in traits.into_iter().filter(|(is_so, _)| *is_so) {
            write!(f, ", {word}")?;
        }
        write!(f, ")")
    }
}

/// A death as it was collected.
#[derive(Clone, Copy, Debug)]
struct Death {
    at_ns: u64,
    status: i32,
}

/// All of them. The first one is PID 1.
#[derive(Default)]
pub struct Ledger {
    pub births: Vec<Birth>,
    /// The pids that the test ended itself.
    pub ours: Vec<bool>,
    deaths: Vec<Option<Death>>,
}

impl Ledger {
    /// Enters a birth; its number.
    pub fn enter(&mut self, birth: Birth) -> usize {
        self.births.push(birth);
        self.ours.push(false);
        self.births.len() - 1
    }

    /// Takes in the record: `PID STATUS TIME` a line, of processes that are not in the ledger, too.
    pub fn read(&mut self, record: &str) {
        let mut of_pid: HashMap<i32, Vec<Death>> = HashMap::new();
        for line in record.lines() {
            let fields: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [pid, status, at_ns] = fields[..] else { panic!("the record is damaged: {line}") };
            let death = Death { at_ns, status: i32::try_from(status).unwrap() };
            of_pid.entry(i32::try_from(pid).unwrap()).or_default().push(death);
        }
        let death_of = |birth: &Birth| {
            let of_number = of_pid.get(&birth.alive.pid)?;
            of_number
                .iter()
                .filter(|death| death.at_ns >= birth.born_ns)
                .min_by_key(|death| death.at_ns)
                .copied()
        };
        self.deaths = self.births.iter().map(death_of).collect();
    }

    fn is_alive(&self, who: usize, at_ns: u64) -> bool {
        self.births[who].born_ns <= at_ns && self.deaths[who].is_none_or(|death| death.at_ns > at_ns)
    }

    /// Whether its parent has died, or the orphaned wrapper above it makes it an orphan.
    fn is_orphan(&self, who: usize, at_ns: u64) -> bool {
        let birth = &self.births[who];
        let parent = birth.parent;
        who != 0
            && (birth.is_left
                || !self.is_alive(parent, at_ns)
                || (self.births[parent].is_wrapper && self.is_orphan(parent, at_ns)))
    }

    /// May be ended at all.
    fn may_end(&self, who: usize) -> bool {
        self.births[who].is_marked && !self.births[who].is_protected
    }

    /// An orphaned agent: what a tree is ended for.
    fn is_root(&self, who: usize, at_ns: u64) -> bool {
        self.may_end(who) && self.births[who].is_agent && self.is_orphan(who, at_ns)
    }

    /// Whether it goes on however the run ends: climbing from it meets one without the marker, or one that opted out,
    /// or, above it, one that is never touched, before the adopter.
    fn would_stay(&self, who: usize, at_ns: u64) -> bool {
        let mut at = who;
        loop {
            let birth = &self.births[at];
            if !birth.is_marked || birth.is_kept || (at != who && birth.is_protected) {
                return true;
            }
            if birth.is_left || birth.parent == 0 || !self.is_alive(birth.parent, at_ns) {
                return false;
            }
            at = birth.parent;
        }
    }

    /// A live process that leads its group or session, is marked, and would stay.
    fn claimed_by(&self, who: usize, at_ns: u64) -> Option<usize> {
        let birth = &self.births[who];
        (1..self.births.len()).find(|&other| {
            let pid = self.births[other].alive.pid;
            other != who
                && (pid == birth.group || pid == birth.session)
                && self.births[other].is_marked
                && self.is_alive(other, at_ns)
                && self.would_stay(other, at_ns)
        })
    }

    /// A live agent in its place above it, as it was born.
    fn agent_above(&self, who: usize, at_ns: u64) -> Option<usize> {
        let mut at = self.births[who].parent;
        while at != 0 {
            let is_owner = self.births[at].is_agent && self.births[at].is_marked;
            if is_owner && self.is_alive(at, at_ns) && !self.is_orphan(at, at_ns) {
                return Some(at);
            }
            at = self.births[at].parent;
        }
        None
    }

    /// The processes that may have been in the tree of an orphaned agent: by birth, as its wrapper, or as an orphan by
    /// the group or session of one that is in such a tree. An agent that chance has ended longer ago has no tree any
    /// more. `but` is taken for no such agent.
    fn in_trees(&self, at_ns: u64, but: Option<usize>) -> HashSet<usize> {
        let all = 1..self.births.len();
        let lately = at_ns.saturating_sub(3_000_000_000);
        let is_top = |&who: &usize| {
            self.is_root(who, at_ns)
                && but != Some(who)
                && (!self.ours[who] || self.is_alive(who, at_ns.min(lately.max(self.births[who].born_ns))))
        };
        let mut found: HashSet<usize> = all.clone().filter(is_top).collect();
        for mut at in found.clone() {
            while self.births[self.births[at].parent].is_wrapper {
                at = self.births[at].parent;
                found.insert(at);
            }
        }
        loop {
            let marked: Vec<usize> = found.iter().copied().filter(|&who| self.may_end(who)).collect();
            let groups: HashSet<i32> = marked.iter().map(|&who| self.births[who].group).collect();
            let leaders: HashSet<i32> = marked.iter().map(|&who| self.births[who].alive.pid).collect();
            let joins = |&who: &usize| {
                let birth = &self.births[who];
                let shares = groups.contains(&birth.group) || leaders.contains(&birth.session);
                !found.contains(&who)
                    && (found.contains(&birth.parent) || (shares && self.is_orphan(who, at_ns)))
            };
            let more: Vec<usize> = all.clone().filter(joins).collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// The incorrect deaths, as text. `grace` is how long a claim must have been over.
    pub fn wrong_deaths(&self, grace: Duration) -> Vec<String> {
        let mut wrong = Vec::new();
        for who in 1..self.births.len() {
            let (Some(death), false) = (self.deaths[who], self.ours[who]) else { continue };
            let mut accuse = |what: &str| {
                let above = &self.births[self.births[who].parent];
                wrong
                    .push(format!("{what}: {}, child of {above}, status {}", self.births[who], death.status));
            };
            let earlier = death.at_ns.saturating_sub(u64::try_from(grace.as_nanos()).unwrap() * 9 / 10);
            if !self.births[who].is_marked {
                accuse("an unmarked one died");
            } else if self.births[who].is_protected {
                accuse("a protected one died");
            } else if !self.in_trees(death.at_ns, None).contains(&who) {
                accuse("one in its place died");
            } else if self.is_orphan(who, death.at_ns)
                && let Some(owner) = self.claimed_by(who, death.at_ns).or_else(|| {
                    // A process that another tree leaves behind is ended with it, and has no grace of its own.
                    let for_its_own_sake = !self.in_trees(death.at_ns, Some(who)).contains(&who);
                    self.claimed_by(who, earlier).filter(|_| for_its_own_sake)
                })
            {
                accuse(&format!("one died that {} claimed", self.births[owner]));
            }
        }
        wrong
    }

    /// Whether the wrapper above it may once have had another child beside it: then it stays their host.
    fn has_a_host(&self, who: usize) -> bool {
        let (birth, all) = (&self.births[who], 1..self.births.len());
        let siblings = || all.clone().filter(|&other| self.births[other].parent == birth.parent);
        self.births[birth.parent].is_wrapper && siblings().count() > 1
    }

    /// Orphaned agents that have no owner and are still alive.
    pub fn forgotten(&self, now_ns: u64) -> Vec<String> {
        let is_hosted = |who: usize| {
            !self.births[who].is_left
                && self.is_alive(self.births[who].parent, now_ns)
                && self.has_a_host(who)
        };
        let is_forgotten = |who: &usize| {
            self.is_alive(*who, now_ns)
                && !is_hosted(*who)
                && self.is_root(*who, now_ns)
                && self.claimed_by(*who, now_ns).is_none()
                && self.agent_above(*who, now_ns).is_none()
        };
        (1..self.births.len()).filter(is_forgotten).map(|who| self.births[who].to_string()).collect()
    }

    /// How many were started, ended by the test, and ended by the service.
    pub fn counts(&self) -> [usize; 3] {
        let ours = self.ours.iter().filter(|ours| **ours).count();
        let died =
            (1..self.births.len()).filter(|&who| self.deaths[who].is_some() && !self.ours[who]).count();
        [self.births.len() - 1, ours, died]
    }
}
