//! What the service tells others, beside its log and its socket: metrics over HTTP and in a file, notes on the
//! desktop. None of it can hold up or change what is done to a process.

use crate::config::Settings;
use std::net::SocketAddr;

use reaper_platform::{Clock, Host};
use tracing::info;

use super::desktop::Desktop;
use super::metrics::{Metrics, classic};
use super::readings::{self, Zombies};
use super::textfile::Textfile;
use super::warden::Warden;
use reaper_engine::terminate::outcome::Ended;

/// Where things are told.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) metrics: Metrics,
    pub(super) textfile: Textfile,
    /// Why the metrics are not served.
    pub(super) listen_error: Option<String>,
    pub(super) zombies: Zombies,
    desktop: Desktop,
    /// Whether the config has a say at all: a dry run disturbs nobody.
    is_on: bool,
}

impl Outputs {
    pub(super) fn new(settings: &Settings, started: &Clock, is_on: bool) -> Self {
        let mut outputs = Self {
            metrics: Metrics::new(started.realtime),
            textfile: Textfile::default(),
            listen_error: None,
            zombies: Zombies::default(),
            desktop: Desktop::default(),
            is_on,
        };
        outputs.follow(settings);
        outputs
    }

    /// Takes what the config says now.
    pub(super) fn follow(&mut self, settings: &Settings) {
        self.metrics.begin(&settings.policy());
        if self.is_on {
            self.textfile.follow(settings.outputs().textfile());
        }
    }

    /// A batch is done.
    pub(super) fn ended(&mut self, ended: &[Ended], settings: &Settings) {
        for one in ended {
            self.metrics.ended(one);
        }
        self.textfile.changed();
        if settings.outputs().notify() {
            self.desktop.tell(ended);
        }
    }
}

impl<H: Host> Warden<H> {
    /// Writes the metrics to their file, when that is due.
    pub(super) fn publish(&mut self) {
        let now = self.clock().monotonic;
        if self.outputs.textfile.due().is_none_or(|due| due > now) {
            return;
        }
        let text = self.metrics().map(|text| classic(&text)).unwrap_or_default();
        if let Some(trouble) = self.outputs.textfile.write(&text, now) {
            self.trouble(&trouble);
        }
    }

    pub(super) fn metrics(&mut self) -> Result<String, String> {
        let now = readings::take(self);
        self.outputs.metrics.text(&now).map_err(|e| e.to_string())
    }

    /// The address that the metrics are to be served on.
    pub fn listen(&self) -> Option<SocketAddr> {
        let wanted = self.setup.settings.outputs().listen();
        wanted.filter(|_| self.outputs.is_on)
    }

    /// Takes in what came of serving the metrics.
    pub fn served(&mut self, result: Result<Option<SocketAddr>, String>) {
        let error = match result {
            Ok(Some(address)) => {
                info!("metrics are served on http://{address}/metrics");
                None
            }
            Ok(None) => None,
            Err(error) => {
                if self.outputs.listen_error.as_ref() != Some(&error) {
                    self.trouble(&error);
                }
                Some(error)
            }
        };
        self.outputs.listen_error = error;
    }

    /// The last thing: what only a running service may leave lying about is removed.
    pub fn close(&mut self) {
        self.outputs.textfile.remove();
    }
}
