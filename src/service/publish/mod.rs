//! The outputs of the service besides its socket: log, metrics over HTTP and in a file, desktop notifications.
//! Publishers get events and plain values; none of them can delay or change what is done to a process.

pub mod desktop;
pub mod http;
pub mod log;
pub mod metrics;
pub mod status;
pub mod textfile;

use std::net::SocketAddr;
use std::time::Duration;

use reaper_platform::Clock;
use tracing::info;

use super::snapshot::{MetricsOutputs, Overview};
use crate::config::Settings;
use desktop::Desktop;
use metrics::Metrics;
use metrics::classic::classic;
use metrics::memory::Memory;
use reaper_engine::terminate::outcome::Ended;
use reaper_policy::judgement::Judgement;
use textfile::Textfile;

/// All publishers that keep state between two events.
#[derive(Debug)]
pub struct Publishers {
    metrics: Metrics,
    textfile: Textfile,
    desktop: Desktop,
    /// The configured address to serve the metrics on.
    listen: Option<SocketAddr>,
    /// Why they are not served.
    listen_error: Option<String>,
    is_notifying: bool,
    /// False in a dry run, which writes and serves nothing.
    is_on: bool,
}

impl Publishers {
    /// Publishers with all counts at zero. `is_on` is false for a dry run, which writes and serves nothing.
    pub fn new(settings: &Settings, started: &Clock, is_on: bool) -> Self {
        let mut publishers = Self {
            metrics: Metrics::new(started.realtime),
            textfile: Textfile::default(),
            desktop: Desktop::default(),
            listen: None,
            listen_error: None,
            is_notifying: false,
            is_on,
        };
        publishers.follow(settings);
        publishers
    }

    /// Applies new settings.
    pub fn follow(&mut self, settings: &Settings) {
        self.metrics.begin(&settings.policy());
        let outputs = settings.outputs();
        self.is_notifying = outputs.notify();
        if self.is_on {
            self.textfile.follow(outputs.textfile());
            self.listen = outputs.listen();
        }
    }

    /// Publishes that a sweep has ended.
    pub fn swept(&mut self, took: Duration, is_success: bool) {
        self.metrics.swept(took, is_success);
        self.textfile.changed();
    }

    /// Publishes that a process of interest appeared, or that its verdict changed.
    pub fn judged(&mut self, judgement: &Judgement) {
        self.metrics.judged(judgement);
        log::judged(judgement);
        self.textfile.changed();
    }

    /// Publishes the outcomes of a plan.
    pub fn ended(&mut self, ended: &[Ended]) {
        for one in ended {
            self.metrics.ended(one);
        }
        self.textfile.changed();
        if self.is_notifying {
            self.desktop.tell(ended);
        }
    }

    /// Marks the metrics as changed for any other reason.
    pub fn changed(&mut self) {
        self.textfile.changed();
    }

    /// The metrics as OpenMetrics text.
    ///
    /// # Errors
    /// Never in practice: they are written to memory.
    pub fn metrics(&self, now: &Overview, zombies: usize) -> Result<String, String> {
        self.metrics.text(now, zombies, Memory::read()).map_err(|e| e.to_string())
    }

    /// When the textfile is to be written, on the monotonic clock; `None` when nothing has changed.
    pub fn textfile_due(&self) -> Option<Duration> {
        self.textfile.due()
    }

    /// Writes the textfile. Returns an error, unless the same one was returned before.
    pub fn write_textfile(&mut self, openmetrics: &str, now: Duration) -> Option<String> {
        self.textfile.write(&classic(openmetrics), now)
    }

    /// The configured address to serve the metrics on.
    pub const fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// Handles the result of listening. Returns an error, unless the same one was returned before.
    pub fn served(&mut self, result: Result<Option<SocketAddr>, String>) -> Option<String> {
        let error = match result {
            Ok(address) => {
                if let Some(address) = address {
                    info!("metrics are served on http://{address}/metrics");
                }
                None
            }
            Err(error) => Some(error),
        };
        let is_news = self.listen_error != error;
        self.listen_error = error;
        self.listen_error.clone().filter(|_| is_news)
    }

    /// The destinations of the metrics, with their errors.
    pub fn outputs(&self) -> MetricsOutputs {
        MetricsOutputs {
            listen: self.listen,
            listen_error: self.listen_error.clone(),
            textfile: self.textfile.path().map(std::path::Path::to_owned),
            textfile_error: self.textfile.error().map(str::to_owned),
        }
    }

    /// Removes the textfile: the metrics of a stopped service would be misleading.
    pub fn close(&mut self) {
        self.textfile.remove();
    }
}
