//! What systemd is told (sd_notify(3)). Without a `NOTIFY_SOCKET` all of this does nothing.

use std::time::Duration;

use ::sd_notify::NotifyState;

/// Tells the service manager. An error is ignored: there is nothing that we could do about it.
fn tell(states: &[NotifyState<'_>]) {
    let _ = ::sd_notify::notify(states);
}

/// The first sweep succeeded, or the config was read again. `status` is one line.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The line that `systemctl status` shows.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The config is being read again; [`ready`] ends it (`Type=notify-reload`).
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// We are about to stop.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// All is well.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is to be said: half of what the service manager allows. `None` when it does not ask.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    ::sd_notify::watchdog_enabled().map(|limit| limit / 2)
}
