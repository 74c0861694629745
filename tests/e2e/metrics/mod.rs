//! What the service publishes: metrics by command, file and HTTP, its status, its log, desktop notifications. Names,
//! types and answers are compared with what was published.

mod counters;
mod desktop_notifications;
mod format_reader;
mod http;
mod log_output;
mod published_formats;
mod service_process;
mod textfile;
