//! Clients that are slow, large, many or wrong, and addresses that are taken.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use super::service_process::{Start, address, exchange, get, poll};

fn config(address: SocketAddr) -> String {
    format!("interval = \"100ms\"\n[metrics]\nlisten = \"{address}\"\n")
}

#[test]
fn idle_clients_delay_others_only_a_little() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let address = address();
        let service = Start::new(processes.directory(), &config(address)).run();
        // More than there are places; half of them say something, and none ever ends its request.
        let mut idle: Vec<TcpStream> = (0..24).map(|_| TcpStream::connect(address).unwrap()).collect();
        for stream in idle.iter_mut().step_by(2) {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
        }
        let begun = Instant::now();
        assert_eq!(get(address, "/livez").0, "200");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        service.ask(&["status", "--check", "live"]).expect_code(0);
        for stream in &mut idle {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut rest = Vec::new();
            // Closed or reset, but not held for ever.
            if let Err(e) = stream.read_to_end(&mut rest) {
                assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}");
            }
        }
    });
}

#[test]
fn an_unfinished_request_is_dropped_soon() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let address = address();
        let _service = Start::new(processes.directory(), &config(address)).run();
        for beginning in ["", "GET /metrics HTTP/1.1\r\nHost: "] {
            let begun = Instant::now();
            let answer = exchange(address, beginning.as_bytes());
            let took = begun.elapsed();
            assert!(!answer.contains("200 OK"), "{answer}");
            assert!(took > Duration::from_secs(1) && took < Duration::from_secs(6), "{took:?}");
        }
    });
}

#[test]
fn large_and_broken_requests_are_refused() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let address = address();
        let service = Start::new(processes.directory(), &config(address)).run();
        let code = |request: &[u8]| exchange(address, request).split(' ').nth(1).unwrap_or("none").to_owned();
        let long = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(100_000));
        let many = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(60));
        let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(100_000));
        for (request, allowed) in [
            (long.as_bytes(), ["431", "none"]),
            (many.as_bytes(), ["431", "none"]),
            (path.as_bytes(), ["414", "431"]),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ["400", "none"]),
            (b"GET /metrics HTTP/9.9\r\n\r\n", ["400", "none"]),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ["400", "none"]),
            (b"\0\0\0\0\r\n\r\n", ["400", "none"]),
        ] {
            let code = code(request);
            assert!(
                allowed.contains(&code.as_str()),
                "{code}: {:?}",
                String::from_utf8_lossy(&request[..20.min(request.len())])
            );
        }
        let two = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
        assert_eq!(
            exchange(address, two.as_bytes()).matches("HTTP/1.1").count(),
            1,
            "one request a connection"
        );
        assert_eq!(get(address, "/readyz").0, "200");
        service.ask(&["status", "--check", "ready"]).expect_code(0);
    });
}

#[test]
fn an_address_in_use_is_reported_once_and_bound_later() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let address = address();
        let other = TcpListener::bind(address).unwrap();
        let service = Start::new(processes.directory(), &config(address)).run();
        let error = || service.status()["metrics"]["listen_error"].clone();
        assert!(
            poll(|| error().as_str().is_some_and(|e| e.contains("in use") && e.contains("hint: "))),
            "{}",
            error()
        );
        assert_eq!(service.log().matches("cannot serve metrics").count(), 1, "{}", service.log());
        let shown = service.ask(&["status"]).expect_code(0).stdout;
        assert!(shown.contains("metrics    cannot serve metrics on"), "{shown}");
        drop(other);
        assert!(poll(|| error().is_null()), "{}", error());
        assert_eq!(get(address, "/livez"), ("200".to_owned(), "ok\n".to_owned()));
    });
}

#[test]
fn a_reload_moves_or_disables_it() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let one = address();
        let two = SocketAddr::new(one.ip(), one.port() + 1);
        let service = Start::new(processes.directory(), &config(one)).run();
        assert_eq!(get(one, "/livez").0, "200");
        service.reload(&config(two)).expect_code(0);
        assert!(poll(|| TcpStream::connect(two).is_ok()));
        assert!(poll(|| TcpStream::connect(one).is_err()));
        service.reload("").expect_code(0);
        assert!(poll(|| TcpStream::connect(two).is_err()));
        service.reload("[metrics]\nlisten = \"0.0.0.0:9464\"\n").expect_code(4);
        assert!(service.status()["metrics"]["listen"].is_null());
    });
}

#[test]
fn a_service_that_can_read_nothing_is_live_and_not_ready() {
    in_namespace(&PidNamespace::new().systemd().several_users(), test_name!(), || {
        let processes = ProcessSet::new();
        let address = address();
        // The only process of this user cannot be read by it.
        let hidden = processes.spec("goose").uid(4242).behave("non-dumpable").orphan_of_dead_leader();
        let service = Start::new(processes.directory(), &config(address)).uid(4242).run();
        assert!(poll(|| get(address, "/readyz").0 == "503"), "{:?}", service.status());
        assert_eq!(get(address, "/readyz").1, "not ready: blind: not one environment can be read\n");
        assert_eq!(get(address, "/livez").0, "200");
        assert_eq!(service.metrics().value("reaper_blind"), Some(1.0));
        assert_eq!(service.metrics().value("reaper_ready"), Some(0.0));
        hidden.kill();
        assert!(poll(|| get(address, "/readyz").0 == "200"));
    });
}
