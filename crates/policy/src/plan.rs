//! The plan: which processes to end, in which order, and which to leave.
//!
//! Pure: the input is the tree of each orphan with a decision about every member, the output an ordered list of
//! targets. Leaves come first: ending a root first would reparent its children to init halfway through.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reaper_platform::{Pid, ProcId, Uid};

use crate::case::TreeContext;
use crate::policy::Reach;

/// Why a process is in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It has the verdict itself.
    Root,
    /// It wraps the root (`npm`, `sh`).
    Wrapper,
    /// It descends from the root.
    Descendant,
    /// It is an orphan in the root's process group.
    GroupMember,
    /// A successor: started by a target while that was being ended, and now an orphan itself.
    Successor,
}

/// What was decided about a member of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It passes the gates for its role.
    Passes,
    /// It is left alone, for this reason.
    LeftAlone(String),
}

/// One process of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which process.
    pub id: ProcId,
    /// Its role in the tree.
    pub role: Role,
    /// Its distance below the root; negative for wrappers.
    pub depth: i32,
    /// What was decided.
    pub standing: Standing,
    /// The name it is reported under, as the kernel gave it.
    pub program: Vec<u8>,
    /// Its parent when it was read; `None` where that is irrelevant.
    pub parent: Option<Pid>,
    /// Its resident memory.
    pub rss_bytes: u64,
    /// Its process group.
    pub group: Option<Pid>,
}

/// An orphan with its wrappers, descendants and group members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The orphan.
    pub root: ProcId,
    /// The profiles that it was judged under.
    pub profiles: Vec<String>,
    /// Its user.
    pub uid: Option<Uid>,
    /// The root itself, its wrappers, descendants and group members, in any order.
    pub members: Vec<Member>,
}

/// A process to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Which process.
    pub id: ProcId,
    /// Its role in the tree.
    pub role: Role,
    /// The orphan that it belongs to.
    pub root: ProcId,
    /// The profiles that the orphan was judged under.
    pub profiles: Vec<String>,
    /// The orphan's user.
    pub uid: Option<Uid>,
    /// The name it is reported under.
    pub program: Vec<u8>,
    /// Its resident memory when it was planned.
    pub rss_bytes: u64,
    /// Its process group: children that it forks while it is being ended are in it.
    pub group: Option<Pid>,
    /// For a successor: when it may be killed.
    pub comeback: Option<Comeback>,
}

/// How a successor is ended: its predecessor already got SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comeback {
    /// The predecessor.
    pub of: Pid,
    /// How many times the target has respawned.
    pub times: u32,
    /// Earliest time for SIGKILL, on the monotonic clock.
    pub due: Duration,
}

impl Tree {
    /// The context in which its members are judged.
    #[must_use]
    pub fn tree_context(&self) -> TreeContext<'_> {
        TreeContext { profiles: &self.profiles, uid: self.uid }
    }
}

impl Target {
    /// The context in which it is judged as a member of the orphan's tree.
    #[must_use]
    pub fn tree_context(&self) -> TreeContext<'_> {
        TreeContext { profiles: &self.profiles, uid: self.uid }
    }
}

/// A process that belongs to a tree and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// The process.
    pub id: ProcId,
    /// The orphan whose tree it is in.
    pub root: Pid,
    /// The name it is reported under.
    pub program: Vec<u8>,
    /// Why it stays.
    pub reason: String,
    /// Whether it has exited by itself since; the engine sets it after a sweep.
    pub has_ended: bool,
}

/// What one sweep will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The processes to end, in this order.
    pub targets: Vec<Target>,
    /// Members that are left alone.
    pub left_alone: Vec<LeftAlone>,
    /// Orphans deferred to a later sweep because the cap was reached.
    pub deferred: Vec<ProcId>,
}

/// Makes a plan of at most `max_targets` processes.
///
/// Trees are kept whole: one that does not fit is deferred, unless it alone exceeds the cap; then it is started from
/// its leaves.
#[must_use]
pub fn plan(trees: &[Tree], reach: Reach, max_targets: usize) -> Plan {
    plan_beside(trees, reach, max_targets, &HashSet::new())
}

/// As [`plan`], while the processes in `busy` are being ended: they count against the cap and are not planned again.
#[must_use]
pub fn plan_beside(trees: &[Tree], reach: Reach, max_targets: usize, busy: &HashSet<ProcId>) -> Plan {
    let mut plan = Plan::default();
    let mut taken: HashSet<Pid> = HashSet::new();
    for tree in trees {
        let mut members: Vec<&Member> = tree
            .members
            .iter()
            .filter(|m| reach == Reach::Tree || matches!(m.role, Role::Root | Role::Wrapper))
            .collect();
        members.sort_by_key(|m| (-m.depth, m.id.pid));
        let mut own: Vec<&Member> = Vec::new();
        for member in members {
            match &member.standing {
                Standing::Passes if taken.contains(&member.id.pid) || busy.contains(&member.id) => {}
                Standing::Passes => own.push(member),
                Standing::LeftAlone(reason) => plan.left_alone.push(LeftAlone {
                    id: member.id,
                    root: tree.root.pid,
                    program: member.program.clone(),
                    reason: reason.clone(),
                    has_ended: false,
                }),
            }
        }
        let room = max_targets.saturating_sub(plan.targets.len() + busy.len());
        if own.len() > room {
            if room == 0 || own.len() <= max_targets {
                plan.deferred.push(tree.root);
                continue;
            }
            own.truncate(room);
            plan.deferred.push(tree.root);
        }
        for member in own {
            taken.insert(member.id.pid);
            plan.targets.push(Target {
                id: member.id,
                role: member.role,
                root: tree.root,
                profiles: tree.profiles.clone(),
                uid: tree.uid,
                program: member.program.clone(),
                rss_bytes: member.rss_bytes,
                group: member.group,
                comeback: None,
            });
        }
    }
    plan.left_alone.retain(|l| !taken.contains(&l.id.pid));
    leaves_first(&mut plan.targets, trees);
    plan
}

/// Each tree is ordered already. But a wrapper can have several orphans below it, and a member of one tree can be below
/// a member of another: an ancestor is moved behind its descendants.
fn leaves_first(targets: &mut [Target], trees: &[Tree]) {
    let members = trees.iter().flat_map(|t| &t.members);
    let parents: HashMap<Pid, Pid> = members.filter_map(|m| Some((m.id.pid, m.parent?))).collect();
    let mut places: HashMap<Pid, (usize, i32)> = HashMap::new();
    for (place, target) in targets.iter().enumerate() {
        let mut above = HashSet::new();
        let mut at = target.id.pid;
        let mut height = 0;
        while above.insert(at) {
            // The latest descendant counts; of two moved to the same place, the ancestor comes last.
            let seen = places.entry(at).or_default();
            *seen = (seen.0.max(place), seen.1.max(height));
            height += 1;
            match parents.get(&at) {
                Some(parent) => at = *parent,
                None => break,
            }
        }
    }
    targets.sort_by_key(|t| places.get(&t.id.pid).copied().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reaper_platform::StartTime;

    fn id(pid: i32) -> ProcId {
        ProcId { pid: Pid::new(pid).unwrap(), start: StartTime(1), generation: None }
    }

    fn member(pid: i32, depth: i32, passes: bool) -> Member {
        let role = match depth {
            0 => Role::Root,
            d if d < 0 => Role::Wrapper,
            _ => Role::Descendant,
        };
        let standing = if passes { Standing::Passes } else { Standing::LeftAlone("unmarked".into()) };
        let program = b"goose".to_vec();
        Member { id: id(pid), role, depth, standing, program, parent: None, rss_bytes: 1, group: None }
    }

    fn tree(members: Vec<Member>) -> Tree {
        let root = members.iter().find(|m| m.depth == 0).unwrap().id;
        Tree { root, profiles: vec!["sprout".into()], uid: None, members }
    }

    fn pids(plan: &Plan) -> Vec<i32> {
        plan.targets.iter().map(|t| t.id.pid.get()).collect()
    }

    #[test]
    fn r09_leaves_come_first_and_wrappers_last() {
        let tree =
            tree(vec![member(20, 0, true), member(10, -1, true), member(30, 1, true), member(40, 2, true)]);
        assert_eq!(pids(&plan(&[tree], Reach::Tree, 9)), [40, 30, 20, 10]);
    }

    #[test]
    fn r09_a_wrapper_of_several_orphans_comes_after_all_of_them() {
        let one = tree(vec![member(20, 0, true), member(10, -1, true)]);
        let two =
            tree(vec![member(30, 0, true), member(40, 1, true), member(15, -1, true), member(10, -2, true)]);
        let mut trees = [one, two];
        let parents = [(20, 10), (40, 30), (30, 15), (15, 10)];
        for member in trees.iter_mut().flat_map(|t| &mut t.members) {
            let parent = parents.iter().find(|(child, _)| *child == member.id.pid.get());
            member.parent = parent.and_then(|(_, parent)| Pid::new(*parent));
        }
        assert_eq!(pids(&plan(&trees, Reach::Tree, 9)), [20, 40, 30, 15, 10]);
    }

    #[test]
    fn a_narrow_reach_takes_the_process_and_its_wrappers() {
        let tree = tree(vec![member(20, 0, true), member(10, -1, true), member(30, 1, true)]);
        assert_eq!(pids(&plan(&[tree], Reach::Process, 9)), [20, 10]);
    }

    #[test]
    fn w11_members_that_do_not_pass_are_left_and_named() {
        let tree = tree(vec![member(20, 0, true), member(30, 1, false), member(40, 2, true)]);
        let plan = plan(&[tree], Reach::Tree, 9);
        assert_eq!(pids(&plan), [40, 20]);
        assert_eq!(plan.left_alone.iter().map(|l| l.id.pid.get()).collect::<Vec<_>>(), [30]);
    }

    #[test]
    fn the_cap_defers_whole_trees_and_begins_a_tree_that_is_larger() {
        let trees = [
            tree(vec![member(1, 0, true), member(2, 1, true)]),
            tree(vec![member(3, 0, true), member(4, 1, true)]),
            tree(vec![member(5, 0, true)]),
        ];
        let capped = plan(&trees, Reach::Tree, 3);
        assert_eq!((pids(&capped), capped.deferred), (vec![2, 1, 5], vec![id(3)]));
        let large = tree((0..9).map(|n| member(10 + n, n, true)).collect());
        let begun = plan(&[large], Reach::Tree, 4);
        assert_eq!((pids(&begun), begun.deferred), (vec![18, 17, 16, 15], vec![id(10)]));
    }

    #[test]
    fn processes_being_ended_count_against_the_cap_and_are_not_planned_again() {
        let trees = [
            tree(vec![member(1, 0, true), member(2, 1, true)]),
            tree(vec![member(3, 0, true)]),
            tree(vec![member(4, 0, true)]),
        ];
        let busy = HashSet::from([id(2), id(9)]);
        let beside = plan_beside(&trees, Reach::Tree, 4, &busy);
        assert_eq!((pids(&beside), beside.deferred), (vec![1, 3], vec![id(4)]));
    }

    proptest! {
        #[test]
        fn a_plan_holds_only_what_passes_once_and_within_the_cap(
            shape in proptest::collection::vec(proptest::collection::vec((1i32..60, -2i32..5, any::<bool>()), 1..9), 0..9),
            cap in 1usize..20,
        ) {
            let trees: Vec<Tree> = shape
                .into_iter()
                .map(|mut members| {
                    members[0].1 = 0;
                    tree(members.into_iter().map(|(pid, depth, passes)| member(pid, depth, passes)).collect())
                })
                .collect();
            let plan = plan(&trees, Reach::Tree, cap);
            prop_assert!(plan.targets.len() <= cap);
            for target in &plan.targets {
                let passes = trees.iter().flat_map(|t| &t.members)
                    .any(|m| m.id == target.id && m.standing == Standing::Passes);
                prop_assert!(passes);
            }
        }
    }
}
