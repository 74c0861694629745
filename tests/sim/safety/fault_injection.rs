//! Every scenario is swept once to count the steps, and then again for every step and everything that can go
//! wrong at it. Whatever happens, no law may be broken.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use reaper_platform::fake::Fault;

use super::faults;
use super::invariants::broken;
use super::scenarios::{self, Scenario};
use crate::support::policy;
use crate::support::sweep::{scan, sweep_with_faults, sweep_with_hangs};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics of the reading threads, which would otherwise look like slow reads.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("reader") {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            usual(info);
        }));
    });
}

fn replay(scenario: &Scenario) {
    count_panics();
    let undisturbed = scan(&scenario.machine, &policy());
    assert_eq!(undisturbed.signalled(), scenario.signalled, "{}", scenario.name);
    assert_eq!(broken(&undisturbed), [""; 0], "{}", scenario.name);
    let troubles = faults::all(scenario, &undisturbed.log.calls);
    let (mut wrong, mut spared, mut same) = (Vec::new(), 0, 0);
    for trouble in &troubles {
        let played = match trouble.what {
            Fault::Hang => sweep_with_hangs(&scenario.machine, trouble.script(), &policy()),
            _ => Some(sweep_with_faults(&scenario.machine, trouble.script(), &policy())),
        };
        let Some(run) = played else {
            wrong.push(format!("{trouble}: the sweep hung"));
            continue;
        };
        wrong.extend(broken(&run).iter().map(|law| format!("{trouble}: {law}")));
        match run.signalled().len() {
            0 => spared += 1,
            _ if run.signalled() == scenario.signalled => same += 1,
            _ => {}
        }
    }
    println!("{}: {} steps, {} sweeps", scenario.name, undisturbed.log.calls.len(), troubles.len());
    assert!(wrong.is_empty(), "{}: {} of {}\n{}", scenario.name, wrong.len(), troubles.len(), shown(&wrong));
    assert!(spared > 0 && same > 0, "nothing was ever spared, or nothing was ever ended");
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

fn shown(wrong: &[String]) -> String {
    wrong.iter().take(40).map(|line| format!("  {line}\n")).collect()
}

#[test]
fn an_orphan() {
    replay(&scenarios::plain());
}

#[test]
fn a_chain_of_wrappers() {
    replay(&scenarios::wrapped());
}

#[test]
fn a_tree_with_sessions() {
    replay(&scenarios::tree());
}

#[test]
fn a_process_group() {
    replay(&scenarios::group());
}

#[test]
fn two_families() {
    replay(&scenarios::families());
}

#[test]
fn children_of_the_service_manager() {
    replay(&scenarios::managed());
}

#[test]
fn leases_in_a_container() {
    replay(&scenarios::leased());
}
