//! What somebody asks of the service: by the control socket, or by a signal.

use std::sync::Arc;
use std::time::Duration;

use reaper_platform::Host;
use tracing::info;

use super::Warden;
use crate::service::control::{CONTROL, Command, Reply, Request};
use crate::service::pause::Pause;
use crate::service::{logs, notify, status};
use reaper_engine::context::Ground;

impl<H: Host> Warden<H> {
    /// Carries out a request.
    pub fn answer(&mut self, request: &Request) -> Reply {
        let error = match request.command {
            Command::Status | Command::Metrics => None,
            Command::Pause => {
                let time = request.for_s.map(Duration::try_from_secs_f64).transpose();
                match time {
                    Ok(time) => {
                        let pause = Pause::from(time, &self.clock());
                        info!("paused: nothing is ended");
                        self.hand_back();
                        self.set_pause(Some(pause))
                    }
                    Err(e) => Some(format!("for_s: {e}")),
                }
            }
            Command::Resume => {
                info!("resumed");
                self.set_pause(None)
            }
            Command::Sweep => {
                self.sweep();
                self.looks.failing.then(|| "processes cannot be listed".to_owned())
            }
            Command::Reload => self.reload(),
        };
        self.settle();
        let schema = CONTROL.to_owned();
        if request.command == Command::Metrics {
            let (metrics, error) = match self.metrics() {
                Ok(text) => (Some(text), None),
                Err(e) => (None, Some(e)),
            };
            return Reply { schema, error, status: None, metrics };
        }
        Reply { schema, error, status: Some(status::document(self)), metrics: None }
    }

    /// Looks around at once, as `reaper sweep` and SIGUSR1 ask.
    pub fn sweep(&mut self) {
        self.tick();
        self.tracker.look_again();
        self.settle();
    }

    /// Begins or ends a pause; says why it would not outlive a restart, if it would not.
    pub(super) fn set_pause(&mut self, pause: Option<Pause>) -> Option<String> {
        self.pause = pause;
        self.outputs.textfile.changed();
        let now = self.clock().monotonic;
        self.tracker.due_at(now);
        self.tracker.look_again();
        let runtime = self.setup.runtime.as_ref()?;
        Pause::save(pause, runtime, self.setup.host.here()).err().map(|e| e.to_string())
    }

    /// Reads the config again; a broken one changes nothing.
    pub fn reload(&mut self) -> Option<String> {
        notify::reloading();
        let loaded = (self.setup.load)().map_err(|e| e.to_string()).and_then(|settings| {
            let host = Arc::clone(&self.setup.host);
            let ground = Ground::new(host, settings.policy(), self.setup.scope);
            self.tracker.reload(ground).map_err(|e| e.to_string())?;
            self.setup.settings = settings;
            Ok(())
        });
        self.config_error = loaded.err();
        self.outputs.textfile.changed();
        match &self.config_error {
            None => {
                self.loaded = self.clock();
                self.next_tick = self.loaded.monotonic + self.tracker.ground().policy.interval;
                let settings = Arc::clone(&self.setup.settings);
                logs::set_levels(&settings.outputs().log_level().filter());
                self.outputs.follow(&settings);
                info!("the config was read again");
                logs::warnings(&settings);
            }
            Some(e) => {
                let what = format!("the new config is refused, and the old one stays in force: {e}");
                self.trouble(&what);
            }
        }
        self.settle();
        notify::ready(&status::line(self));
        self.config_error.clone()
    }
}
