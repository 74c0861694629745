//! The tree of an orphan: what hangs below it, wraps it or shares its process group.
//!
//! Agents give each tool a session of its own, so neither group nor session bounds a tree; descent does. It
//! is read before the first signal, because the end of a parent hides its children, and again after it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reaper_platform::{Host, Pid, Pinned, ProcId, Why};

use crate::census::{self, Census};
use crate::escalation::Outcome;
use crate::facts::Fact;
use crate::gates::{How, all_pass};
use crate::look::{Ground, Judgement, Looker};
use crate::patience;
use crate::plan::{Member, Role, Standing, Target, Tree, plan};
use crate::sightings::Past;
use crate::terminate::Ended;
use crate::verdict::{Answer, Finding, Gate};

/// Descendants beyond this many are not looked at: no agent has so many, and a fork bomb must not hold us.
const MAX_MEMBERS: usize = 10_000;

/// Reads the trees of all orphans that are to be ended. `apart` are orphans that are to be ended for their own
/// sake, now or later: they are nobody's group members.
pub fn read<H: Host>(
    ground: &Ground<H>,
    census: &Census,
    roots: &[&Judgement],
    apart: &HashSet<Pid>,
    limit: Duration,
) -> Vec<Tree> {
    if roots.is_empty() {
        return Vec::new();
    }
    // Many orphans can share a group: whoever is in one's tree need not be read again for the others.
    let mut taken: HashSet<Pid> = apart.clone();
    let looker = Arc::new(Looker::new(ground));
    let families = Arc::new(Families { host: Arc::clone(&ground.host), census: census.clone() });
    let groups = groups(ground, census, roots);
    roots
        .iter()
        .map(|root| {
            let mut tree = Tree { root: root.id, profiles: root.profiles.clone(), members: own_line(root) };
            let mut known: HashSet<Pid> = tree.members.iter().map(|m| m.id.pid).collect();
            let fellows: Vec<Pid> = root
                .stat
                .pgrp
                .and_then(|group| groups.get(&group))
                .into_iter()
                .flatten()
                .copied()
                .filter(|pid| !taken.contains(pid) && known.insert(*pid))
                .collect();
            let fellows = judge_all(&looker, fellows, Role::GroupMember, 0, &root.profiles, limit);
            let mut parents: Vec<(Pid, i32)> = vec![(root.id.pid, 0)];
            let passes = fellows.iter().filter(|m| m.standing == Standing::Passes).map(|m| m.id.pid);
            taken.extend(passes.clone());
            parents.extend(passes.map(|pid| (pid, 0)));
            tree.members.extend(fellows);
            descend(&looker, &families, &mut tree, &mut known, parents, limit);
            tree
        })
        .collect()
}

/// What the ended trees left behind: a process can fork while it is being ended, and its end hands its
/// children to an adopter. They are known by the process group of a target, or by a session that a target
/// led, and each must pass the gates of a group member.
pub fn leftovers<H: Host>(ground: &Ground<H>, ended: &[Ended], limit: Duration) -> Vec<Target> {
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
    // Only a delay when it fails: the next sweep takes a census of its own.
    let Ok(census) = census::take(&*ground.host, &ground.policy, ground.us.scope) else { return Vec::new() };
    let done: HashSet<ProcId> = ended.iter().map(|e| e.target.id).collect();
    let looker = Arc::new(Looker::new(ground));
    let families = Arc::new(Families { host: Arc::clone(&ground.host), census });
    let mut known: HashSet<Pid> = done.iter().map(|id| id.pid).collect();
    let mut trees = Vec::new();
    for pid in &families.census.candidates {
        let Ok(stat) = ground.host.glance(*pid) else { continue };
        let by_group = stat.pgrp.and_then(|group| owners.get(&group));
        let by_session =
            stat.session.and_then(|session| owners.get(&session)).filter(|t| Some(t.id.pid) == stat.session);
        let Some(owner) = by_group.or(by_session).filter(|_| known.insert(*pid)) else { continue };
        let mut tree = Tree { root: owner.root, profiles: owner.profiles.clone(), members: Vec::new() };
        tree.members = judge_all(&looker, vec![*pid], Role::GroupMember, 0, &owner.profiles, limit);
        if tree.members.iter().all(|m| m.standing == Standing::Passes && !done.contains(&m.id)) {
            descend(&looker, &families, &mut tree, &mut known, vec![(*pid, 0)], limit);
            trees.push(tree);
        }
    }
    plan(&trees, ground.policy.reach(), usize::MAX).targets
}

struct Families<H> {
    host: Arc<H>,
    census: Census,
}

fn own_line(root: &Judgement) -> Vec<Member> {
    let mut line = vec![Member {
        id: root.id,
        role: Role::Root,
        depth: 0,
        standing: Standing::Passes,
        program: root.program.clone(),
        rss_bytes: root.stat.rss_bytes,
        group: root.stat.pgrp,
    }];
    line.extend(root.wrappers.iter().zip(1..).map(|(wrapper, above)| Member {
        id: wrapper.id,
        role: Role::Wrapper,
        depth: -above,
        standing: Standing::Passes,
        program: wrapper.program.clone(),
        rss_bytes: wrapper.rss_bytes,
        group: wrapper.group,
    }));
    line
}

/// The adopters' children by process group, for the groups of the roots. Known ones count, too: a later census
/// has only new ones among its candidates.
///
/// A member of an orphan's group whose own parent lives outside the tree is left out: it is no orphan.
fn groups<H: Host>(ground: &Ground<H>, census: &Census, roots: &[&Judgement]) -> HashMap<Pid, Vec<Pid>> {
    let wanted: HashSet<Pid> = roots.iter().filter_map(|r| r.stat.pgrp).collect();
    let mut groups: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for pid in &census.children {
        if let Ok((group, _)) = ground.host.group_and_session(*pid)
            && let Some(group) = group.filter(|g| wanted.contains(g))
            && ground.host.owner(*pid).is_ok_and(|uid| ground.us.scope.holds(uid))
        {
            groups.entry(group).or_default().push(*pid);
        }
    }
    groups
}

fn descend<H: Host>(
    looker: &Arc<Looker<H>>,
    families: &Arc<Families<H>>,
    tree: &mut Tree,
    known: &mut HashSet<Pid>,
    mut parents: Vec<(Pid, i32)>,
    limit: Duration,
) {
    while let Some((parent, depth)) = parents.pop() {
        let children = match families.census.children(&*families.host, parent) {
            Ok(children) => children,
            // It ended meanwhile; its children are found among the orphans when the tree is read again.
            Err(_) => continue,
        };
        let fresh: Vec<Pid> = children.into_iter().filter(|pid| known.insert(*pid)).collect();
        if fresh.is_empty() || known.len() > MAX_MEMBERS {
            continue;
        }
        let members = judge_all(looker, fresh, Role::Descendant, depth + 1, &tree.profiles, limit);
        // What hangs below a protected process belongs to it.
        let below = members.iter().filter(|m| !is_protected(m)).map(|m| (m.id.pid, depth + 1));
        parents.extend(below);
        tree.members.extend(members);
    }
}

const PROTECTED: &str = "protected: ";

fn is_protected(member: &Member) -> bool {
    matches!(&member.standing, Standing::LeftAlone(why) if why.starts_with(PROTECTED))
}

fn judge_all<H: Host>(
    looker: &Arc<Looker<H>>,
    pids: Vec<Pid>,
    role: Role,
    depth: i32,
    profiles: &[String],
    limit: Duration,
) -> Vec<Member> {
    let (shared, profiles) = (Arc::clone(looker), profiles.to_vec());
    let asked = pids.clone();
    let results = patience::map(pids, limit, move |pid| member(&shared, *pid, role, depth, &profiles));
    asked
        .into_iter()
        .zip(results)
        .filter_map(|(pid, result)| match result {
            Ok(Ok(member)) => Some(member),
            Ok(Err(Why::Gone)) => None,
            Ok(Err(why)) | Err(why) => Some(unread(looker, pid, role, depth, &why)),
        })
        .collect()
}

/// A member that could not be read stays, and is named.
fn unread<H: Host>(looker: &Looker<H>, pid: Pid, role: Role, depth: i32, why: &Why) -> Member {
    let stat = looker.host.glance(pid).ok();
    let start = stat.as_ref().map_or(reaper_platform::StartTime(0), |s| s.start);
    Member {
        id: ProcId { pid, start, generation: None },
        role,
        depth,
        standing: Standing::LeftAlone(format!("it cannot be read: {why}")),
        program: stat.map(|s| s.comm).unwrap_or_default(),
        rss_bytes: 0,
        group: None,
    }
}

/// Judges one member in its role.
///
/// # Errors
/// When it is gone.
pub fn member<H: Host>(
    looker: &Looker<H>,
    pid: Pid,
    role: Role,
    depth: i32,
    profiles: &[String],
) -> Fact<Member> {
    let process = looker.host.pin(pid)?;
    let (stat, program, findings) = match role {
        Role::GroupMember => {
            let judgement = looker.judge(&process, How::GroupMember(profiles), |_| Past::default())?;
            let findings: Vec<Finding> =
                judgement.findings.into_iter().filter(|f| f.gate != Gate::Grace).collect();
            (judgement.stat, judgement.program, findings)
        }
        _ => {
            let (facts, findings) = looker.judge_member(&process, profiles)?;
            let names = crate::program::Names::of(&facts.identity());
            let program = names.first().map_or(facts.stat.comm.as_slice(), |n| n.bytes).to_vec();
            (facts.stat, program, findings)
        }
    };
    if stat.state.is_dead() {
        return Err(Why::Gone);
    }
    Ok(Member {
        id: process.id(),
        role,
        depth,
        standing: standing(&findings),
        program,
        rss_bytes: stat.rss_bytes,
        group: stat.pgrp,
    })
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
        let protected = if f.gate == Gate::Unprotected { PROTECTED } else { "" };
        format!("{protected}{}", f.evidence)
    }))
}
