//! The tree of an orphan: its descendants, its wrappers and the members of its process group.
//!
//! Agents give each tool a session of its own, so neither group nor session bounds a tree; descent does. The tree is
//! read before the first signal, because the exit of a parent hides its children, and again afterwards.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, Pid, ProcId, ProcessHandle, StartTime, Why};

use crate::context::Context;
use crate::deadline;
use crate::discover;
use crate::discover::Census;
use crate::inspect::Inspector;
use crate::terminate::outcome::Ended;
use reaper_policy::case::{Capacity, TreeContext};
use reaper_policy::escalation::Outcome;
use reaper_policy::facts::Fact;
use reaper_policy::gates::all_pass;
use reaper_policy::judgement::Judgement;
use reaper_policy::past::Past;
use reaper_policy::plan::{Member, Role, Standing, Target, Tree, plan};
use reaper_policy::verdict::{Answer, Finding, Gate, Verdict};

/// Descendants beyond this many are not examined: no agent has so many, and a fork bomb must not block us.
const MAX_MEMBERS: usize = 10_000;

/// Reads the trees of all orphans that are to be ended. `judged` holds the judgements of the same sweep.
pub fn read<H: Host>(
    context: &Context<H>,
    census: &Census,
    roots: &[&Judgement],
    judged: &[Judgement],
    limit: Duration,
) -> Vec<Tree> {
    if roots.is_empty() {
        return Vec::new();
    }
    // Many orphans can share a group. Those that are to be ended themselves are not members of other trees, and a
    // member of one tree need not be read again for the others.
    let due = judged.iter().filter(|j| j.verdict == Verdict::Reap).map(|j| j.id.pid);
    let mut taken: HashSet<Pid> = due.chain(roots.iter().map(|root| root.id.pid)).collect();
    let reader = Reader::new(context, census.clone(), judged, limit);
    let groups = groups(context, census, roots);
    roots
        .iter()
        .map(|root| {
            let mut tree = Tree {
                root: root.id,
                profiles: root.profiles.clone(),
                uid: root.uid,
                members: vec![itself(root)],
            };
            let mut known: HashSet<Pid> = root.wrappers.iter().map(|w| w.id.pid).collect();
            known.insert(root.id.pid);
            for (wrapper, above) in root.wrappers.iter().zip(1..) {
                let seen = reader.judge(vec![wrapper.id.pid], Role::Wrapper, -above, tree.tree_context());
                tree.members.extend(seen.into_iter().map(|s| s.member).filter(|m| m.id == wrapper.id));
            }
            let fellows: Vec<Pid> = root
                .stat
                .pgrp
                .and_then(|group| groups.get(&group))
                .into_iter()
                .flatten()
                .copied()
                .filter(|pid| !taken.contains(pid) && known.insert(*pid))
                .collect();
            let mut fellows = reader.judge(fellows, Role::GroupMember, 0, tree.tree_context());
            // It may have left the group since the groups were read.
            fellows.retain(|s| s.member.group == root.stat.pgrp);
            let passing = fellows.iter().map(|s| &s.member).filter(|m| m.standing == Standing::Passes);
            taken.extend(passing.clone().map(|m| m.id.pid));
            let parents = std::iter::once((root.id, 0)).chain(passing.map(|m| (m.id, 0))).collect();
            tree.members.extend(fellows.into_iter().map(|s| s.member));
            reader.descend(&mut tree, &mut known, parents);
            tree
        })
        .collect()
}

/// What the ended trees left behind: a process can fork while it is being ended, and its children are then reparented
/// to an adopter. They are known by the process group of a target, or by a session that a target led, and each must
/// pass the gates of a group member. `judged` holds the judgements before the first signal, at `since`.
pub fn leftovers<H: Host>(
    context: &Context<H>,
    ended: &[Ended],
    judged: &[Judgement],
    since: StartTime,
    limit: Duration,
) -> Vec<Target> {
    let spared: HashSet<Pid> = ended
        .iter()
        .filter(|e| e.target.role == Role::Root && matches!(e.outcome, Outcome::Spared | Outcome::Denied))
        .map(|e| e.target.root.pid)
        .collect();
    let mut owners: HashMap<Pid, &Target> = HashMap::new();
    for target in ended.iter().map(|e| &e.target).filter(|t| !spared.contains(&t.root.pid)) {
        owners.entry(target.id.pid).or_insert(target);
        if let Some(group) = target.group {
            owners.entry(group).or_insert(target);
        }
    }
    // A failure only delays: the next sweep takes its own census.
    let Ok(census) = discover::take(&context.host, &context.policy, context.own.scope) else {
        return Vec::new();
    };
    let done: HashSet<ProcId> = ended.iter().map(|e| e.target.id).collect();
    let reader = Reader::new(context, census, judged, limit);
    // If the leader's pid was reused meanwhile, the group or session is another one.
    let is_same = |leader: Option<Pid>| {
        leader.is_some_and(|pid| match context.host.stat_of(pid) {
            Ok(stat) => stat.start < since,
            Err(why) => why == Why::Gone,
        })
    };
    let mut known: HashSet<Pid> = done.iter().map(|id| id.pid).collect();
    let mut trees = Vec::new();
    for pid in &reader.census.candidates {
        let Ok(group) = context.host.group(*pid) else { continue };
        let by_group = group.and_then(|group| owners.get(&group)).filter(|_| is_same(group));
        let by_session = || {
            let session = context.host.session(*pid).ok().flatten()?;
            owners.get(&session).filter(|t| t.id.pid == session && is_same(Some(session)))
        };
        let Some(owner) = by_group.or_else(by_session).filter(|_| known.insert(*pid)) else { continue };
        let mut tree =
            Tree { root: owner.root, profiles: owner.profiles.clone(), uid: owner.uid, members: Vec::new() };
        let seen = reader.judge(vec![*pid], Role::GroupMember, 0, owner.tree_context());
        tree.members = seen.into_iter().map(|s| s.member).filter(|m| m.group == group).collect();
        if tree.members.iter().all(|m| m.standing == Standing::Passes && !done.contains(&m.id)) {
            let top = tree.members.iter().map(|m| (m.id, 0)).collect();
            reader.descend(&mut tree, &mut known, top);
            trees.push(tree);
        }
    }
    plan(&trees, context.policy.reach, usize::MAX).targets
}

fn itself(root: &Judgement) -> Member {
    Member {
        id: root.id,
        role: Role::Root,
        depth: 0,
        standing: Standing::Passes,
        program: root.program.clone(),
        parent: root.stat.ppid,
        rss_bytes: root.stat.rss_bytes,
        group: root.stat.pgrp,
    }
}

/// The adopters' children by process group, for the groups of the roots. Includes known ones: the candidates of a later
/// census are only the new ones.
///
/// A member of an orphan's group whose own parent lives outside the tree is left out: it is no orphan.
fn groups<H: Host>(context: &Context<H>, census: &Census, roots: &[&Judgement]) -> HashMap<Pid, Vec<Pid>> {
    let wanted: HashSet<Pid> = roots.iter().filter_map(|r| r.stat.pgrp).collect();
    let mut groups: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for pid in &census.children {
        if let Ok(Some(group)) = context.host.group(*pid)
            && wanted.contains(&group)
        {
            groups.entry(group).or_default().push(*pid);
        }
    }
    groups
}

/// Reads members of trees with one inspector.
struct Reader<H: Host> {
    inspector: Arc<Inspector<H>>,
    census: Census,
    /// Processes that stay, whatever tree they are in, with the reason.
    held: HashMap<ProcId, String>,
    limit: Duration,
}

/// A member, and whether its descendants may belong to the tree.
struct Seen {
    member: Member,
    is_open: bool,
}

impl<H: Host> Reader<H> {
    fn new(context: &Context<H>, census: Census, judged: &[Judgement], limit: Duration) -> Self {
        let held = judged.iter().filter(|j| stays(j)).map(|j| (j.id, j.reason().to_owned())).collect();
        Self { inspector: Arc::new(Inspector::new(context)), census, held, limit }
    }

    /// Follows the children down.
    ///
    /// Child lists contain pids, and a pid can be reused at any time. So a child belongs to the tree only if its own
    /// `stat`, read through its handle, names the parent, and the parent is still the same process *after* that: then
    /// it was so in between, too.
    fn descend(&self, tree: &mut Tree, known: &mut HashSet<Pid>, mut parents: Vec<(ProcId, i32)>) {
        let host = &*self.inspector.context.host;
        while let Some((parent, depth)) = parents.pop() {
            let listed = self.census.listed_children(parent.pid);
            let children = match listed.map_or_else(|| self.inspector.children_of(parent.pid), Ok) {
                Ok(children) => children,
                // It exited meanwhile; its children are found among the orphans when the tree is read again.
                Err(_) => continue,
            };
            let fresh: Vec<Pid> = children.into_iter().filter(|pid| known.insert(*pid)).collect();
            if fresh.is_empty() || known.len() > MAX_MEMBERS {
                continue;
            }
            let mut seen = self.judge(fresh, Role::Descendant, depth + 1, tree.tree_context());
            seen.retain(|s| s.member.parent == Some(parent.pid));
            if !is_still(host, &parent) {
                continue;
            }
            // The descendants of a protected process belong to it.
            parents.extend(seen.iter().filter(|s| s.is_open).map(|s| (s.member.id, depth + 1)));
            tree.members.extend(seen.into_iter().map(|s| s.member));
        }
    }

    fn judge(&self, pids: Vec<Pid>, role: Role, depth: i32, tree_context: TreeContext<'_>) -> Vec<Seen> {
        let (inspector, profiles, uid) =
            (Arc::clone(&self.inspector), tree_context.profiles.to_vec(), tree_context.uid);
        let results = deadline::map(pids.clone(), self.limit, move |pid| {
            member(&inspector, *pid, role, depth, TreeContext { profiles: &profiles, uid })
        });
        pids.into_iter()
            .zip(results)
            .filter_map(|(pid, result)| match result {
                Ok(Ok(seen)) => Some(seen),
                Ok(Err(Why::Gone)) => None,
                Ok(Err(why)) | Err(why) => {
                    Some(Seen { member: unread(&self.inspector, pid, role, depth, &why), is_open: false })
                }
            })
            .map(|seen| match self.held.get(&seen.member.id) {
                Some(why) => {
                    let standing = Standing::LeftAlone(why.clone());
                    Seen { member: Member { standing, ..seen.member }, is_open: false }
                }
                None => seen,
            })
            .collect()
    }
}

/// Whether a process's own verdict keeps it in any tree: it is owned, protected or supervised, or its verdict is
/// unknown.
fn stays(judgement: &Judgement) -> bool {
    let wanted = [Gate::User, Gate::Unsupervised, Gate::Unclaimed, Gate::Unprotected];
    match judgement.verdict {
        Verdict::Unknown => true,
        Verdict::Spare => wanted.contains(&judgement.decided_by),
        Verdict::Reap | Verdict::Wait(_) => false,
    }
}

/// Whether a process still exists and is the same one. One that could not be read has no generation.
fn is_still<H: Host>(host: &H, id: &ProcId) -> bool {
    host.open(id.pid).is_ok_and(|now| {
        let now = now.id();
        now.start == id.start && (id.generation.is_none() || now.generation == id.generation)
    })
}

/// A member that could not be read: it stays and is reported.
fn unread<H: Host>(inspector: &Inspector<H>, pid: Pid, role: Role, depth: i32, why: &Why) -> Member {
    let stat = inspector.context.host.stat_of(pid).ok();
    let start = stat.as_ref().map_or(reaper_platform::StartTime(0), |s| s.start);
    let parent = stat.as_ref().and_then(|s| s.ppid);
    let group = stat.as_ref().and_then(|s| s.pgrp);
    Member {
        id: ProcId { pid, start, generation: None },
        role,
        depth,
        standing: Standing::LeftAlone(format!("it cannot be read: {why}")),
        program: stat.map(|s| s.comm).unwrap_or_default(),
        parent,
        rss_bytes: 0,
        group,
    }
}

/// Judges one member in its role.
///
/// # Errors
/// When it is gone.
fn member<H: Host>(
    inspector: &Inspector<H>,
    pid: Pid,
    role: Role,
    depth: i32,
    tree_context: TreeContext<'_>,
) -> Fact<Seen> {
    let process = inspector.context.host.open(pid)?;
    let (stat, program, findings) = match role {
        Role::GroupMember => {
            let judgement =
                inspector.judge(&process, Capacity::GroupMember(tree_context), |_| Past::default())?;
            let findings: Vec<Finding> =
                judgement.findings.into_iter().filter(|f| f.gate != Gate::Grace).collect();
            (judgement.stat, judgement.program, findings)
        }
        _ => {
            let (facts, findings) = inspector.judge_member(&process, tree_context)?;
            let names = reaper_policy::program::Names::of(&facts.identity());
            let program = names.first().map_or(facts.stat.comm.as_slice(), |n| n.bytes).to_vec();
            (facts.stat, program, findings)
        }
    };
    if stat.is_dead() {
        return Err(Why::Gone);
    }
    let member = Member {
        id: process.id(),
        role,
        depth,
        standing: standing(&findings),
        program,
        parent: stat.ppid,
        rss_bytes: stat.rss_bytes,
        group: stat.pgrp,
    };
    // Whatever the other answers: only below a process known to be unprotected is the tree followed.
    let is_open = findings.iter().any(|f| f.gate == Gate::Unprotected && f.answer == Answer::Yes);
    Ok(Seen { member, is_open })
}

fn standing(findings: &[Finding]) -> Standing {
    if all_pass(findings) {
        return Standing::Passes;
    }
    let deciding = findings
        .iter()
        .find(|f| f.answer == Answer::No)
        .or_else(|| findings.iter().find(|f| f.answer != Answer::Yes));
    Standing::LeftAlone(deciding.map_or_else(String::new, |f| {
        let protected = if f.gate == Gate::Unprotected { "protected: " } else { "" };
        format!("{protected}{}", f.evidence)
    }))
}
