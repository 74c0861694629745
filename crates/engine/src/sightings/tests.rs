//! Sightings across reboots, reused pids, other namespaces and damaged files.

use super::*;
use reaper_platform::fake;

fn id(pid: i32, start: u64, generation: Option<u64>) -> ProcId {
    ProcId { pid: Pid::new(pid).unwrap(), start: StartTime(start), generation: generation.map(Generation) }
}

fn at(seconds: u64) -> Clock {
    let t = Duration::from_secs(seconds);
    Clock { monotonic: t, boottime: t, realtime: t }
}

#[test]
fn time_adds_up_across_runs() {
    let here = fake::host_info();
    let mut first = Sightings::default();
    first.note(id(7, 100, Some(1)), &at(1000), &here);
    let second = Sightings::parse(&first.render(&here), &here, &at(1020)).unwrap();
    assert_eq!(second.seen_for(&id(7, 100, Some(1)), &at(1030)), Duration::from_secs(30));
}

#[test]
fn nobody_inherits_another_ones_time() {
    let here = fake::host_info();
    let mut seen = Sightings::default();
    seen.note(id(7, 100, Some(1)), &at(1000), &here);
    for other in [id(7, 100, Some(2)), id(7, 101, Some(1)), id(8, 100, Some(1)), id(7, 100, None)] {
        assert_eq!(seen.seen_for(&other, &at(9999)), Duration::ZERO);
    }
    let bytes = seen.render(&here);
    let mut reboot = here.clone();
    reboot.boot_id = "another".into();
    let mut container = here.clone();
    container.pid_namespace += 1;
    let mut other_time = here.clone();
    other_time.time_namespace += 1;
    let mut other_clock = here.clone();
    other_clock.clock_offsets = "monotonic 100000 0 boottime 0 0".into();
    for elsewhere in [reboot, container, other_time, other_clock] {
        assert!(Sightings::parse(&bytes, &elsewhere, &at(2000)).unwrap().is_empty());
    }
    assert!(Sightings::parse(&bytes, &here, &at(900)).unwrap().is_empty(), "a clock that runs ahead of ours");
}

#[test]
fn a_process_is_not_remembered_in_the_tick_of_its_start() {
    let here = fake::host_info();
    let mut seen = Sightings::default();
    let start = here.start_clock.now(&at(1000)).0;
    seen.note(id(7, start, None), &at(1000), &here);
    assert!(seen.is_empty());
    seen.note(id(7, start - 1, None), &at(1000), &here);
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_process_with_a_number_of_its_own_is_remembered_although_the_time_of_day_was_set_back() {
    let here = HostInfo { start_clock: StartClock::DayMicros, ..fake::host_info() };
    let mut seen = Sightings::default();
    let tomorrow = here.start_clock.now(&at(100_000)).0;
    seen.note(id(7, tomorrow, None), &at(1000), &here);
    assert!(seen.is_empty());
    seen.note(id(7, tomorrow, Some(1)), &at(1000), &here);
    assert_eq!(seen.seen_for(&id(7, tomorrow, Some(1)), &at(1030)), Duration::from_secs(30));
}

#[test]
fn ties_outlive_a_run_and_hold_for_this_process_only() {
    let here = fake::host_info();
    let (mut seen, agent) = (Sightings::default(), id(3, 50, Some(9)));
    let ties = Ties { dead_parent: Pid::new(5), agent: Some(agent) };
    seen.tie(id(7, 100, None), ties, &at(1000), &here);
    let again = Sightings::parse(&seen.render(&here), &here, &at(1020)).unwrap();
    assert_eq!(
        again.past(&id(7, 100, None), &at(1020)),
        Past { seen_for: Duration::ZERO, ties, was_host: false }
    );
    assert_eq!(again.past(&id(7, 101, None), &at(1020)), Past::default());
}

#[test]
fn grace_begins_anew_when_it_was_no_orphan_meanwhile() {
    let here = fake::host_info();
    let mut seen = Sightings::default();
    seen.note(id(7, 100, None), &at(1000), &here);
    seen.clear(&id(7, 100, None), &at(1010));
    assert!(seen.is_empty());
}

#[test]
fn a_time_that_was_cleared_does_not_come_back_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let here = fake::host_info();
    let uid =
        reaper_platform::Uid(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(dir.path()).unwrap()));
    let state = StateDir::create(&dir.path().join("s"), uid).unwrap();
    let mut seen = Sightings::default();
    let ties = Ties { dead_parent: Pid::new(5), agent: None };
    seen.tie(id(7, 100, None), ties, &at(1000), &here);
    seen.note(id(7, 100, None), &at(1000), &here);
    seen.save(&state, &here, &at(1000)).unwrap();
    seen.clear(&id(7, 100, None), &at(1010));
    seen.save(&state, &here, &at(1010)).unwrap();
    let (loaded, _) = Sightings::load(&state, &here, &at(1020), true);
    assert_eq!(
        loaded.past(&id(7, 100, None), &at(1020)),
        Past { seen_for: Duration::ZERO, ties, was_host: false }
    );
    seen.note(id(7, 100, None), &at(1030), &here);
    seen.save(&state, &here, &at(1030)).unwrap();
    let (loaded, _) = Sightings::load(&state, &here, &at(1040), true);
    assert_eq!(loaded.seen_for(&id(7, 100, None), &at(1040)), Duration::from_secs(10));
}

#[test]
fn r11_a_damaged_file_is_set_aside_once() {
    let dir = tempfile::tempdir().unwrap();
    let here = fake::host_info();
    let uid =
        reaper_platform::Uid(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(dir.path()).unwrap()));
    let state = StateDir::create(&dir.path().join("s"), uid).unwrap();
    for damaged in [&b"{"[..], b"", b"null", b"{\"schema\":\"x\"}", b"\xff\xff"] {
        state.replace(FILE, damaged).unwrap();
        let (seen, warning) = Sightings::load(&state, &here, &at(1), false);
        assert!(seen.is_empty() && warning.unwrap().contains("damaged"));
        assert!(state.file(FILE).exists(), "a dry run moves nothing");
        assert!(Sightings::load(&state, &here, &at(1), true).1.is_some());
        assert_eq!(Sightings::load(&state, &here, &at(1), true).1, None, "reported once");
    }
}

#[test]
fn two_runs_do_not_lose_each_others_sightings() {
    let dir = tempfile::tempdir().unwrap();
    let here = fake::host_info();
    let uid =
        reaper_platform::Uid(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(dir.path()).unwrap()));
    let state = StateDir::create(&dir.path().join("s"), uid).unwrap();
    let (mut early, mut late) = (Sightings::default(), Sightings::default());
    early.note(id(7, 1, None), &at(100), &here);
    late.note(id(7, 1, None), &at(200), &here);
    early.save(&state, &here, &at(200)).unwrap();
    late.save(&state, &here, &at(200)).unwrap();
    let (loaded, _) = Sightings::load(&state, &here, &at(300), true);
    assert_eq!(loaded.seen_for(&id(7, 1, None), &at(300)), Duration::from_secs(200));
}
