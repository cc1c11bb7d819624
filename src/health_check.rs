//! `pipewright health`: a container's health check without a second program.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

/// Asks the host on this machine whether it is alive.
pub fn check_health(host: IpAddr, port: u16) -> ExitCode {
    let host = if host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { host };
    match read_status_line(SocketAddr::new(host, port)) {
        Ok(line) if line.starts_with("HTTP/1.1 200") => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn read_status_line(address: SocketAddr) -> io::Result<String> {
    let limit = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
