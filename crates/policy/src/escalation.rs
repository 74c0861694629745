//! The escalation of one target from SIGTERM to SIGKILL, as a pure state machine.
//!
//! The machine returns the next action and takes the resulting event. It never asks for a signal without a judgement
//! made just before, and it always terminates: every wait has a deadline.

use std::time::Duration;

use reaper_platform::Signal;

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From SIGTERM to SIGKILL.
    pub term: Duration,
    /// From SIGKILL to giving up.
    pub kill: Duration,
}

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It ended after SIGTERM.
    Exited,
    /// It ended after SIGKILL.
    Killed,
    /// It had ended before any signal.
    Gone,
    /// The judgement before a signal spared the process.
    Spared,
    /// The kernel refused the signal.
    Denied,
    /// It did not exit within the timeouts.
    Survived,
    /// Reaper was stopped before it ended. The next sweep finds it again.
    Interrupted,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Exited,
        Self::Killed,
        Self::Gone,
        Self::Spared,
        Self::Denied,
        Self::Survived,
        Self::Interrupted,
    ];

    /// The public name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Killed => "killed",
            Self::Gone => "gone",
            Self::Spared => "spared",
            Self::Denied => "denied",
            Self::Survived => "survived",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What to do next for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Judge it again, before this signal.
    Judge(Signal),
    /// Send this signal, now.
    Send(Signal),
    /// Wait for its end until this moment of the monotonic clock.
    WaitUntil(Duration),
    /// Nothing; the outcome is final.
    Done(Outcome),
}

/// The result of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The judgement is still `reap`.
    Cleared,
    /// The verdict is no longer `reap`, or the signal could not be recorded.
    Spared,
    /// The signal was sent.
    Sent,
    /// The signal was refused.
    Denied,
    /// It has exited or is a zombie.
    Ended,
    /// It is exiting: its memory is released, and a signal has no further effect.
    Exiting,
    /// Reaper is stopping and leaves the process to the next sweep.
    Interrupted,
    /// Time has passed.
    Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Judging(Signal),
    Sending(Signal),
    Waiting { after: Signal, until: Duration, last: bool },
    Done(Outcome),
}

/// One target's escalation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    state: State,
    sent: Vec<Signal>,
    timeouts: Timeouts,
}

impl Escalation {
    /// Begins with the judgement before SIGTERM.
    #[must_use]
    pub const fn new(timeouts: Timeouts) -> Self {
        Self { state: State::Judging(Signal::Term), sent: Vec::new(), timeouts }
    }

    /// Begins with a wait, for a successor whose predecessor got SIGTERM. It gets no SIGTERM, and SIGKILL not before
    /// `until`.
    #[must_use]
    pub const fn asked_already(timeouts: Timeouts, until: Duration) -> Self {
        let state = State::Waiting { after: Signal::Term, until, last: false };
        Self { state, sent: Vec::new(), timeouts }
    }

    /// What to do next.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self.state {
            State::Judging(signal) => Action::Judge(signal),
            State::Sending(signal) => Action::Send(signal),
            State::Waiting { until, .. } => Action::WaitUntil(until),
            State::Done(outcome) => Action::Done(outcome),
        }
    }

    /// The signals that were sent.
    #[must_use]
    pub fn sent(&self) -> &[Signal] {
        &self.sent
    }

    /// Applies an event that happened at `now`. Events that do not apply to the current state are ignored.
    pub fn on(&mut self, event: Event, now: Duration) {
        self.state = match (self.state, event) {
            (State::Done(outcome), _) => State::Done(outcome),
            (_, Event::Ended) => State::Done(self.ended()),
            (_, Event::Interrupted) => State::Done(Outcome::Interrupted),
            (State::Judging(signal), Event::Cleared) => State::Sending(signal),
            (State::Judging(_) | State::Sending(_), Event::Spared) => State::Done(Outcome::Spared),
            (State::Judging(after) | State::Sending(after), Event::Exiting) => {
                State::Waiting { after, until: now.saturating_add(self.timeouts.kill), last: true }
            }
            (State::Sending(signal), Event::Sent) => {
                self.sent.push(signal);
                let (time, last) = match signal {
                    Signal::Term => (self.timeouts.term, false),
                    Signal::Kill => (self.timeouts.kill, true),
                    // Sent together with SIGTERM; starts no wait of its own.
                    Signal::Cont => (self.timeouts.term, false),
                };
                State::Waiting { after: signal, until: now.saturating_add(time), last }
            }
            (State::Sending(_), Event::Denied) => State::Done(Outcome::Denied),
            (State::Waiting { until, last, .. }, Event::Tick) if now >= until => {
                if last {
                    State::Done(Outcome::Survived)
                } else {
                    State::Judging(Signal::Kill)
                }
            }
            (state, _) => state,
        };
    }

    fn ended(&self) -> Outcome {
        match self.sent.last() {
            None => Outcome::Gone,
            Some(Signal::Term | Signal::Cont) => Outcome::Exited,
            Some(Signal::Kill) => Outcome::Killed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMEOUTS: Timeouts = Timeouts { term: Duration::from_secs(10), kill: Duration::from_secs(5) };

    fn run(events: &[(Event, u64)]) -> Escalation {
        let mut escalation = Escalation::new(TIMEOUTS);
        for (event, at) in events {
            escalation.on(*event, Duration::from_secs(*at));
        }
        escalation
    }

    #[test]
    fn every_path_ends_with_its_outcome() {
        use Event::{Cleared, Denied, Ended, Exiting, Interrupted, Sent, Spared, Tick};
        type Way<'a> = (&'a [(Event, u64)], Outcome, &'a [Signal]);
        let ways: [Way<'_>; 10] = [
            (&[(Cleared, 0), (Sent, 0), (Interrupted, 3), (Ended, 4)], Outcome::Interrupted, &[Signal::Term]),
            (&[(Ended, 0)], Outcome::Gone, &[]),
            (&[(Spared, 0)], Outcome::Spared, &[]),
            (&[(Cleared, 0), (Denied, 0)], Outcome::Denied, &[]),
            (&[(Cleared, 0), (Ended, 0)], Outcome::Gone, &[]),
            (&[(Cleared, 0), (Sent, 0), (Ended, 3)], Outcome::Exited, &[Signal::Term]),
            (&[(Cleared, 0), (Sent, 0), (Tick, 10), (Spared, 10)], Outcome::Spared, &[Signal::Term]),
            (
                &[(Cleared, 0), (Sent, 0), (Tick, 10), (Cleared, 10), (Sent, 10), (Ended, 11)],
                Outcome::Killed,
                &[Signal::Term, Signal::Kill],
            ),
            (
                &[(Cleared, 0), (Sent, 0), (Tick, 10), (Cleared, 10), (Sent, 10), (Tick, 15)],
                Outcome::Survived,
                &[Signal::Term, Signal::Kill],
            ),
            (
                &[(Cleared, 0), (Sent, 0), (Tick, 10), (Exiting, 10), (Tick, 15)],
                Outcome::Survived,
                &[Signal::Term],
            ),
        ];
        for (events, outcome, sent) in ways {
            let escalation = run(events);
            assert_eq!(escalation.action(), Action::Done(outcome), "{events:?}");
            assert_eq!(escalation.sent(), sent, "{events:?}");
        }
    }

    #[test]
    fn a_successor_gets_no_sigterm() {
        let mut escalation = Escalation::asked_already(TIMEOUTS, Duration::from_secs(7));
        escalation.on(Event::Tick, Duration::from_secs(6));
        assert_eq!(escalation.action(), Action::WaitUntil(Duration::from_secs(7)));
        escalation.on(Event::Tick, Duration::from_secs(7));
        assert_eq!(escalation.action(), Action::Judge(Signal::Kill));
        escalation.on(Event::Cleared, Duration::from_secs(7));
        escalation.on(Event::Sent, Duration::from_secs(7));
        escalation.on(Event::Ended, Duration::from_secs(8));
        assert_eq!(
            (escalation.action(), escalation.sent()),
            (Action::Done(Outcome::Killed), &[Signal::Kill][..])
        );
        let mut by_itself = Escalation::asked_already(TIMEOUTS, Duration::from_secs(7));
        by_itself.on(Event::Ended, Duration::from_secs(3));
        assert_eq!(by_itself.action(), Action::Done(Outcome::Gone));
    }

    #[test]
    fn w20_sigkill_waits_for_the_whole_term_timeout() {
        use Event::{Cleared, Sent, Tick};
        let early = run(&[(Cleared, 0), (Sent, 0), (Tick, 9)]);
        assert_eq!(early.action(), Action::WaitUntil(Duration::from_secs(10)));
    }

    proptest! {
        #[test]
        fn no_signal_without_a_judgement_since_the_last_wait(steps in proptest::collection::vec((0usize..8, 0u64..4), 0..40)) {
            let kinds = [Event::Cleared, Event::Spared, Event::Sent, Event::Denied, Event::Ended, Event::Exiting, Event::Interrupted, Event::Tick];
            let mut escalation = Escalation::new(TIMEOUTS);
            let (mut now, mut cleared) = (0, None);
            for (kind, wait) in steps {
                now += wait;
                let before = escalation.action();
                if let (Action::Judge(signal), Event::Cleared) = (before, kinds[kind]) {
                    cleared = Some(signal);
                }
                escalation.on(kinds[kind], Duration::from_secs(now));
                if let Action::Send(signal) = escalation.action() {
                    prop_assert_eq!(cleared, Some(signal));
                }
                if let Action::WaitUntil(_) = escalation.action() {
                    cleared = None;
                }
            }
        }

        #[test]
        fn it_always_ends(mut answers in proptest::collection::vec(any::<bool>(), 8)) {
            let mut escalation = Escalation::new(TIMEOUTS);
            let mut now = Duration::ZERO;
            for _ in 0..20 {
                let event = match escalation.action() {
                    Action::Judge(_) => if answers.pop().unwrap_or(true) { Event::Cleared } else { Event::Spared },
                    Action::Send(_) => Event::Sent,
                    Action::WaitUntil(until) => { now = until; Event::Tick }
                    Action::Done(_) => return Ok(()),
                };
                escalation.on(event, now);
            }
            prop_assert!(false, "it did not end");
        }
    }
}
