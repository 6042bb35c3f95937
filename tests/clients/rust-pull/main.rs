//! A busy program that has CPU profiles of the `pprof` crate for whoever asks. It says where it listens, and runs until
//! it is killed.

use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use pprof::ProfilerGuard;
use pprof::protos::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening {}", listener.local_addr()?);
    thread::spawn(|| {
        loop {
            burn_cpu_while_running(Duration::from_millis(50));
            thread::sleep(Duration::from_millis(50));
        }
    });
    for stream in listener.incoming() {
        // Of one that hangs up there is nothing to be said.
        let _ = answer(stream?);
    }
    Ok(())
}

#[inline(never)]
fn burn_cpu_while_running(duration: Duration) {
    let until = Instant::now() + duration;
    let mut value = 1_u64;
    while Instant::now() < until {
        for _ in 0..10_000 {
            value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

fn answer(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().ok_or("no request")??;
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    let Some(seconds) = request.strip_prefix("GET /debug/pprof/profile?seconds=") else {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
        return Ok(());
    };
    let seconds = seconds.split(' ').next().unwrap_or_default().parse()?;
    let guard = ProfilerGuard::new(99)?;
    thread::sleep(Duration::from_secs(seconds));
    let profile = guard.report().build()?.pprof()?.encode_to_vec();
    let length = profile.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nconnection: close\r\n";
    stream.write_all(format!("{head}content-length: {length}\r\n\r\n").as_bytes())?;
    stream.write_all(&profile)?;
    Ok(())
}
