//! A store for tests that has nothing, and tells what it is asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// A request that has come.
#[derive(Debug)]
pub(super) struct Asked {
    /// Method, target and version.
    pub(super) line: String,
    /// By their names in small letters.
    pub(super) headers: HashMap<String, String>,
}

/// Its URL, and the requests that it gets. It ends with the test's process.
pub(super) fn start() -> (String, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, seen) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if sender.send(read(&stream)).is_err() {
                return;
            }
            let nothing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(nothing.as_bytes()).unwrap();
        }
    });
    (url, seen)
}

fn read(stream: &TcpStream) -> Asked {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let line = lines.next().unwrap();
    let headers = lines.take_while(|line| !line.is_empty());
    let headers = headers.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Asked {
        line,
        headers: headers.collect(),
    }
}
