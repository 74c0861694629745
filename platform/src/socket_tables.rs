//! The tables of listening sockets that are shared within one sweep.

/// Tables of listening sockets, read once and shared by all processes of a network namespace. One value is valid for
/// one sweep: a socket that began to listen after the table of its namespace was read is not in it.
///
/// On Linux it holds one open descriptor for each namespace, 32 at most, so that no other namespace can get the number
/// of one that has ended. macOS reports each socket by itself, and there is nothing to share.
#[derive(Debug, Default)]
pub struct SocketTables {
    #[cfg(target_os = "linux")]
    pub(crate) shared: crate::linux::NamespaceTables,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_go_to_every_thread() {
        fn shared<T: Send + Sync + std::fmt::Debug + Default>() {}
        shared::<SocketTables>();
    }
}
