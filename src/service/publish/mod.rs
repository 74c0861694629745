//! What the service tells others beside its socket: the log, metrics over HTTP and in a file, notes on the desktop.
//! Publishers get events and plain values; none of them can hold up or change what is done to a process.

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
    /// The address that the metrics are to be served on.
    listen: Option<SocketAddr>,
    /// Why they are not.
    listen_error: Option<String>,
    is_notifying: bool,
    /// False in a dry run, which writes and serves nothing.
    is_on: bool,
}

impl Publishers {
    /// With everything at zero. `is_on` is false for a dry run, which writes and serves nothing.
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

    /// Takes other settings.
    pub fn follow(&mut self, settings: &Settings) {
        self.metrics.begin(&settings.policy());
        let outputs = settings.outputs();
        self.is_notifying = outputs.notify();
        if self.is_on {
            self.textfile.follow(outputs.textfile());
            self.listen = outputs.listen();
        }
    }

    /// A sweep is over.
    pub fn swept(&mut self, took: Duration, is_success: bool) {
        self.metrics.swept(took, is_success);
        self.textfile.changed();
    }

    /// A process of interest appeared, or its verdict changed.
    pub fn judged(&mut self, judgement: &Judgement) {
        self.metrics.judged(judgement);
        log::judged(judgement);
        self.textfile.changed();
    }

    /// A plan was carried out.
    pub fn ended(&mut self, ended: &[Ended]) {
        for one in ended {
            self.metrics.ended(one);
        }
        self.textfile.changed();
        if self.is_notifying {
            self.desktop.tell(ended);
        }
    }

    /// Something else changed that the metrics tell.
    pub fn changed(&mut self) {
        self.textfile.changed();
    }

    /// The metrics as OpenMetrics text.
    ///
    /// # Errors
    /// None that could happen: they are written to memory.
    pub fn metrics(&self, now: &Overview, zombies: usize) -> Result<String, String> {
        self.metrics.text(now, zombies, Memory::read()).map_err(|e| e.to_string())
    }

    /// When the metrics are to be written to their file, on the monotonic clock; `None` when nothing has changed.
    pub fn textfile_due(&self) -> Option<Duration> {
        self.textfile.due()
    }

    /// Writes the metrics to their file. Returns what is wrong, unless it was returned before.
    pub fn write_textfile(&mut self, openmetrics: &str, now: Duration) -> Option<String> {
        self.textfile.write(&classic(openmetrics), now)
    }

    /// The address that the metrics are to be served on.
    pub const fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// Takes in what came of serving the metrics. Returns what is wrong, unless it was returned before.
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

    /// Where the metrics go, and why they do not arrive there.
    pub fn outputs(&self) -> MetricsOutputs {
        MetricsOutputs {
            listen: self.listen,
            listen_error: self.listen_error.clone(),
            textfile: self.textfile.path().map(std::path::Path::to_owned),
            textfile_error: self.textfile.error().map(str::to_owned),
        }
    }

    /// Removes the file of the metrics: those of a service that does not run any more mislead.
    pub fn close(&mut self) {
        self.textfile.remove();
    }
}
