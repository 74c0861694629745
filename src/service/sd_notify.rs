//! Notifications to systemd (sd_notify(3)). Without a `NOTIFY_SOCKET` they do nothing.

use std::time::Duration;

use ::sd_notify::NotifyState;

/// Sends a notification. Errors are ignored, since nothing can be done about them.
fn tell(states: &[NotifyState<'_>]) {
    let _ = ::sd_notify::notify(states);
}

/// Ready: the first sweep succeeded, or the config was reloaded. `status` is one line.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Sets the line that `systemctl status` shows.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// Reloading has begun; [`ready`] ends it (`Type=notify-reload`).
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The service is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Keep-alive for the watchdog.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The interval for [`alive`]: half of the watchdog timeout. `None` when the watchdog is off.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    ::sd_notify::watchdog_enabled().map(|limit| limit / 2)
}
