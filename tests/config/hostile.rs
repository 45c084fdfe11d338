//! A server that means no good, before the login is complete.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::refused;

/// What such a server may make us read before it is left, and with what the sockets' buffers take.
const MOST: u64 = 8 << 20;

/// How much the server would send.
const OFFERED: u64 = 256 << 20;

/// A server that answers the first message of a session with `text`, then sends bytes without end. Gives its port, and how
/// many bytes it got rid of when the session is over.
fn server(answer: Vec<u8>, more: Vec<u8>) -> (u16, thread::JoinHandle<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        read_startup(&mut client);
        let mut sent = 0;
        let mut next = &answer;
        while sent < OFFERED {
            if client.write_all(next).is_err() {
                break;
            }
            sent += next.len() as u64;
            next = &more;
        }
        sent
    });
    (port, server)
}

/// The length stands in front.
fn read_startup(client: &mut TcpStream) {
    let mut length = [0; 4];
    client.read_exact(&mut length).unwrap();
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut rest).unwrap();
}

/// A message: its letter, its length with itself, its body.
fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[letter][..], &length.to_be_bytes(), body].concat()
}

#[track_caller]
fn assert_left(answer: Vec<u8>, more: Vec<u8>, reason: &str) {
    let (port, server) = server(answer, more);
    let start = Instant::now();
    let message = refused(&format!("host=127.0.0.1 port={port} user=u dbname=d sslmode=disable connect_timeout=30"));
    let sent = server.join().unwrap();
    assert!(message.contains(reason), "{message}");
    assert!(sent < MOST, "{sent} bytes were read");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn big_message_before_the_login_ends_the_session() {
    let zeros = vec![0; 64 << 10];
    // An error, a request for a login, a parameter, and a letter that nobody knows.
    for letter in *b"ERS?" {
        let head = [&[letter][..], &(1_u32 << 30).to_be_bytes()].concat();
        assert_left(head, zeros.clone(), "the server sent a message of 1073741824 bytes before the login was complete");
    }
}

#[test]
fn length_that_cannot_be_ends_the_session() {
    for length in [0_u32, 3, u32::MAX] {
        let head = [&b"E"[..], &length.to_be_bytes()].concat();
        let reason = format!("the server sent a message of {length} bytes before the login was complete");
        assert_left(head, vec![0; 64 << 10], &reason);
    }
}

#[test]
fn messages_without_end_before_the_login_end_the_session() {
    let login = message(b'R', &0_u32.to_be_bytes());
    let notice = message(b'N', &[&b"SNOTICE\0VNOTICE\0C00000\0M"[..], &vec![b'x'; 20_000], b"\0\0"].concat());
    let parameter = message(b'S', &[&b"name\0"[..], &vec![b'x'; 20_000], b"\0"].concat());
    for more in [notice, parameter] {
        assert_left(login.clone(), more, " bytes before the login was complete");
    }
}

/// Sends plain messages behind the answer to the request for TLS, as somebody between client and server can. Returns the
/// client's error.
fn answered_before_tls(answer: &[u8], sslmode: &str) -> String {
    let login = [message(b'R', &0_u32.to_be_bytes()), message(b'Z', b"I")].concat();
    let (port, server) = server([answer, &login].concat(), login);
    let start = Instant::now();
    let message = refused(&format!("host=127.0.0.1 port={port} user=u dbname=d sslmode={sslmode} connect_timeout=30"));
    server.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    message
}

#[test]
fn plain_bytes_before_the_handshake_are_not_taken_for_encrypted_ones() {
    for sslmode in ["require", "prefer"] {
        let message = answered_before_tls(b"S", sslmode);
        assert!(message.contains("TLS") || message.contains("corrupt message"), "{sslmode}: {message}");
    }
}

#[test]
fn answer_of_a_stranger_to_the_request_for_tls_is_not_shown() {
    let error = message(b'E', b"SFATAL\0VFATAL\0C28000\0Mforged text\0\0");
    for answer in [&error[..], b"N", b"X"] {
        let message = answered_before_tls(answer, "require");
        assert!(message.contains("server does not support TLS"), "{message}");
        assert!(!message.contains("forged"), "{message}");
    }
}
